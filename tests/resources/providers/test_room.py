"""Who comes in, and when: places by rank, and then in turn."""

import asyncio

import pytest

from resources.providers.room import Room


async def queue(room: Room, *ranks: str) -> list[asyncio.Task[None]]:
    """They come one after another."""
    comers = []
    for rank in ranks:
        comers.append(asyncio.create_task(room.take((rank,))))
        await asyncio.sleep(0)
    return comers


async def test_a_better_tier_comes_in_first_and_equals_in_turn() -> None:
    room, came = Room(1), list[str]()

    async def visit(name: str, *rank: str) -> None:
        async with room.taken(rank):
            came.append(name)
            await asyncio.sleep(0)

    visits = [("in", "C"), ("c", "C"), ("b1", "B"), ("b2", "B"), ("a", "A"), ("asked already",)]
    await asyncio.gather(*(visit(*one) for one in visits))
    assert came == ["in", "asked already", "a", "b1", "b2", "c"]
    assert (room.busy, room.queued) == (0, 0)


async def test_who_is_cancelled_in_the_queue_is_passed_over() -> None:
    room = Room(1)
    await room.take()
    gone, waits = await queue(room, "A", "B")
    gone.cancel()
    await asyncio.wait([gone])
    assert room.queued == 1
    room.give_back()
    await waits
    assert (room.busy, room.queued) == (1, 0)


async def test_who_is_cancelled_just_as_a_place_is_given_hands_it_on() -> None:
    room = Room(1)
    await room.take()
    gone, waits = await queue(room, "A", "A")
    room.give_back()
    gone.cancel()
    await waits
    assert gone.cancelled()
    assert room.busy == 1


async def test_who_is_cancelled_as_the_room_fails_has_no_place_to_hand_on() -> None:
    room = Room(0)
    gone, told = await queue(room, "A", "A")
    room.fail(ConnectionError())
    gone.cancel()
    with pytest.raises(ConnectionError):
        await told
    await asyncio.wait([gone])
    assert (room.busy, room.queued) == (0, 0)


async def test_fewer_places_put_nobody_out_and_more_let_in_who_queues() -> None:
    room = Room(2)
    await queue(room, "A", "A", "A")
    room.resize(1)
    assert (room.busy, room.queued) == (2, 1)
    room.give_back()
    assert (room.busy, room.queued) == (1, 1)
    room.resize(2)
    assert (room.busy, room.queued) == (2, 0)


async def test_an_open_room_takes_everybody() -> None:
    room = Room(0)
    waiting = await queue(room, "A", "B")
    room.open()
    await asyncio.gather(*waiting, room.take())
    assert room.busy == 3
