"""Two campaigns at once while PostgreSQL restarts and crashes every few moments: both end right."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from phase3_core.money import usd
from phase3_core.policy import LeadCaps
from phase3_core.tiers import Tier
from resources.postgres.embedded.server import EmbeddedPostgres, running
from resources.postgres.upgrade import upgrade
from sandbox.app import Sandbox, serve
from sandbox.options import Options
from tests.caretaker import cared_for
from tests.conftest import Server
from tests.polling import until
from tests.stage.alone import TEMPLATE
from tests.stage.stage import Stage, staged
from tests.stage.storm import Storm, requests_of, weathered
from tests.stage.unsteady import MODES, Unsteady, gone

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Ends:
    """What both campaigns left behind."""

    rows: dict[str, tuple[Any, ...]]
    cost: Decimal


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """What is committed outlasts a crash here: `synchronous_commit` and `fsync` are on."""
    with cared_for("phase3-unsteady-") as folder, running(folder) as embedded:
        yield embedded


GIVEN_UP = (
    r"The database has been away for 1 s \(.+\)\. "
    r"Check the server and run again: the run goes on where it stopped\."
)
PLENTY = LeadCaps(usd(1_000), dict.fromkeys(Tier, usd(1_000)))
Unsettling = Callable[[Sandbox], Unsteady]


async def both(
    server: EmbeddedPostgres, folder: Path, scale: float, leads: int, unsettling: Unsettling | None = None
) -> Ends:
    """Every second lead is the other campaign's, so that they share companies.

    Who asks first pays, and no lead's cap is near: so what is bought does not depend on who that is.
    """
    url = Server(server.uri).make(f"phase3_unsteady_{uuid4().hex[:12]}")
    upgrade(url)
    async with serve(Options(latency_ms=0, rate_factor=0, scale=scale)) as sandbox:
        people = sandbox.parts.world.people[:leads]
        stages = [await staged(sandbox, url, folder, people[first::2], web=False) for first in (0, 1)]
        plays = [replace(stage.play, lead_caps=PLENTY) for stage in stages]
        async with unsettling(sandbox).restarting() if unsettling else nullcontext():
            ended = await asyncio.gather(*(play.perform() for play in plays))
        assert [one.why_not for one in ended] == ["", ""]
        return _ends(Stage(sandbox, plays[0]))


def _ends(stage: Stage) -> Ends:
    """The ledger is the bill, and nothing is on it twice."""
    assert stage.booked() == (stage.billed(), Decimal(0))
    assert {asked: times for asked, times in stage.times_billed().items() if times > 1} == {}
    assert stage.query("SELECT 1 FROM provider_calls WHERE state <> 'settled'") == []
    return Ends(stage.rows(), stage.billed())


@dataclass
class EverySoManyQuestions:
    """To the vendors: so a campaign meets as many outages on any machine."""

    sandbox: Sandbox
    questions: int
    seen: int = 0

    async def __call__(self) -> None:
        self.seen += self.questions
        while len(self.sandbox.parts.bill.asked) < self.seen:  # noqa: ASYNC110 - the sandbox has no event for a request
            await asyncio.sleep(0.002)


async def test_two_campaigns_end_right_while_the_server_restarts_and_crashes(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    usual = await both(server, tmp_path, 0.01, 40)
    outages: list[str] = []

    def unsettling(sandbox: Sandbox) -> Unsteady:
        return Unsteady(server, EverySoManyQuestions(sandbox, 40), outages=outages)

    assert await both(server, tmp_path, 0.01, 40, unsettling) == usual
    assert len(outages) >= len(MODES)


async def away_for_too_long(stage: Stage, _: Storm, requests: int, *, server: EmbeddedPostgres) -> int:
    """Until the run has given the database up, halfway."""
    play = replace(stage.play, longest_outage_s=1.0)
    running = asyncio.create_task(play.perform())
    await until(lambda: requests_of(stage) > requests / 2)
    with gone(server, MODES[0]):
        why_not = (await running).why_not
    assert re.fullmatch(GIVEN_UP, why_not)
    return 1


async def test_a_database_that_stays_away_ends_the_run_with_one_line_and_the_next_goes_on(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    """As a killed run does: calls in flight are in doubt, everything else is as it would have been."""
    cluster, storm = Server(server.uri), Storm(leads=40, kills=1, seed=0)
    upgrade(cluster.make(TEMPLATE))
    aftermath = await weathered(storm, cluster, TEMPLATE, tmp_path, partial(away_for_too_long, server=server))
    assert aftermath.promises_broken == []


@pytest.mark.soak
async def test_two_large_campaigns_end_right_through_minutes_of_outages(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    usual = await both(server, tmp_path, 0.2, 3_000)
    outages: list[str] = []

    def unsettling(sandbox: Sandbox) -> Unsteady:
        return Unsteady(server, EverySoManyQuestions(sandbox, 800), away_s=2.0, outages=outages)

    assert await both(server, tmp_path, 0.2, 3_000, unsettling) == usual
    assert len(outages) >= 10
