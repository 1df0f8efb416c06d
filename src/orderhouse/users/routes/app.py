"""The Flask app of users, made of its blueprints."""

from flask import Flask

from orderhouse.runtime.web import flask_routes
from orderhouse.users.contract import People
from orderhouse.users.routes import access, invitations, people, roles, teams, users
from orderhouse.users.routes.records import CustomerRecords
from orderhouse.users.service.invitations import InvitationService
from orderhouse.users.service.roles import RoleService
from orderhouse.users.service.teams import TeamService
from orderhouse.users.service.users import UserService


def create_app(service: UserService, customers: CustomerRecords, everybody: People) -> Flask:
    """Return the app; nothing of it is made before."""
    return flask_routes.made(
        "users",
        [
            users.blueprint(service, customers),
            invitations.blueprint(InvitationService(), customers),
            teams.blueprint(TeamService()),
            roles.blueprint(RoleService()),
            access.blueprint(),
            people.blueprint(everybody),
        ],
    )
