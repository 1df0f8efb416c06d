"""The latest facts of a log, as followers share them: whatever was read by whom, nobody hears a gap or a wrong one."""

from collections.abc import Sequence
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from orderhouse.kernel.events import Fact, Origin
from orderhouse.runtime.recent import Recent

LOG = [Fact(n, UUID(int=n), "Told", 1, UUID(int=n), 1, {}, n, Origin("me")) for n in range(1, 61)]

pages = st.tuples(st.integers(0, 59), st.integers(1, 20))


class Few(Recent):
    MOST = 8


def page(after: int, limit: int) -> Sequence[Fact]:
    return LOG[after : after + limit]


@given(st.lists(pages, max_size=20), pages)
def test_what_is_heard_is_what_the_log_holds_there(read: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    recent = Few()
    for one in read:
        recent.add(page(*one))
        found = recent.behind(*asked)
        assert list(found) == list(page(*asked)[: len(found)])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=8))
def test_who_is_not_far_behind_need_not_ask_again(limits: list[int]) -> None:
    recent, position = Few(), 0
    for limit in limits:
        recent.add(page(position, limit))
        position += limit
    behind = max(0, position - Few.MOST)
    assert list(recent.behind(behind, 60)) == LOG[behind:position]


def test_no_more_are_remembered_than_followers_are_apart() -> None:
    recent = Few()
    for after in range(0, 60, 5):
        recent.add(page(after, 5))
        assert sum(len(recent.behind(n, 1)) for n in range(60)) <= Few.MOST
    assert not recent.behind(0, 60)


@given(st.permutations([page(after, 3) for after in range(0, 9, 3)]))
def test_commits_that_are_heard_of_in_another_order_leave_no_gap(told: list[Sequence[Fact]]) -> None:
    recent = Recent()
    for one in told:
        recent.add(one)
    assert recent.behind(0, 60) == LOG[:9]


def test_a_leap_forgets_what_is_before_it() -> None:
    recent = Few()
    recent.add(page(0, 5))
    recent.add(page(50, 2))
    assert recent.behind(50, 60) == LOG[50:52]
    assert not any(recent.behind(n, 1) for n in range(50))
