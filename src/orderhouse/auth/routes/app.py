"""The Flask app of auth, made of its blueprints."""

from flask import Flask

from orderhouse.auth.routes import accounts, api_keys, audit, clients, oauth, outside, second_factors, sessions, tokens
from orderhouse.auth.routes.provider import Provider
from orderhouse.auth.service.accounts import AccountService
from orderhouse.auth.service.api_keys import ApiKeyService
from orderhouse.auth.service.audit import AuditService
from orderhouse.auth.service.clients import ClientService
from orderhouse.auth.service.grants import GrantService
from orderhouse.auth.service.outside_sign_ins import OutsideSignInService
from orderhouse.auth.service.second_factors import SecondFactorService
from orderhouse.auth.service.sessions import SessionService
from orderhouse.auth.service.sign_ins import SignInService
from orderhouse.auth.service.tokens import TokenService
from orderhouse.runtime.web import flask_routes


def create_app(
    account: AccountService,
    sign_in: SignInService,
    session: SessionService,
    factor: SecondFactorService,
    token: TokenService,
    api_key: ApiKeyService,
    client: ClientService,
    grant: GrantService,
    outside_sign_in: OutsideSignInService,
) -> Flask:
    """Return the app; nothing of it is made before."""
    return flask_routes.made(
        "auth",
        [
            accounts.blueprint(account),
            sessions.blueprint(sign_in, session),
            second_factors.blueprint(factor),
            tokens.blueprint(token),
            api_keys.blueprint(api_key),
            clients.blueprint(client),
            oauth.blueprint(Provider(client, grant, session), sign_in),
            audit.blueprint(AuditService()),
            outside.blueprint(outside_sign_in),
        ],
    )
