"""API keys over HTTP."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.auth import reads
from orderhouse.auth.errors import ApiKeyNotFound, ApiKeyRefused, NotAPerson, ScopeTooWide
from orderhouse.auth.schemas.api_keys import (
    API_KEY_TOKENS,
    API_KEYS,
    AccessOut,
    AddApiKey,
    ApiKeyMade,
    ApiKeyPage,
    UseApiKey,
)
from orderhouse.auth.service.access_tokens import LASTS_S
from orderhouse.auth.service.api_keys import ApiKeyService
from orderhouse.auth.service.asking import NOBODY, person_of
from orderhouse.kernel import clock
from orderhouse.kernel.clock import as_text, text_or_none
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import DONE, json_answer
from orderhouse.runtime.web.flask_edge import asked, body, caller, needs, open_to_all, read


def blueprint(service: ApiKeyService) -> Blueprint:
    """Return the views."""
    views = Blueprint("api_keys", __name__)

    @views.post(API_KEYS)
    @needs("account:use", NotAPerson, ScopeTooWide, body=AddApiKey, answers=ApiKeyMade, status=201)
    def add_api_key() -> Answer:
        """Make a key for a machine. It is shown this once; to lose it is to make another."""
        made = service.add(asked(body(AddApiKey)))
        return json_answer({**_shown(made.shown), "key": made.key}, status=201)

    @views.get(API_KEYS)
    @needs("account:use", NotAPerson, answers=ApiKeyPage)
    def list_api_keys() -> Answer:
        """List the caller's keys that are good, the latest first."""
        return json_answer({"items": [_shown(one) for one in read(reads.api_keys, person_of(caller()), clock.now())]})

    @views.delete(f"{API_KEYS}/<uuid:api_key_id>")
    @needs("account:use", NotAPerson, ApiKeyNotFound, status=204)
    def revoke_api_key(api_key_id: UUID) -> Answer:
        """End a key; what was given for it is good for nothing within a second."""
        service.revoke(asked(api_key_id))
        return DONE

    @views.post(API_KEY_TOKENS)
    @open_to_all("the key in the body is what lets in", ApiKeyRefused, body=UseApiKey, answers=AccessOut, status=201)
    def use_api_key() -> Answer:
        """Come in as a machine: an access token for ten minutes, of the key's scope and its owner's role."""
        token, scope = service.use(asked(body(UseApiKey).api_key, by=NOBODY))
        given = {"access_token": token, "token_type": "Bearer", "expires_in": LASTS_S, "scope": scope}
        return json_answer(given, status=201)

    return views


def _shown(key: reads.ApiKeyRow) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scope": key.scope.split(),
        "created_at": as_text(key.created_at),
        "expires_at": text_or_none(key.expires_at),
        "used_at": text_or_none(key.used_at),
    }
