"""A campaign whose run is killed again and again, beside the same one left alone: what is different.

`python -m tests.stage.storm LEADS KILLS [SEED]` tells it in figures.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from phase3_core.calls import MOST_LOSSES, ReplayClass
from sandbox.app import serve
from sandbox.options import Options
from sandbox.scenarios import REFERENCE
from tests.conftest import Server
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.invariants import broken, not_free_again, sums_that_differ, terms_of
from tests.stage.killing import killed_when
from tests.stage.stage import PATIENT, Stage, staged

LATENCY_MS = 10.0  # so that there is always something in flight
NEVER_TOLD = """
SELECT c.provider, c.losses, l.company_domain FROM provider_calls AS c JOIN leads AS l ON l.id = c.lead_id
WHERE c.state = 'unknown'
"""

# What never came, and what came once more: the first request's doubt counts under its lead's cap for good.
DOUBTED = """
SELECT DISTINCT l.company_domain FROM provider_calls AS c JOIN leads AS l ON l.id = c.lead_id
WHERE c.state = 'unknown' OR c.unknown_usd > 0
"""


@dataclass(frozen=True, slots=True)
class Storm:
    """So many kills at random moments on the way of so many leads."""

    leads: int
    kills: int
    seed: int


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`promises_broken` in words; USD it cost, at worst, and would have cost; calls that nobody answered and
    questions billed twice, by vendor; leads that ended in another row.
    """

    kills: int
    promises_broken: Sequence[str]
    cost: Decimal
    doubt: Decimal
    usual_cost: Decimal
    lost: Mapping[str, int]
    billed_twice: Mapping[str, int]
    otherwise: int

    @property
    def told(self) -> str:
        lines = [
            f"{self.kills} kills; {self.cost} USD and {self.doubt} in doubt; undisturbed {self.usual_cost}",
            f"never answered: {dict(self.lost)}; billed twice: {dict(self.billed_twice)}",
            f"leads in another row, for want of such an answer or of what its doubt cost: {self.otherwise}",
        ]
        return "\n".join([*lines, *self.promises_broken])


@asynccontextmanager
async def _campaign(storm: Storm, server: Server, template: str, folder: Path) -> AsyncIterator[Stage]:
    name = f"phase3_storm_{uuid4().hex[:12]}"
    url = server.make(name, template)
    options = Options(scale=storm.leads / REFERENCE.leads, latency_ms=LATENCY_MS, rate_factor=0)
    try:
        async with serve(options) as sandbox:
            stage = await staged(sandbox, url, folder, sandbox.parts.world.people, web=False)
            yield replace(stage, play=replace(stage.play, hurry=PATIENT))
    finally:
        server.drop(name)


async def weathered(storm: Storm, server: Server, template: str, folder: Path) -> Aftermath:
    """The campaign left alone, then in the storm."""
    async with _campaign(storm, server, template, folder) as stage:
        assert (await stage.perform()).why_not == ""
        usual, (usual_cost, _), requests = stage.rows(), stage.booked(), _requests(stage)
    async with _campaign(storm, server, template, folder) as stage:
        kills = await _killed(stage, storm, requests)
        assert (await stage.perform()).why_not == ""
        return await _aftermath(stage, kills, usual, usual_cost)


async def _killed(stage: Stage, storm: Storm, requests: int) -> int:
    """The moments are counted in requests, so that they are spread over the whole way."""
    rng = random.Random(storm.seed)
    moments = sorted(rng.sample(range(requests), storm.kills))
    return sum([await killed_when(stage.play, partial(_come_to, stage, moment)) for moment in moments])


def _come_to(stage: Stage, moment: int) -> bool:
    return _requests(stage) >= moment


def _requests(stage: Stage) -> int:
    return sum(account.requests for account in stage.sandbox.parts.bill.accounts.values())


async def _aftermath(stage: Stage, kills: int, usual: Mapping[str, Any], usual_cost: Decimal) -> Aftermath:
    rows, (cost, doubt) = stage.rows(), stage.booked()
    never_told = stage.query(NEVER_TOLD)
    excused = tuple(row["company_domain"] for row in stage.query(DOUBTED))
    otherwise = [who for who in usual if rows[who] != usual[who]]
    unexcused = [who for who in otherwise if not who.endswith(excused)]
    promises_broken = [
        *broken(stage),
        *await sums_that_differ(stage),
        *(f"{who} is {rows[who]}, undisturbed {usual[who]}" for who in unexcused),
        *_too_many(never_told, kills),
        *await not_free_again(stage),
    ]
    twice = Counter(vendor for (vendor, _, _), times in stage.times_billed().items() if times > 1)
    lost = Counter(row["provider"] for row in never_told)
    return Aftermath(kills, promises_broken, cost, doubt, usual_cost, lost, twice, len(otherwise))


def _too_many(never_told: Sequence[Mapping[str, Any]], kills: int) -> list[str]:
    """A kill loses what was in flight, and only at vendors that must not be asked again for good."""
    told = []
    for vendor, number in Counter(row["provider"] for row in never_told).items():
        terms = terms_of(vendor).terms
        if number > kills * terms.limits.in_flight:
            told.append(f"{vendor}: {number} answers lost by {kills} kills")
        losses = min(row["losses"] for row in never_told if row["provider"] == vendor)
        if terms.replay is not ReplayClass.PER_CALL and losses < MOST_LOSSES:
            told.append(f"{vendor} was not asked again")
    return told


def main() -> int:
    leads, kills, *seed = map(int, sys.argv[1:])
    storm = Storm(leads, kills, *(seed or [random.SystemRandom().randrange(10**6)]))
    with own_server("phase3-storm-") as (server, folder):
        aftermath = asyncio.run(weathered(storm, server, TEMPLATE, folder))
    sys.stdout.write(f"{storm}\n{aftermath.told}\n")
    return 1 if aftermath.promises_broken else 0


if __name__ == "__main__":
    sys.exit(main())
