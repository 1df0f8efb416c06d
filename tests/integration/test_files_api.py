"""Files over HTTP, on SQLite and on PostgreSQL: brought whole or not at all, taken, forgotten."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.jobs.files import PIECE_BYTES, Files
from orderhouse.jobs.models.files import KEPT
from orderhouse.jobs.service.files import FileService, Piece
from orderhouse.kernel import clock
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, Role
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.web.refusals import Malformed
from orderhouse.runtime.web.request import UploadedBody
from tests.integration.jobs_world import Api, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("jobs")]

CONTENT = bytes(range(256)) * 2500
HOUR = 3_600_000_000


@pytest.fixture
async def api(place: Place, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(place, tmp_path) as api:
        yield api


def refused(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def begun(api: Api, name: str = "orders.csv") -> str:
    answer = await api("POST", "/v1/files", {"name": name})
    assert (answer.status_code, answer.json()["size"]) == (201, None)
    assert answer.headers["location"] == answer.json()["links"]["self"]
    return str(answer.headers["location"])


async def put(api: Api, file: str, content: bytes | AsyncIterator[bytes], **how: Any) -> httpx2.Response:
    role: Role = how.pop("role", "clerk")
    headers = {"Authorization": api.bearer(role, how.pop("subject", "me")), "Content-Type": "application/octet-stream"}
    return await api.client.put(f"{file}/content", content=content, headers=headers | how)


async def pieces(api: Api) -> int:
    found = await api.world.jobs.database.read(lambda reading: reading.rows("SELECT count(*) FROM file_pieces"))
    return int(found[0][0])


async def test_a_file_comes_back_as_it_was_brought(api: Api) -> None:
    file = await begun(api, "Umsatz “März”.csv")
    told = (await put(api, file, CONTENT)).json()
    assert (told["size"], told["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert await pieces(api) == -(-len(CONTENT) // PIECE_BYTES) > 1
    taken = await api("GET", f"{file}/content")
    assert taken.content == CONTENT
    assert taken.headers["content-length"] == str(len(CONTENT))
    assert taken.headers["content-type"] == "text/csv; charset=utf-8"
    assert taken.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''Umsatz%20%E2%80%9CM%C3%A4rz%E2%80%9D.csv"
    )
    assert "sandbox" in taken.headers["content-security-policy"]
    unchanged = await api("GET", f"{file}/content", headers={"If-None-Match": taken.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_an_empty_file_is_a_file(api: Api) -> None:
    file = await begun(api)
    assert (await put(api, file, b"")).json()["size"] == 0
    assert (await api("GET", f"{file}/content")).content == b""


async def test_a_content_is_put_once_and_the_same_again_changes_nothing(api: Api) -> None:
    file = await begun(api)
    first = await put(api, file, CONTENT)
    kept = await pieces(api)
    assert (await put(api, file, CONTENT)).json() == first.json()
    assert refused(await put(api, file, b"something else")) == (409, "file_whole")
    assert await pieces(api) == kept
    assert (await api("GET", f"{file}/content")).content == CONTENT


async def test_a_content_that_ends_early_or_is_too_large_leaves_nothing(api: Api) -> None:
    file = await begun(api)

    said = iter([{"type": "http.request", "body": CONTENT, "more_body": True}, {"type": "http.disconnect"}])

    async def gone() -> Any:
        return next(said)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield CONTENT

    body = UploadedBody(gone, {b"content-type": b"application/octet-stream"}, 10_000_000)
    files = Files(api.world.jobs.database, FileService())
    with pytest.raises(Malformed):
        await files.fill(UUID(file.rpartition("/")[2]), body.parts(), Principal("me", "clerk"))
    assert refused(await put(api, file, endless())) == (413, "body_too_large")
    assert refused(await put(api, file, b"x" * 1_000_001)) == (413, "body_too_large")
    assert refused(await put(api, file, b"x", **{"Content-Type": "text/csv"})) == (415, "media_type_unsupported")
    assert await pieces(api) == 0
    assert refused(await api("GET", f"{file}/content")) == (409, "file_empty")


async def test_a_strangers_file_is_not_there(api: Api) -> None:
    file = await begun(api)
    await put(api, file, CONTENT)
    for answer in (
        await api("GET", file, subject="somebody"),
        await api("GET", f"{file}/content", subject="somebody"),
        await api("DELETE", file, subject="somebody"),
        await put(api, file, CONTENT, subject="somebody"),
    ):
        assert refused(answer) == (404, "file_not_found")
    assert (await api("GET", file, role="owner", subject="boss")).status_code == 200


@pytest.mark.parametrize("name", ["", "a/b.csv", "a\\b.csv", "a\nb", "x" * 201])
async def test_a_name_that_is_none_is_refused(api: Api, name: str) -> None:
    assert refused(await api("POST", "/v1/files", {"name": name})) == (422, "request_invalid")


async def test_a_file_is_removed_with_its_content(api: Api) -> None:
    file = await begun(api)
    await put(api, file, CONTENT)
    assert (await api("DELETE", file)).status_code == 204
    assert refused(await api("GET", file)) == (404, "file_not_found")
    assert refused(await api("DELETE", file)) == (404, "file_not_found")
    assert await pieces(api) == 0


async def test_files_and_pieces_of_nothing_are_forgotten_when_their_time_is_over(api: Api) -> None:
    old, new = await begun(api), await begun(api)
    await put(api, old, CONTENT)
    database, service = api.world.jobs.database, FileService()
    await database.write(service.put, Piece(new_id(), 0, b"of an upload that was lost"))
    await put(api, new, CONTENT)
    kept = await pieces(api)
    # Those of a content that is under way still are left alone.
    assert await database.write(service.forget, clock.now()) == 0
    assert await pieces(api) == kept
    assert await database.write(service.forget, clock.now() + KEPT + 2 * HOUR) > 0
    assert refused(await api("GET", old)) == (404, "file_not_found")
    assert await pieces(api) == 0


async def test_a_job_leaves_its_file_with_whom_it_works_for(api: Api) -> None:
    api.world.start()
    job = await api.ask("write", argument={"name": "=1+1", "times": 2})
    done = await api.once(job, "done")
    content = done["result"]["file"]["links"]["content"]
    assert (await api("GET", content)).text == "=1+1=1+1"
    assert refused(await api("GET", content, subject="somebody")) == (404, "file_not_found")
