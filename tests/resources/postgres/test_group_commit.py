import asyncio
from collections.abc import Sequence

import pytest

from resources.postgres.group_commit import MANY, MOST_AT_ONCE, GroupCommit

PATIENCE_S = 10.0


class Refused(Exception):
    pass


class Table:
    """Stands for the database: written in batches, each all or nothing."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.poison: set[int] = set()
        self.failure: type[Exception] = Refused
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, items: Sequence[int]) -> list[int]:
        await self.gate.wait()
        self.batches.append(list(items))
        if self.poison.intersection(items):
            raise self.failure
        return [item * 10 for item in items]


def _is_refusal(failure: Exception) -> bool:
    return isinstance(failure, Refused)


async def test_callers_at_once_share_one_statement_and_each_gets_its_own_result() -> None:
    table = Table()
    group = GroupCommit(table.write)
    assert await asyncio.gather(*(group(number) for number in range(5))) == [0, 10, 20, 30, 40]
    assert table.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_while_a_batch_is_on_its_way_makes_the_next_one() -> None:
    table = Table()
    table.gate.clear()
    group = GroupCommit(table.write)
    first = asyncio.create_task(group(1))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(group(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    table.gate.set()
    await asyncio.gather(first, *others)
    assert table.batches == [[1], [2, 3]]


async def test_where_many_come_the_next_batch_gathers_a_little_longer() -> None:
    table = Table()
    group = GroupCommit(table.write, gather_s=0.2)
    await asyncio.gather(*(group(number) for number in range(MANY)))
    others = []
    for number in (10, 20):
        others.append(asyncio.create_task(group(number)))
        for _ in range(5):
            await asyncio.sleep(0)
    await asyncio.gather(*others)
    assert table.batches[1:] == [[10, 20]]


async def test_who_comes_alone_is_not_delayed() -> None:
    table = Table()
    group = GroupCommit(table.write, gather_s=10 * PATIENCE_S)
    for number in range(3):
        assert await asyncio.wait_for(group(number), PATIENCE_S) == number * 10


async def test_a_full_batch_that_waits_is_written_at_once() -> None:
    table = Table()
    group = GroupCommit(table.write, gather_s=10 * PATIENCE_S)
    everybody = [group.hand_in(number) for number in range(2 * MOST_AT_ONCE)]
    await asyncio.wait_for(asyncio.gather(*everybody), PATIENCE_S)


async def test_a_batch_has_an_end() -> None:
    table = Table()
    group = GroupCommit(table.write)
    await asyncio.gather(*(group(number) for number in range(MOST_AT_ONCE + 1)))
    assert [len(batch) for batch in table.batches] == [MOST_AT_ONCE, 1]


async def test_a_failed_batch_fails_all_its_callers_and_the_next_one_is_written() -> None:
    table = Table()
    table.poison, table.failure = {1}, ConnectionError
    group = GroupCommit(table.write, _is_refusal)
    results = await asyncio.gather(group(0), group(1), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    assert table.batches == [[0, 1]], "nobody knows what was written, so nothing is written again"
    assert await group(2) == 20


async def test_a_refused_item_fails_alone() -> None:
    table = Table()
    table.poison = {3, 77}
    group = GroupCommit(table.write, _is_refusal)
    results = await asyncio.gather(*(group(number) for number in range(100)), return_exceptions=True)
    assert [n for n, result in enumerate(results) if isinstance(result, Refused)] == [3, 77]
    assert [r for r in results if isinstance(r, int)] == [n * 10 for n in range(100) if n not in {3, 77}]
    assert len(table.batches) < 32, "halved, not tried one by one"


async def test_too_few_results_are_a_failure_and_nobody_waits_for_ever() -> None:
    async def write(items: Sequence[int]) -> list[int]:
        return list(items[1:])

    group = GroupCommit(write)
    results = await asyncio.wait_for(asyncio.gather(group(1), group(2), return_exceptions=True), PATIENCE_S)
    assert isinstance(results[1], ValueError)


async def test_a_cancelled_caller_takes_nothing_back_and_its_result_is_handed_over() -> None:
    table = Table()
    table.gate.clear()
    unclaimed: list[tuple[int, int]] = []
    group = GroupCommit(table.write, unclaimed=lambda item, result: unclaimed.append((item, result)))
    gone, stays = asyncio.create_task(group(1)), asyncio.create_task(group(2))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    table.gate.set()
    assert await stays == 20
    assert gone.cancelled()
    assert unclaimed == [(1, 10)]


async def test_a_caller_cancelled_between_result_and_waking_hands_it_over_too() -> None:
    unclaimed: list[int] = []
    callers: list[asyncio.Task[int]] = []

    async def write(items: Sequence[int]) -> list[int]:
        asyncio.get_running_loop().call_soon(callers[0].cancel)
        return list(items)

    group = GroupCommit(write, unclaimed=lambda item, _: unclaimed.append(item))
    callers.append(asyncio.create_task(group(1)))
    await asyncio.wait(callers)
    assert callers[0].cancelled()
    assert unclaimed == [1]


async def test_finish_waits_for_all_that_was_handed_in() -> None:
    table = Table()
    group = GroupCommit(table.write)
    handed_in = [group.hand_in(number) for number in range(MOST_AT_ONCE + 7)]
    await group.finish()
    assert all(done.done() for done in handed_in)


async def test_a_cancelled_writer_leaves_nobody_waiting_and_finish_writes_the_rest() -> None:
    table = Table()
    table.gate.clear()
    group = GroupCommit(table.write)
    lost = group.hand_in(1)
    await asyncio.sleep(0.01)
    later = group.hand_in(2)
    group._start().cancel()
    await asyncio.sleep(0)
    table.gate.set()
    await asyncio.wait_for(group.finish(), PATIENCE_S)
    assert lost.cancelled()
    assert await later == 20


@pytest.mark.parametrize("failure", [Refused, ConnectionError])
async def test_finish_returns_after_a_failure(failure: type[Exception]) -> None:
    table = Table()
    table.poison, table.failure = {1}, failure
    group = GroupCommit(table.write, _is_refusal)
    done = group.hand_in(1)
    await asyncio.wait_for(group.finish(), PATIENCE_S)
    assert isinstance(done.exception(), failure)
