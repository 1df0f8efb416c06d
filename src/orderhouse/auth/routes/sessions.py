"""Sessions over HTTP: coming in, going on, and going out."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.auth import reads
from orderhouse.auth.errors import (
    NotAPerson,
    PasswordMustChange,
    PasswordsBusy,
    PasswordTooWeak,
    RefreshRefused,
    SecondFactorNeeded,
    SecondFactorWrong,
    SessionNotFound,
    SignInRefused,
    TooManyAttempts,
)
from orderhouse.auth.routes.asking import where
from orderhouse.auth.schemas.revocations import REVOCATIONS, ListRevoked, RevokedList
from orderhouse.auth.schemas.sessions import SESSION, SESSIONS, TOKENS, Refresh, SessionPage, SignIn, TokensOut
from orderhouse.auth.service.asking import FIRST_PARTY, NOBODY, person_of
from orderhouse.auth.service.sessions import Given, RefreshWith, SessionService
from orderhouse.auth.service.sign_ins import SignInFrom, SignInService
from orderhouse.kernel import clock
from orderhouse.kernel.clock import as_text
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import DONE, json_answer
from orderhouse.runtime.web.flask_edge import asked, body, caller, needs, open_to_all, query, read, retry_key


def blueprint(sign_in: SignInService, service: SessionService) -> Blueprint:
    """Return the views."""
    views = Blueprint("sessions", __name__)

    @views.post(SESSIONS)
    @open_to_all(
        "whoever comes in has no token yet",
        SignInRefused,
        SecondFactorNeeded,
        SecondFactorWrong,
        PasswordMustChange,
        PasswordTooWeak,
        TooManyAttempts,
        PasswordsBusy,
        body=SignIn,
        answers=TokensOut,
        status=201,
    )
    def begin_session() -> Answer:
        """Sign in. Whether the address or the password was wrong, nobody is told."""
        wanted = body(SignIn)
        return given_tokens(sign_in.sign_in(asked(SignInFrom(wanted, where(wanted.device)), by=NOBODY)))

    @views.post(TOKENS)
    @open_to_all(
        "the token in the body is what lets in",
        RefreshRefused,
        body=Refresh,
        answers=TokensOut,
        status=201,
        retries=True,
    )
    def refresh_session() -> Answer:
        """Go on with a session. Its refresh token is used up: used again, it ends the session, except for a retry."""
        wanted = RefreshWith(body(Refresh).refresh_token, FIRST_PARTY, retry_key())
        return given_tokens(service.refresh(asked(wanted, by=NOBODY)))

    @views.get(SESSIONS)
    @needs("account:use", NotAPerson, answers=SessionPage)
    def list_sessions() -> Answer:
        """List the devices that are signed in as the caller, the latest first."""
        who = caller()
        found = read(reads.sessions, person_of(who), clock.now())
        return json_answer({"items": [_shown(one, current=one.id == who.session) for one in found]})

    @views.delete(SESSIONS)
    @needs("account:use", NotAPerson, status=204)
    def end_other_sessions() -> Answer:
        """Sign out everywhere else."""
        service.end_others(asked(None))
        return DONE

    @views.delete(f"{SESSIONS}/<uuid:session_id>")
    @needs("account:use", NotAPerson, SessionNotFound, status=204)
    def end_session(session_id: UUID) -> Answer:
        """Sign out on a device; its tokens are good for nothing within a second."""
        service.end(asked(session_id))
        return DONE

    @views.delete(SESSION)
    @needs("account:use", NotAPerson, SessionNotFound, status=204)
    def sign_out() -> Answer:
        """Sign out here: the session the caller's token is of ends."""
        session = caller().session
        if session is None:
            raise SessionNotFound
        service.end(asked(session))
        return DONE

    @views.get(REVOCATIONS)
    @needs("auth:follow", query=ListRevoked, answers=RevokedList)
    def list_revocations() -> Answer:
        """Tell a neighbour which access tokens are not good any more, though they have not expired."""
        found = read(reads.revoked, query(ListRevoked).after, clock.now())
        return json_answer({"items": [one._asdict() for one in found]})

    return views


def given_tokens(given: Given) -> Answer:
    """Return what lets somebody in, who came in."""
    return json_answer(
        {
            "access_token": given.access_token,
            "token_type": "Bearer",
            "expires_in": given.expires_in,
            "refresh_token": given.refresh_token,
            "session_id": given.session_id,
            "device_token": given.device_token,
        },
        status=201,
    )


def _shown(session: reads.SessionRow, *, current: bool) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": session.device,
        "address": session.address,
        "client_id": session.client_id,
        "factors": session.factors.split(),
        "created_at": as_text(session.created_at),
        "seen_at": as_text(session.seen_at),
        "expires_at": as_text(session.expires_at),
        "current": current,
    }
