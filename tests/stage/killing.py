"""A run in a process of its own, which may be killed at any edge: no cleanup, nothing said."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg

from resources.postgres.line import Line
from tests.polling import until
from tests.stage.stage import Hurried, Play

KILLED = 137
LOOK_EVERY_S = 0.005
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.stage.killing"])


class Edge(Enum):
    """Where a run can die: before and after whatever it does to the ledger and every request to a vendor,
    before and after every word with the database and every request, or between any two steps at all.
    """

    CALL = "call"
    EXCHANGE = "exchange"
    STEP = "step"


@dataclass
class Death:
    """Comes at the `at`-th edge; never, where there are fewer."""

    at: int
    passed: int = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os._exit(KILLED)


def _on_both_sides(holder: Any, name: str, death: Callable[[], None]) -> None:
    exchange = getattr(holder, name)

    async def mortal(*given: Any, **named: Any) -> Any:
        death()
        answered = await exchange(*given, **named)
        death()
        return answered

    setattr(holder, name, mortal)


def _before_every_step(death: Callable[[], None]) -> None:
    handle: Any = asyncio.Handle
    run = handle._run

    def mortal(self: asyncio.Handle) -> None:
        death()
        run(self)

    handle._run = mortal


def _perform(play: Play, edge: Edge, at: int, passed: Any) -> None:
    death = Death(at)
    match edge:
        case Edge.STEP:
            _before_every_step(death)
        case Edge.EXCHANGE:
            _on_both_sides(psycopg.AsyncConnection, "wait", death)
            _on_both_sides(Hurried, "send", death)
        case Edge.CALL:
            _on_both_sides(Line, "rows", death)
            _on_both_sides(Hurried, "send", death)
    ended = asyncio.run(play.perform())
    passed.value = death.passed
    os._exit(1 if ended.why_not else 0)


@dataclass(frozen=True, slots=True)
class Past:
    """What became of such a run. `edges` that it passed, where it lived."""

    killed: bool
    edges: int


async def perform(play: Play, edge: Edge, at: int = 0) -> Past:
    """A whole run; killed at the `at`-th edge if it gets there."""
    past, exit_code = await _past(play, edge, at)
    assert exit_code in {0, KILLED}, f"it ended with {exit_code}"
    return past


async def died(play: Play, edge: Edge, at: int) -> Past:
    """A run that is killed there, unless it ends before, well or not."""
    past, exit_code = await _past(play, edge, at)
    assert exit_code in {0, 1, KILLED}, f"it ended with {exit_code}"
    return past


async def _past(play: Play, edge: Edge, at: int) -> tuple[Past, int | None]:
    passed = FORKS.Value("i", 0)
    process = FORKS.Process(target=_perform, args=(play, edge, at, passed))
    process.start()
    await asyncio.to_thread(process.join)
    return Past(process.exitcode == KILLED, passed.value), process.exitcode


def _perform_alone(play: Play) -> None:
    """In a group of its own. Until the server has noticed that the run before is dead, it is another's."""
    os.setpgid(0, 0)
    while (ended := asyncio.run(play.perform())).why_not.startswith("Another run"):
        time.sleep(LOOK_EVERY_S)
    os._exit(1 if ended.why_not else 0)


async def killed_when(play: Play, reached: Callable[[], bool]) -> bool:
    """A whole run, killed with its process group as soon as it gets so far; whether it did."""
    process = FORKS.Process(target=_perform_alone, args=(play,))
    process.start()
    assert process.pid
    await until(lambda: reached() or not process.is_alive(), every_s=LOOK_EVERY_S, within_s=None)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()  # it had not come so far as to have a group
    await asyncio.to_thread(process.join)
    assert process.exitcode in {0, -signal.SIGKILL}, f"it ended with {process.exitcode}"
    return process.exitcode == -signal.SIGKILL
