"""The spool: groups come back whole and in order, whatever the order of putting; nothing is left behind."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.runtime.spool import Spool, SpoolUnavailable

PAIRS = st.lists(st.tuples(st.text(max_size=3), st.tuples(st.integers(-(2**70), 2**70), st.text())), max_size=60)


@given(PAIRS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_groups_come_back_by_first_appearance_and_things_in_the_order_of_putting(
    tmp_path: Path, pairs: list[tuple[str, tuple[int, str]]]
) -> None:
    expected: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, thing in pairs:
        expected[key].append(thing)
    spool: Spool[tuple[int, str]] = Spool(tmp_path)
    assert spool.fill(pairs) == len(pairs)
    assert {key: list(spool.group(key)) for key in spool.first_seen()} == expected
    assert list(spool.first_seen()) == list(expected)
    spool.close()


def test_a_group_larger_than_a_piece_is_whole(tmp_path: Path) -> None:
    spool: Spool[int] = Spool(tmp_path)
    spool.fill((key, n) for n in range(1000) for key in ("a", "b")[: 1 + (n % 300 == 0)])
    assert list(spool.group("a")) == list(range(1000))
    assert list(spool.group("b")) == [0, 300, 600, 900]
    spool.close()


def test_its_file_has_no_name_so_that_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    spool: Spool[int] = Spool(tmp_path)
    spool.fill([("a", 1)])
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_what_was_left_in_the_moment_between_making_and_unnaming_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "spool-0197f0e2.tmp"
    left.write_bytes(b"half a file")
    other = tmp_path / "orders.sqlite3"
    other.touch()
    Spool(tmp_path).close()
    assert list(tmp_path.iterdir()) == [other]


def test_a_second_import_does_not_take_the_first_ones_file_away(tmp_path: Path) -> None:
    first: Spool[int] = Spool(tmp_path)
    second: Spool[int] = Spool(tmp_path)
    first.fill([("a", 1)])
    second.fill([("a", 2)])
    assert (list(first.group("a")), list(second.group("a"))) == ([1], [2])
    first.close()
    second.close()


def test_a_full_disk_and_a_folder_that_is_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnavailable, match="unable to open"):
        Spool(tmp_path / "none")
    spool: Spool[str] = Spool(tmp_path)
    spool._connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(SpoolUnavailable, match="full"):
        spool.fill(("a", "x" * 1000) for _ in range(1000))
    spool.close()
