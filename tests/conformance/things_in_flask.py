"""The small API of `edge_world` once more, in Flask: what is tested there on FastAPI holds here word for word."""

from uuid import UUID

from fastapi import APIRouter
from flask import Blueprint

from orderhouse.kernel.errors import Stale
from orderhouse.runtime.blocking import Bridge
from orderhouse.runtime.database.errors import DatabaseUnavailable
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import flask_routes
from orderhouse.runtime.web.answers import etag, json_answer
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.flask_edge import body, caller, match, match_maybe, needs, once, open_to_all, query, unless
from tests.integration import things
from tests.unit import edge_world
from tests.unit.edge_world import Changed, ListThings, MakeThing, Secret, Service, ThingOut, changed


def routes(edge: Edge, service: Service) -> APIRouter:
    """Return the things' routes."""
    app = flask_routes.made("things", [_asked(), _written(service), _troubles()])
    return flask_routes.routes(app, edge, Bridge(), threads=2)


def _written(service: Service) -> Blueprint:
    blueprint = Blueprint("things", __name__, url_prefix="/v1/things")

    @blueprint.post("")
    @needs(
        "orders:place",
        things.NameTaken,
        things.NameUgly,
        key=True,
        body=MakeThing,
        answers=ThingOut,
        status=201,
    )
    def make_thing() -> Answer:
        """Make a thing."""
        return once(service.make, body(MakeThing), answer=things.told)

    @blueprint.patch("/<uuid:thing_id>")
    @needs("orders:change", Stale, key=False, match=True, body=MakeThing, answers=ThingOut)
    def change_thing(thing_id: UUID) -> Answer:
        """Change a thing."""
        return once(service.change, Changed(thing_id, body(MakeThing), match()), answer=changed)

    @blueprint.post("/<uuid:thing_id>/retirement")
    @needs("orders:assign", Stale, key=False, match=False, answers=ThingOut)
    def retire_thing(thing_id: UUID) -> Answer:
        """Retire a thing."""
        return once(service.change, Changed(thing_id, None, match_maybe()), answer=changed)

    return blueprint


def _asked() -> Blueprint:
    blueprint = Blueprint("asked", __name__, url_prefix="/v1/things")

    @blueprint.get("")
    @needs("orders:read", query=ListThings, answers=list[ThingOut])
    def list_things() -> Answer:
        """List things."""
        wanted = query(ListThings)
        return json_answer([{"name": f"{wanted.limit} {wanted.since} {caller().role}"}])

    @blueprint.post("/echo")
    @needs("orders:read", body=MakeThing, answers=MakeThing)
    def echo() -> Answer:
        """Say it again."""
        return json_answer(body(MakeThing).model_dump(mode="json"))

    @blueprint.get("/<uuid:thing_id>")
    @needs("orders:read", answers=ThingOut, unless=True)
    def get_thing(thing_id: UUID) -> Answer:
        """Get a thing."""
        if unless() == '"1"':
            return Answer(304, (etag(1),), b"")
        return json_answer({"name": str(thing_id)}, etag(1))

    return blueprint


def _troubles() -> Blueprint:
    blueprint = Blueprint("troubles", __name__, url_prefix="/v1/troubles")

    @blueprint.get("/broken")
    @open_to_all("a test", answers=ThingOut)
    def break_down() -> Answer:
        """Break."""
        raise RuntimeError(edge_world.UNSPEAKABLE)

    @blueprint.get("/down")
    @open_to_all("a test", answers=ThingOut)
    def be_down() -> Answer:
        """Be down."""
        raise DatabaseUnavailable

    @blueprint.get("/told")
    @open_to_all("a test", Secret, answers=ThingOut)
    def tell() -> Answer:
        """Refuse, with more."""
        raise Secret("This one.", allowed=["a", "b"])

    return blueprint
