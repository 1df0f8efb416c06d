"""Coming in by an outside provider, over HTTP."""

from flask import Blueprint

from orderhouse.auth.errors import OutsideAway, OutsideRefused, OutsideUnset
from orderhouse.auth.routes.asking import where
from orderhouse.auth.routes.sessions import given_tokens
from orderhouse.auth.schemas.outside import OUTSIDE, OutsideBegun, OutsideCameBack
from orderhouse.auth.schemas.sessions import TokensOut
from orderhouse.auth.service.asking import NOBODY
from orderhouse.auth.service.outside_sign_ins import CameBack, OutsideSignInService
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.flask_edge import asked, body, open_to_all


def blueprint(service: OutsideSignInService) -> Blueprint:
    """Return the views."""
    views = Blueprint("outside", __name__)

    @views.post(OUTSIDE)
    @open_to_all(
        "whoever comes in has no token yet", OutsideUnset, OutsideAway, OutsideRefused, answers=OutsideBegun, status=201
    )
    def begin_outside() -> Answer:
        """Begin to sign in by the outside provider that is set up, if there is one."""
        begun = service.begin(asked(None, by=NOBODY))
        return json_answer({"url": begun.url, "ticket": begun.ticket}, status=201)

    @views.post(f"{OUTSIDE}/completion")
    @open_to_all(
        "what the provider sent back is what lets in",
        OutsideUnset,
        OutsideAway,
        OutsideRefused,
        body=OutsideCameBack,
        answers=TokensOut,
        status=201,
    )
    def complete_outside() -> Answer:
        """Come in with what the outside provider sent back, by the ticket of whoever began."""
        came = body(OutsideCameBack)
        wanted = CameBack(came.ticket, came.code, came.state, where(came.device))
        return given_tokens(service.complete(asked(wanted, by=NOBODY)))

    return views
