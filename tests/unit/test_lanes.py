"""Lanes: who waits together is kept together, and a second connection is used when it is worth it."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from orderhouse.runtime.database.lanes import _WARY_FOR, _WORTH_ANOTHER, Lane
from orderhouse.runtime.database.sqlite import SqliteTransaction
from orderhouse.runtime.database.transaction import ConstraintBroken, Performed, Transaction

pytestmark = pytest.mark.anyio


class Slow:
    """A connection whose commits take until they are let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.go_on = asyncio.Event()

    async def __call__(self, work: Callable[[Any], Any], *, briefly: bool) -> Performed[Any]:
        done = work(SqliteTransaction(sqlite3.connect(":memory:"), Session))
        self.begun.append(len(done))
        await self.go_on.wait()
        return done, ()


def doubled(_tx: Any, asked: Sequence[int]) -> Sequence[int]:
    return [2 * one for one in asked]


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_second_transaction_is_begun_for_a_good_many_and_not_for_a_few() -> None:
    first, second = Slow(), Slow()
    lane = Lane([first, second], bound=100, refusals={}, told=lambda _: None)
    answers = [lane.put(doubled, [0], alone=False)]
    await settled()
    assert (first.begun, second.begun) == ([1], []), "who is alone waits for nobody"
    answers += [lane.put(doubled, [n], alone=False) for n in range(1, _WORTH_ANOTHER)]
    await settled()
    assert (first.begun, second.begun) == ([1], []), "a few wait for the one under way"
    answers.append(lane.put(doubled, [_WORTH_ANOTHER], alone=False))
    await settled()
    assert (first.begun, second.begun) == ([1], [_WORTH_ANOTHER])
    answers.append(lane.put(doubled, [_WORTH_ANOTHER + 1], alone=False))
    second.go_on.set()
    await settled()
    assert [answer.done() for answer in answers] == [False, *[True] * _WORTH_ANOTHER, False]
    first.go_on.set()
    assert [(await answer)[0] for answer in answers] == [2 * n for n in range(_WORTH_ANOTHER + 2)]
    await lane.close()


async def test_what_waits_is_written_before_the_end() -> None:
    first, second = Slow(), Slow()
    lane = Lane([first, second], bound=100, refusals={}, told=lambda _: None)
    answers = [lane.put(doubled, [n], alone=False) for n in range(3)]
    await settled()
    answers.append(lane.put(doubled, [3], alone=False))
    closing = asyncio.create_task(lane.close())
    await settled()
    first.go_on.set()
    second.go_on.set()
    await closing
    assert [(await answer)[0] for answer in answers] == [0, 2, 4, 6]


async def test_what_is_taken_back_is_tried_again_warily_and_so_are_the_next_for_a_while() -> None:
    connection = Slow()
    connection.go_on.set()
    lane = Lane([connection], bound=100, refusals={}, told=lambda _: None)
    seen: list[bool] = []

    def work(tx: Transaction, asked: Sequence[str]) -> Sequence[str]:
        seen.append(tx.wary)
        if asked == ["again"] and not tx.wary:
            raise ConstraintBroken("answers_pkey")
        return asked

    assert await lane.put(work, ["new"], alone=False) == ["new"]
    assert await lane.put(work, ["again"], alone=False) == ["again"]
    assert seen == [False, False, True]
    seen.clear()
    for _ in range(_WARY_FOR + 1):
        await lane.put(work, ["new"], alone=False)
    assert seen.count(True) in (_WARY_FOR - 1, _WARY_FOR)
    assert not seen[-1], "and then hardly anybody comes twice again"
    await lane.close()
