"""Tokens looked at and taken back, as RFC 7662 and RFC 7009 want it: forms, and the answers they name."""

from flask import Blueprint

from orderhouse.auth.schemas.oauth import INTROSPECTION, REVOCATION, Introspected, TokenForm
from orderhouse.auth.service.asking import NOBODY
from orderhouse.auth.service.tokens import TokenService
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.flask_edge import asked, form, needs, open_to_all


def blueprint(service: TokenService) -> Blueprint:
    """Return the views."""
    views = Blueprint("tokens", __name__)

    @views.post(INTROSPECTION)
    @needs("auth:follow", form=TokenForm, answers=Introspected)
    def introspect_token() -> Answer:
        """Tell a neighbour what a token is good for at this very moment (RFC 7662)."""
        return json_answer(service.introspect(asked(form(TokenForm).token)))

    @views.post(REVOCATION)
    @open_to_all("whoever has a token may give it up", form=TokenForm)
    def revoke_token() -> Answer:
        """Give a token up (RFC 7009): a refresh token with its session, an access token alone, within a second."""
        service.revoke(asked(form(TokenForm).token, by=NOBODY))
        return json_answer({})

    return views
