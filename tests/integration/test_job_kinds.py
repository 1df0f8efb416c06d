"""The kinds of job over the whole product, on SQLite and on PostgreSQL: what they make is what the API tells."""

import asyncio
import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orderhouse.jobs.kinds.export_orders import COLUMNS
from orderhouse.kernel.principal import Role
from tests.integration.orders_world import House

pytestmark = pytest.mark.anyio

WAIT_S = 20


async def done(house: House, job_kind: str, /, role: Role = "manager", subject: str = "boss", **argument: Any) -> Any:
    """Return the result of a job, or the problem it ended with."""
    who: dict[str, Any] = {"role": role, "subject": subject}
    asked = await house("POST", "/v1/jobs", {"kind": job_kind, "argument": argument}, **who)
    assert asked.status_code == 202, asked.text
    async with asyncio.timeout(WAIT_S):
        while (job := (await house("GET", asked.headers["location"], **who)).json())["ended_at"] is None:
            await asyncio.sleep(0.005)
    return job["result"] or job["error"]


async def content(house: House, result: dict[str, Any], **who: Any) -> bytes:
    answer = await house("GET", result["links"]["content"], **who)
    assert answer.status_code == 200, answer.text
    return answer.content


def table(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode())))


async def test_an_export_holds_what_the_list_of_orders_does_with_every_line(house: House) -> None:
    customer = await house.customer()
    lines = [{"sku": f"S{n}", "description": "=1+1", "quantity": n, "unit_price": "0.105"} for n in (1, 2, 3)]
    placed = [await house.order(customer, lines=lines[: n % 3 + 1], note=f"-{n}") for n in range(5)]
    await house("POST", f"/v1/orders/{placed[0]['id']}/transitions", {"to": "confirmed"}, if_match='"1"')
    wholes = [(await house("GET", f"/v1/orders/{one['id']}")).json() for one in placed]

    lines_of_json = await done(house, "export-orders", format="jsonl")
    exported = [json.loads(line) for line in (await content(house, lines_of_json["file"])).splitlines()]
    kept = exported[0].keys() - {"links"}
    assert [{k: one[k] for k in kept} for one in exported] == [{k: one[k] for k in kept} for one in wholes]

    rows = table(await content(house, (await done(house, "export-orders", format="csv"))["file"]))
    assert [(row["order_id"], row["sku"], row["amount"]) for row in rows] == [
        (one["id"], line["sku"], line["amount"]) for one in wholes for line in one["lines"]
    ]
    assert {row["description"] for row in rows} == {"'=1+1"}
    assert {row["note"][:2] for row in rows} == {"'-"}

    parquet = await done(house, "export-orders", format="parquet", status="confirmed")
    file = Path(house.folder) / "taken.parquet"
    file.write_bytes(await content(house, parquet["file"]))
    found = duckdb.read_parquet(str(file))
    assert found.columns == [column.name for column in COLUMNS]
    [amount] = found.sum("amount").fetchall()
    assert amount == (Decimal(wholes[0]["amount"]),)


async def test_an_export_holds_nothing_that_whom_it_works_for_may_not_see(house: House) -> None:
    customer = await house.customer()
    mine = await house.order(customer, role="clerk", subject="ada")
    await house.order(customer, role="clerk", subject="ben")
    told = await done(house, "export-orders", role="clerk", subject="ada")
    exported = table(await content(house, told["file"], role="clerk", subject="ada"))
    assert [row["order_id"] for row in exported] == [mine["id"]]


async def test_an_export_holds_what_the_team_is_answerable_for(house: House) -> None:
    customer, me, mate = await house.customer(), await house.clerk(), await house.clerk()
    theirs = await house.order(customer, role="clerk", subject=mate)
    await house.team(me, mate)
    async with asyncio.timeout(5):
        while not await house.walked("/v1/orders", role="clerk", subject=me):
            await asyncio.sleep(0.01)
    told = await done(house, "export-orders", role="clerk", subject=me)
    exported = table(await content(house, told["file"], role="clerk", subject=me))
    assert [row["order_id"] for row in exported] == [theirs["id"]]


async def test_an_export_that_cannot_be_made_says_why(house: House) -> None:
    assert (await done(house, "export-orders", customer="nobody"))["code"] == "job_argument_invalid"
    refused = await done(house, "export-orders", country="France", kind="credit")
    assert refused["code"] == "filters_do_not_combine"


@pytest.mark.parametrize("by", ["day", "customer", "status"])
async def test_a_report_tells_what_analytics_tells(house: House, by: str) -> None:
    customer = await house.customer(name="=Ada")
    for _ in range(3):
        await house.order(customer)
    days: dict[str, Any] = {"first_day": "2026-01-01", "last_day": "2035-12-31"}
    result = await done(house, "sales-report", format="csv", by=by, **days)
    told = await house.sales(by=by, **{"from": days["first_day"], "to": days["last_day"]})
    assert result["totals"] == told["totals"]
    rows = table(await content(house, result["file"]))
    figures = ("orders", "credits", "gross", "credit_total", "net")
    assert [[row[by], *(row[one] for one in figures)] for row in rows] == [
        [item["key"], *(str(item[one]) for one in figures)] for item in told["items"]
    ]
    assert {row.get("name", "'=Ada") for row in rows} == {"'=Ada"}


