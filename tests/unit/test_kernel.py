"""Ids, instants, cursors and permissions."""

import subprocess
import sys
import threading
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderhouse.kernel import clock, ids, pages
from orderhouse.kernel.errors import Conflict
from orderhouse.kernel.principal import PERMISSIONS, ROLES, Principal

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


def test_ids_are_version_seven_in_order_and_unique_over_threads() -> None:
    made: list[list[UUID]] = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda own: own.extend(ids.new_id() for _ in range(2000)), args=(own,)) for own in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(own == sorted(own) for own in made)
    every = [one for own in made for one in own]
    assert len(set(every)) == 16_000
    assert {one.version for one in every} == {7}
    assert {one.variant for one in every} == {RFC_4122}


def test_an_id_tells_when_it_was_made() -> None:
    before = clock.now() // 1000
    made = ids.new_id().int >> 80
    assert before <= made <= clock.now() // 1000 + 20


def test_request_ids_are_random_uuids_and_no_two_are_the_same() -> None:
    made = [ids.new_request_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(str(UUID(one)) == one for one in made)
    assert {(UUID(one).version, UUID(one).variant) for one in made} == {(4, RFC_4122)}
    constant = [place for place, seen in enumerate(zip(*made, strict=True)) if len(set(seen)) < 16]
    assert constant == [8, 13, 14, 18, 19, 23], "the hyphens, the version and the variant; all else differs"


FORKED = """
import os
from orderhouse.kernel import ids
ids.random_64(), ids.new_request_id()
child = os.fork()
drawn = [f"{ids.random_64()} {ids.new_request_id()}" for _ in range(600)]
if child:
    os.waitpid(child, 0)
print(*drawn, sep="\\n")
"""


def test_a_forked_process_draws_nothing_that_its_parent_draws() -> None:
    drawn = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True).stdout.split()
    assert len(drawn) == len(set(drawn)) == 2400


@given(st.integers(-62_135_596_800 * 10**6, 253_402_300_799 * 10**6))
def test_an_instant_and_its_text_are_the_same(instant: int) -> None:
    assert clock.from_text(clock.as_text(instant)) == instant


def test_texts_sort_as_instants_do() -> None:
    assert clock.as_text(0) == "1970-01-01T00:00:00.000000Z"
    assert clock.from_text("2011-03-27T02:00:00.000001+01:00") == clock.from_text("2011-03-27T01:00:00.000001Z")


@pytest.mark.parametrize(
    "text",
    ["2011-01-01", "2011-01-01T00:00:00", "now", "", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"],
)
def test_a_text_without_an_offset_or_outside_the_years_of_utc_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        clock.from_text(text)


@given(INT64, st.uuids(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_cursor_gives_back_its_key(number: int, key: UUID, text: str) -> None:
    cursor = pages.cursor_of("list", number, key, text)
    assert pages.key_of("list", cursor, int, UUID, str) == [number, key, text]


@given(st.text())
def test_anything_else_is_no_cursor(text: str) -> None:
    with pytest.raises(pages.CursorInvalid):
        pages.key_of("list", text, int)


def test_a_cursor_of_another_list_or_shape_is_refused() -> None:
    cursor = pages.cursor_of("orders", 5)
    for name, shape in (("customers", (int,)), ("orders", (str,)), ("orders", (int, int))):
        with pytest.raises(pages.CursorInvalid):
            pages.key_of(name, cursor, *shape)
    with pytest.raises(pages.CursorInvalid):
        pages.key_of("orders", pages.cursor_of("orders", 2**63), int)


def test_a_refusal_tells_its_title_its_detail_and_more() -> None:
    refusal = Conflict("Look again.", allowed=["a"])
    assert (refusal.title, refusal.detail) == ("What is there now does not allow this.", "Look again.")
    assert refusal.more == {"allowed": ["a"]}


def test_every_role_may_do_something_and_only_known_permissions_are_asked_for() -> None:
    for role in ROLES:
        assert any(Principal("x", role).may(permission) for permission in PERMISSIONS)
    with pytest.raises(KeyError):
        Principal("x", "owner").may("orders:dream")
    assert not Principal("x", "customer").may("analytics:read")
