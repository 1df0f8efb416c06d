"""Accounts over HTTP: registering, and passwords. None of it says whether there is an account."""

from flask import Blueprint

from orderhouse.auth.errors import (
    MailedTokenInvalid,
    NotAPerson,
    PasswordsBusy,
    PasswordTooWeak,
    PasswordWrong,
    TooManyAttempts,
)
from orderhouse.auth.routes.asking import accepted, where
from orderhouse.auth.schemas.accounts import (
    PASSWORD,
    REGISTRATIONS,
    RESETS,
    VERIFICATIONS,
    Accepted,
    AskReset,
    ChangePassword,
    Register,
    Reset,
    Verify,
)
from orderhouse.auth.service.accounts import AccountService, ChangeFrom, ResetFrom
from orderhouse.auth.service.asking import NOBODY
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import DONE
from orderhouse.runtime.web.flask_edge import asked, body, needs, open_to_all


def blueprint(service: AccountService) -> Blueprint:
    """Return the views."""
    views = Blueprint("accounts", __name__)

    @views.post(REGISTRATIONS)
    @open_to_all(
        "whoever registers has no token yet",
        PasswordTooWeak,
        PasswordsBusy,
        body=Register,
        answers=Accepted,
        status=202,
    )
    def register() -> Answer:
        """Register. A token comes by mail that verifies the address; until then there is little to be done."""
        service.register(asked(body(Register), by=NOBODY))
        return accepted()

    @views.post(VERIFICATIONS)
    @open_to_all("the token in the body is what lets in", MailedTokenInvalid, PasswordWrong, body=Verify, status=204)
    def verify_address() -> Answer:
        """Prove an address to be one's own, by what was sent there and the password."""
        service.verify(asked(body(Verify), by=NOBODY))
        return DONE

    @views.put(PASSWORD)
    @needs(
        "account:use",
        NotAPerson,
        PasswordWrong,
        PasswordTooWeak,
        TooManyAttempts,
        PasswordsBusy,
        body=ChangePassword,
        status=204,
    )
    def change_password() -> Answer:
        """Change one's password; every other session ends."""
        service.change_password(asked(ChangeFrom(body(ChangePassword), where())))
        return DONE

    @views.post(RESETS)
    @open_to_all("whoever forgot a password has no token", body=AskReset, answers=Accepted, status=202)
    def ask_for_reset() -> Answer:
        """Ask for a mail with a token that sets a new password, once, within ten minutes."""
        service.ask_reset(asked(body(AskReset), by=NOBODY))
        return accepted()

    @views.post(f"{RESETS}/completion")
    @open_to_all(
        "the token in the body is what lets in",
        MailedTokenInvalid,
        PasswordTooWeak,
        PasswordsBusy,
        body=Reset,
        status=204,
    )
    def reset_password() -> Answer:
        """Set a new password by the token that was mailed; every session ends."""
        service.reset(asked(ResetFrom(body(Reset), where()), by=NOBODY))
        return DONE

    return views
