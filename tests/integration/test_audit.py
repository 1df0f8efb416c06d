"""The audit log on SQLite and on PostgreSQL: what it keeps, who reads it and how, and that nobody changes it."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orderhouse.auth import reads
from orderhouse.auth.schemas.audit import ListAudit
from orderhouse.auth.wiring import SCHEMA
from orderhouse.kernel import clock
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import ROLES, Role
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.transaction import Reading, Transaction
from orderhouse.runtime.refused import Refused
from tests.integration.auth_world import Api, code, opened, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("auth")]

ADA = UUID("0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e")
NOON = 1_790_000_000_000_000
SECOND = 1_000_000


@pytest.fixture
async def api(place: Place, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(place, tmp_path) as asked:
        yield asked


def refused(actor: str = "clerk-1", at: int = NOON, request: str = "request-1") -> Refused:
    return Refused(new_id(), at, actor, "192.0.2.7", "POST /v1/teams", "/v1/teams", "permission_missing", request)


def bearer(api: Api, role: Role = "manager") -> str:
    return api.keys.issue("boss", role, minutes=5)


async def page(api: Api, **asked: Any) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    answer = await api("GET", f"/v1/audit?{query}", token=bearer(api))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_refusal_is_kept_once_however_often_it_comes(api: Api) -> None:
    one, other = refused(actor=str(ADA)), refused()
    await api.world.auth.keep_refused([one])
    await api.world.auth.keep_refused([one, other, other])
    found = (await page(api))["items"]
    assert {entry["id"] for entry in found} == {str(one.id), str(other.id)}
    entry = next(entry for entry in found if entry["id"] == str(one.id))
    assert entry == {
        "id": str(one.id),
        "at": clock.as_text(NOON),
        "action": "refused",
        "actor": str(ADA),
        "user_id": str(ADA),
        "address": "192.0.2.7",
        "request_id": "request-1",
        "before": {},
        "after": {"code": "permission_missing", "operation": "POST /v1/teams", "path": "/v1/teams"},
    }


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "cba"),
    ({"actor": "clerk-1"}, "ba"),
    ({"user_id": ADA}, "c"),
    ({"request_id": "request-2"}, "cb"),
    ({"request_id": "request-2", "actor": "clerk-1"}, "b"),
    ({"action": "refused"}, "cba"),
    ({"action": "signed_in"}, ""),
    ({"since": clock.as_text(NOON + SECOND)}, "cb"),
    ({"until": clock.as_text(NOON + SECOND)}, "a"),
    ({"since": clock.as_text(NOON + SECOND), "until": clock.as_text(NOON + 2 * SECOND)}, "b"),
]


async def test_it_is_filtered_and_shown_latest_first(api: Api) -> None:
    entries = {
        "a": refused(),
        "b": refused(at=NOON + SECOND, request="request-2"),
        "c": refused(actor=str(ADA), at=NOON + 2 * SECOND, request="request-2"),
    }
    await api.world.auth.keep_refused(list(entries.values()))
    for asked, found in FILTERS:
        shown = [entry["id"] for entry in (await page(api, **asked))["items"]]
        assert shown == [str(entries[name].id) for name in found], asked


async def test_pages_miss_and_repeat_nothing(api: Api) -> None:
    # Some at the same instant: the id decides between them.
    wanted = [refused(at=NOON + n // 3) for n in range(11)]
    await api.world.auth.keep_refused([*wanted, refused(actor="somebody else")])
    seen, path = [], "/v1/audit?actor=clerk-1&limit=4&since=2001-01-01T00:00:00Z"
    while path:
        answer = (await api("GET", path, token=bearer(api))).json()
        assert answer["links"]["self"].startswith("/v1/audit?actor=clerk-1&")
        seen += [entry["id"] for entry in answer["items"]]
        path = answer["links"].get("next", "")
    assert seen == [str(one.id) for one in sorted(wanted, key=lambda one: (one.at, one.id), reverse=True)]


async def test_it_is_taken_away_as_csv_in_which_nothing_is_live(api: Api) -> None:
    await api.world.auth.keep_refused([refused(actor="=cmd|'/c calc'!A1"), refused(at=NOON - 1)])
    answer = await api("GET", "/v1/audit?format=csv", token=bearer(api))
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["actor"] for row in rows] == ["'=cmd|'/c calc'!A1", "clerk-1"]
    assert json.loads(rows[1]["after"])["operation"] == "POST /v1/teams"


async def test_it_is_taken_away_as_lines_of_json_and_told_where_it_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orderhouse.auth.routes.audit.LARGEST_EXPORT", 2)
    wanted = [refused(at=NOON + n) for n in range(3)]
    await api.world.auth.keep_refused(wanted)
    first = await api("GET", "/v1/audit?format=ndjson", token=bearer(api))
    assert first.headers["content-type"] == "application/x-ndjson"
    following = first.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    last = await api("GET", following, token=bearer(api))
    assert "link" not in last.headers
    lines = [json.loads(line) for line in (first.text + last.text).splitlines()]
    assert [line["id"] for line in lines] == [str(one.id) for one in reversed(wanted)]


async def test_only_who_may_reads_it(api: Api) -> None:
    for role in ROLES:
        token = api.keys.issue("somebody", role, minutes=5, customer_id=ADA)
        answer = await api("GET", "/v1/audit", token=token)
        assert answer.status_code == (200 if role in ("owner", "manager") else 403), role


async def test_only_a_service_adds_to_it_and_the_same_again_changes_nothing(api: Api) -> None:
    one = {**refused()._asdict(), "id": str(new_id())}
    for _ in range(2):
        answer = await api("POST", "/v1/audit/refusals", {"items": [one]}, token=bearer(api, "service"))
        assert answer.status_code == 204
    assert [entry["id"] for entry in (await page(api))["items"]] == [one["id"]]
    assert code(await api("POST", "/v1/audit/refusals", {"items": [one]}, token=bearer(api, "owner"))) == (
        403,
        "permission_missing",
    )
    for wrong in ([], [{**one, "action": "signed_in"}], [{**one, "actor": "a\nb"}]):
        answer = await api("POST", "/v1/audit/refusals", {"items": wrong}, token=bearer(api, "service"))
        assert code(answer) == (422, "request_invalid")


CHANGES = {
    "sqlite": [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT id, at, 'nothing', actor, user_id, address, request_id, before, after "
        "FROM audit",
        "INSERT INTO audit SELECT * FROM audit WHERE true ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
    ],
    "postgresql": [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit SELECT * FROM audit WHERE true ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
    ],
}


async def test_nobody_changes_what_was_audited(api: Api) -> None:
    await api.world.auth.keep_refused([refused(), refused()])
    before = await api.world.rows("SELECT * FROM audit ORDER BY id")

    def spoil(tx: Transaction, asked: Sequence[str]) -> list[int]:
        return [tx.run(sql) for sql in asked]

    changes = CHANGES[api.world.auth.database.dialect]
    for sql in changes:
        with pytest.raises(Exception, match="what was audited stays"):
            await api.world.auth.database.write(spoil, sql)
    assert await api.world.rows("SELECT * FROM audit ORDER BY id") == before
    assert len(changes) == 4


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "audit_at"),
        ({"since": clock.as_text(NOON)}, "audit_at"),
        ({"actor": "clerk-1"}, "audit_actor"),
        ({"user_id": str(ADA)}, "audit_user"),
        ({"action": "refused"}, "audit_action"),
        ({"request_id": "request-1"}, "audit_request"),
    ],
    ids=str,
)
async def test_every_list_reads_by_its_index_and_sorts_nothing(
    tmp_path: Path, asked: dict[str, str], index: str
) -> None:
    migrate.migrate(SCHEMA, tmp_path / "auth.sqlite3")
    plans: list[str] = []

    def explained(reading: Reading) -> None:
        class Explaining:
            def rows(self, sql: str, **values: object) -> list[Any]:
                plans.extend(str(row[-1]) for row in reading.rows(f"EXPLAIN QUERY PLAN {sql}", **values))
                return []

        reads.audit(Explaining(), ListAudit.model_validate(asked), 50)  # type: ignore[arg-type]  # asked for rows alone

    async with opened(tmp_path / "auth.sqlite3", tmp_path) as world:
        await world.auth.database.read(explained)
    assert [plan for plan in plans if "USING INDEX" in plan and f"INDEX {index} " in f"{plan} "], plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan], plans


async def test_whom_an_entry_is_about_is_who_asked_where_that_is_a_person(api: Api) -> None:
    await api.world.auth.keep_refused([refused(actor="nightly-import"), refused(actor=str(ADA))])
    found = {entry["actor"]: entry["user_id"] for entry in (await page(api))["items"]}
    assert found == {"nightly-import": None, str(ADA): str(ADA)}
