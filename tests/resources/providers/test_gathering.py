"""Questions that gather: whatever breaks on the way, everybody who waits hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast

import pytest

from phase3_core.errors import OutsideFailure
from phase3_core.ledger import Granted
from resources.providers.gate import Gate, Limits
from resources.providers.gathering import LONGEST_OPENING_S, Alone, Gathering, Member
from resources.providers.naps import Naps
from resources.providers.request import Request
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger
from tests.resources.postgres.test_ledger import asks

BROKEN = OutsideFailure("The database has been away for 300 s.")


class NoDatabase(Gate):
    """Nobody can tell whether there is a place."""

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        raise BROKEN
        yield


def gathering(**changes: Any) -> Gathering:
    async def submit(_: dict[bytes, Member]) -> None:
        raise AssertionError("nobody submits")

    usual = {
        "least": 1,
        "size": 2,
        "linger_s": 0.0,
        "row": lambda request: request.path,
        "ledger": FakeLedger(FakeClock()),
        "gate": Gate(Limits(), lambda: 0.0),
        "parked": lambda: "",
        "naps": Naps(),
        "submit": submit,
    }
    return Gathering(**cast("dict[str, Any]", usual | changes))


def two(joined: Gathering) -> list[Member]:
    return [joined.join(asks(name), Request("GET", f"/{name}")) for name in ("ada", "bob")]


async def test_a_gate_that_breaks_is_told_to_everyone_who_gathered() -> None:
    members = two(gathering(gate=NoDatabase(Limits(), lambda: 0.0)))
    for member in members:
        with pytest.raises(OutsideFailure):
            await asyncio.wait_for(member.opened, 5)


async def test_a_batch_that_breaks_when_some_have_their_answers_leaves_nobody_waiting() -> None:
    async def submit(fresh: dict[bytes, Member]) -> None:
        next(iter(fresh.values())).sent.set_result("answered")
        raise ValueError("the second part is no JSON")

    first, second = two(gathering(submit=submit))
    assert isinstance(await first.opened, Granted)
    assert await asyncio.wait_for(first.sent, 5) == "answered"
    with pytest.raises(ValueError, match="second part"):
        await asyncio.wait_for(second.sent, 5)


async def test_a_batch_that_took_long_to_open_does_not_leave() -> None:
    moments = count(step=LONGEST_OPENING_S + 1)
    for member in two(gathering(monotonic=lambda: next(moments))):
        assert isinstance(await member.opened, Granted)
        with pytest.raises(Alone):
            await asyncio.wait_for(member.sent, 5)
