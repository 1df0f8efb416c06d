"""Second factors over HTTP."""

from flask import Blueprint

from orderhouse.auth import reads
from orderhouse.auth.errors import CodeWrong, FactorMissing, FactorThere, NotAPerson, TooManyAttempts
from orderhouse.auth.schemas.second_factors import FACTOR, FactorCode, FactorOffered, FactorOut, RecoveryCodes
from orderhouse.auth.service.asking import person_of
from orderhouse.auth.service.second_factors import SecondFactorService
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import DONE, json_answer
from orderhouse.runtime.web.flask_edge import asked, body, caller, needs, read


def blueprint(service: SecondFactorService) -> Blueprint:
    """Return the views."""
    views = Blueprint("second_factors", __name__)

    @views.get(FACTOR)
    @needs("account:use", NotAPerson, answers=FactorOut)
    def get_second_factor() -> Answer:
        """Say whether the caller has a second factor, and how many recovery codes are left."""
        on, codes_left = read(reads.factor_of, person_of(caller())) or (False, 0)
        return json_answer({"on": on, "codes_left": codes_left})

    @views.post(FACTOR)
    @needs("account:use", NotAPerson, FactorThere, answers=FactorOffered, status=201)
    def offer_second_factor() -> Answer:
        """Make a second factor for an authenticator app; it counts once a code of it was sent back."""
        offered = service.offer(asked(None))
        return json_answer({"secret": offered.secret, "uri": offered.uri}, status=201)

    @views.post(f"{FACTOR}/confirmation")
    @needs(
        "account:use",
        NotAPerson,
        FactorThere,
        FactorMissing,
        CodeWrong,
        TooManyAttempts,
        body=FactorCode,
        answers=RecoveryCodes,
        status=201,
    )
    def confirm_second_factor() -> Answer:
        """Let the second factor count, by a code of it. The recovery codes are shown this once."""
        return json_answer({"codes": service.confirm(asked(body(FactorCode).code))}, status=201)

    @views.post(f"{FACTOR}/removal")
    @needs("account:use", NotAPerson, FactorMissing, CodeWrong, TooManyAttempts, body=FactorCode, status=204)
    def remove_second_factor() -> Answer:
        """Take the second factor away, by a code of it or a recovery code."""
        service.remove(asked(body(FactorCode).code))
        return DONE

    return views
