import asyncio
from collections.abc import AsyncIterator

import pytest

from phase3_core.flow import Lanes, first_cause, in_window


async def numbers(until: int) -> AsyncIterator[int]:
    for number in range(until):
        yield number


class Burst(Exception):
    pass


async def test_work_starts_in_order_and_at_most_so_much_at_once() -> None:
    started: list[int] = []
    flying, most = 0, 0

    async def work(number: int) -> None:
        nonlocal flying, most
        started.append(number)
        flying += 1
        most = max(most, flying)
        for _ in range(10 - number % 10):
            await asyncio.sleep(0)
        flying -= 1

    await in_window(numbers(40), work, 4)
    assert started == list(range(40))
    assert most == 4


async def test_the_next_item_is_not_drawn_before_there_is_room() -> None:
    drawn, done = [], 0

    async def items() -> AsyncIterator[int]:
        for number in range(20):
            drawn.append(number - done)
            yield number

    async def work(number: int) -> None:
        nonlocal done
        await asyncio.sleep(0)
        del number
        done += 1

    await in_window(items(), work, 3)
    assert max(drawn) <= 4


async def test_the_first_failure_ends_all_of_it_and_is_raised_as_it_is() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.sleep(0)
            if number == 3:
                raise Burst
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(Burst) as caught:
        await in_window(numbers(10), work, 6)
    assert not isinstance(caught.value, BaseExceptionGroup)
    assert set(cancelled) >= {0, 1, 2}


async def test_a_failure_of_the_items_ends_the_work_too() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise Burst

    async def work(number: int) -> None:
        del number
        await asyncio.Event().wait()

    with pytest.raises(Burst):
        await in_window(items(), work, 2)


async def test_a_cancel_from_outside_cancels_the_work_and_stays_a_cancel() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    task = asyncio.ensure_future(in_window(numbers(9), work, 2))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(cancelled) == [0, 1]


async def test_nothing_to_do_is_done_at_once() -> None:
    async def work(number: int) -> None:
        raise Burst(number)

    await in_window(numbers(0), work, 1)


def test_the_cause_is_found_in_groups_within_groups() -> None:
    burst = Burst()
    nested = BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [burst, Burst()]), Burst()])
    assert first_cause(nested) is burst
    assert first_cause(burst) is burst


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_lane_is_for_one_at_a_time_in_the_order_of_coming() -> None:
    lanes, came = Lanes(), list[str]()

    async def pass_through(name: str) -> None:
        await lanes.enter("acme.example")
        came.append(name)
        await settled()
        lanes.leave("acme.example")
        came.append(name)

    await asyncio.gather(*map(pass_through, "abc"))
    assert "".join(came) == "aabbcc"


async def test_an_empty_lane_is_forgotten_also_where_somebody_gave_up_waiting() -> None:
    lanes = Lanes()
    await lanes.enter("acme.example")
    first, second = (asyncio.ensure_future(lanes.enter("acme.example")) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    lanes.leave("acme.example")
    await second
    assert len(lanes) == 1
    lanes.leave("acme.example")
    assert len(lanes) == 0


async def test_who_comes_while_another_is_called_in_stands_behind_it() -> None:
    lanes = Lanes()
    await lanes.enter("acme.example")
    called = asyncio.ensure_future(lanes.enter("acme.example"))
    await settled()
    lanes.leave("acme.example")
    later = asyncio.ensure_future(lanes.enter("acme.example"))
    await settled()
    assert (called.done(), later.done()) == (True, False)
    lanes.leave("acme.example")
    await later