async def test_a_report_is_a_page_with_charts_in_which_nothing_runs(house: House) -> None:
    customer = await house.customer(name="<script>alert(1)</script>")
    await house.order(customer)
    result = await done(house, "sales-report", first_day="2026-01-01", last_day="2035-12-31")
    page = (await content(house, result["file"])).decode()
    assert page.count("<rect") == 120
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert result["totals"]["net"] in page
    answer = await house("GET", result["file"]["links"]["content"])
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_a_report_of_nothing_is_a_report(house: House) -> None:
    for form in ("html", "csv", "parquet"):
        result = await done(house, "sales-report", format=form, first_day="2001-01-01", last_day="2001-01-07")
        assert result["totals"]["orders"] == 0
        assert result["file"]["size"] > 0


async def test_a_report_that_cannot_be_made_says_why(house: House) -> None:
    customer = await house.customer()
    for currency in ("GBP", "EUR"):
        await house.order(customer, currency=currency)
    days: dict[str, Any] = {"first_day": "2026-01-01", "last_day": "2035-12-31"}
    assert (await done(house, "sales-report", **days))["code"] == "currency_needed"
    assert (await done(house, "sales-report", **days, currency="EUR"))["currency"] == "EUR"
    for wrong in ({"last_day": "2025-01-01"}, {"time_zone": "Mars/Base"}, {"currency": "€"}, {"what": 1}):
        answer = await house("POST", "/v1/jobs", {"kind": "sales-report", "argument": {**days, **wrong}})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/job_argument_invalid")
    forbidden = await house("POST", "/v1/jobs", {"kind": "sales-report", "argument": days}, role="clerk")
    assert (forbidden.status_code, forbidden.json()["type"]) == (403, "/problems/job_kind_not_allowed")


async def brought(house: House, file: bytes) -> str:
    begun = (await house("POST", "/v1/files", {"name": "retail.csv"})).json()
    headers = house.bearer() | {"content-type": "application/octet-stream"}
    put = await house.client.put(begun["links"]["content"], content=file, headers=headers)
    assert put.status_code == 200, put.text
    return str(begun["id"])


SLICE = Path(__file__).parents[1] / "data" / "online-retail-slice.csv"


async def test_a_file_is_imported_once_and_what_is_refused_comes_back_as_a_file(house: House) -> None:
    bad = b"999999,85123A,A LAMP,six,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"
    file = await brought(house, SLICE.read_bytes() + bad)
    first = await done(house, "import-orders", file=file)
    assert first["documents"]["refused"] == 1
    assert first["documents"]["new"] > 10
    lines = [json.loads(line) for line in (await content(house, first["report"])).splitlines()]
    assert lines[0]["document"] == "999999"
    assert lines[-1]["outcome"] == "totals"
    second = await done(house, "import-orders", file=file)
    assert second["documents"] == {"there": first["documents"]["new"], "refused": 1}
    exported = await done(house, "export-orders", format="csv")
    assert exported["rows"] == first["lines"]["new"]


async def test_an_import_that_cannot_be_made_says_why(house: House) -> None:
    nowhere = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"
    assert (await done(house, "import-orders", file=nowhere))["code"] == "file_not_found"
    empty = (await house("POST", "/v1/files", {"name": "x.csv"})).json()["id"]
    assert (await done(house, "import-orders", file=empty))["code"] == "file_empty"
    wrong = await brought(house, b"what,is,this\n1,2,3\n")
    assert (await done(house, "import-orders", file=wrong))["code"] == "file_unreadable"
    assert (await done(house, "import-orders", file=wrong, source="nobody's"))["code"] == "source_unknown"


async def sold(house: House, orders: int) -> dict[str, Any]:
    """Return the figures once they hold so many orders."""
    async with asyncio.timeout(WAIT_S):
        while True:
            told = await house.sales(by="customer", **{"from": "2026-01-01", "to": "2035-12-31"})
            if told["totals"]["orders"] == orders:
                return told


async def test_analytics_made_anew_tell_the_same(house: House) -> None:
    customer = await house.customer()
    for _ in range(4):
        await house.order(customer)
    before = await sold(house, 4)
    result = await done(house, "rebuild-analytics")
    assert result["facts"] >= 4
    after = await sold(house, 4)
    assert {**after, "fresh_as_of": ""} == {**before, "fresh_as_of": ""}
    await house.order(customer)
    await sold(house, 5)
    assert not list(house.folder.glob("*anew*"))


async def test_what_ended_long_ago_is_removed(house: House) -> None:
    asked = await house("POST", "/v1/jobs", {"kind": "ping"})
    result = await done(house, "clean-up")
    assert result == {"removed": {"jobs": 0, "files": 0}}
    assert (await house("GET", asked.headers["location"])).status_code == 200


async def test_only_managers_import_rebuild_and_clean_up(house: House) -> None:
    for kind in ("import-orders", "rebuild-analytics", "clean-up"):
        asked = await house("POST", "/v1/jobs", {"kind": kind}, role="clerk")
        assert (asked.status_code, asked.json()["type"]) == (403, "/problems/job_kind_not_allowed"), kind
