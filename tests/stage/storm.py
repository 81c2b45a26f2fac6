"""A campaign whose run is killed again and again, beside the same one left alone: what is different.

`python -m tests.stage.storm LEADS KILLS [SEED] [--bulk]` tells it in figures.
"""

import argparse
import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from phase3_core.calls import MOST_LOSSES, ReplayClass
from phase3_core.money import ZERO
from phase3_core.policy import HALF_A_DOLLAR
from phase3_core.statuses import Agent
from sandbox.app import serve
from sandbox.options import Options
from sandbox.scenarios import REFERENCE
from tests.conftest import Server
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.evidence import Evidence, evidence
from tests.stage.invariants import broken, not_free_again, sums_that_differ, terms_of
from tests.stage.killing import killed_when
from tests.stage.stage import TAKE_TASKS, Bulk, Stage, staged, times_billed

LATENCY_MS = 10.0  # so that there is always something in flight
MOST_OTHERWISE: Mapping[Bulk, float] = {"auto": 0.25, "always": 0.5}  # of all leads; a task loses many
NEVER_TOLD = "SELECT provider, losses FROM provider_calls WHERE state = 'unknown'"
WHO = "concat(l.first_name, l.last_name, l.company_domain) AS who, l.company_domain AS company"
LEADS = f"SELECT {WHO}, email, email_status, email_provider, enrichment_status FROM leads AS l"

# What never came, and what came once more: the first request's doubt counts under its lead's cap for good.
DOUBTED = f"""
SELECT DISTINCT {WHO}, c.agent FROM provider_calls AS c JOIN leads AS l ON l.id = c.lead_id
WHERE c.state = 'unknown' OR c.unknown_usd > 0
"""
COSTS = """
SELECT l.company_domain AS company, sum(c.cost_usd + c.unknown_usd) AS usd
FROM provider_calls AS c JOIN leads AS l ON l.id = c.lead_id GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Storm:
    """So many kills at random moments on the way of so many leads."""

    leads: int
    kills: int
    seed: int
    bulk: Bulk = "auto"


@dataclass(frozen=True, slots=True)
class End:
    """What a campaign came to: its leads by who they are, USD by company, at worst, and what was settled."""

    leads: Mapping[str, Mapping[str, Any]]
    costs: Mapping[str, Decimal]
    cost: Decimal
    doubt: Decimal

    def address(self, who: str) -> tuple[Any, ...]:
        return tuple(self.leads[who][name] for name in ("email", "email_status", "email_provider"))


@dataclass(frozen=True, slots=True)
class Doubts:
    """Leads with an answer in doubt; those of them with one about their address; and how many each company
    has, an agent's of one lead taken as one: its leads share what is asked about it, and what that costs.
    """

    leads: AbstractSet[str]
    addresses: AbstractSet[str]
    companies: Counter[str]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """`promises_broken` in words; what it came to and would have come to; calls that nobody answered and
    questions billed twice, by vendor; leads with a doubt, and leads that ended in another row.
    """

    kills: int
    promises_broken: Sequence[str]
    end: End
    usual: End
    lost: Mapping[str, int]
    billed_twice: Mapping[str, int]
    in_doubt: int
    otherwise: int

    @property
    def told(self) -> str:
        end = self.end
        lines = [
            f"{self.kills} kills; {end.cost} USD and {end.doubt} in doubt; undisturbed {self.usual.cost}",
            f"never answered: {dict(self.lost)}; billed twice: {dict(self.billed_twice)}",
            f"leads with an answer in doubt: {self.in_doubt} of {len(end.leads)}",
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
            yield replace(stage, play=replace(stage.play, bulk=storm.bulk))
    finally:
        server.drop(name)


async def _killed(stage: Stage, storm: Storm, requests: int) -> int:
    """The moments are counted in requests, so that they are spread over the whole way."""
    rng = random.Random(storm.seed)
    moments = sorted(rng.sample(range(requests), storm.kills))
    return sum([await killed_when(stage.play, partial(_come_to, stage, moment)) for moment in moments])


def _come_to(stage: Stage, moment: int) -> bool:
    return requests_of(stage) >= moment


def requests_of(stage: Stage) -> int:
    return sum(account.requests for account in stage.sandbox.parts.bill.accounts.values())


Strikes = Callable[[Stage, Storm, int], Awaitable[int]]


async def weathered(
    storm: Storm, server: Server, template: str, folder: Path, strikes: Strikes = _killed
) -> Aftermath:
    """The campaign left alone, then in the storm, and once more to its end.

    `strikes`: how often it was struck on its way of so many requests.
    """
    async with _campaign(storm, server, template, folder) as stage:
        assert (await stage.perform()).why_not == ""
        usual, requests = _end(stage), requests_of(stage)
        assert usual.doubt == 0
    async with _campaign(storm, server, template, folder) as stage:
        kills = await strikes(stage, storm, requests)
        assert (await stage.perform()).why_not == ""
        return await _aftermath(stage, kills, usual)


def _end(stage: Stage) -> End:
    leads, costs = stage.query_all(LEADS, COSTS)
    by_company = {row["company"]: row["usd"] for row in costs}
    return End({row["who"]: row for row in leads}, by_company, *stage.booked())


async def _aftermath(stage: Stage, kills: int, usual: End) -> Aftermath:
    end, doubts, never_told = _end(stage), _doubts(stage), stage.query(NEVER_TOLD)
    otherwise = [who for who in usual.leads if end.leads[who] != usual.leads[who]]
    promises_broken = [
        *broken(stage),
        *await sums_that_differ(stage),
        *_unexcused(end, usual, doubts),
        *_too_dear(end, usual, doubts),
        *_too_many(otherwise, usual, stage.play.bulk),
        *_too_many_lost(never_told, kills, stage.play.bulk),
        *_billed_for_nothing(evidence(stage)),
        *await not_free_again(stage),
    ]
    twice = Counter(vendor for (vendor, _, _), times in stage.times_billed().items() if times > 1)
    lost = Counter(row["provider"] for row in never_told)
    return Aftermath(kills, promises_broken, end, usual, lost, twice, len(doubts.leads), len(otherwise))


def _doubts(stage: Stage) -> Doubts:
    rows = stage.query(DOUBTED)
    return Doubts(
        leads={row["who"] for row in rows},
        addresses={row["who"] for row in rows if row["agent"] == Agent.EMAIL_VERIFICATION},
        companies=Counter(row["company"] for row in rows),
    )


# --- what is not as it should be


def _unexcused(end: End, usual: End, doubts: Doubts) -> Iterator[str]:
    """Only a doubt about its address gives a lead another one, only one at its company anything else."""
    for who, lead in usual.leads.items():
        by_address = who in doubts.addresses or end.address(who) == usual.address(who)
        by_company = lead["company"] in doubts.companies or end.leads[who] == lead
        if not (by_address and by_company):
            yield f"{who} is {end.leads[who]}, undisturbed {lead}"


def _too_dear(end: End, usual: End, doubts: Doubts) -> Iterator[str]:
    """Where nothing is in doubt leads cost what they would have cost; else whom it concerns asks others, up
    to the lead's cap.
    """
    for company in usual.costs.keys() | end.costs.keys():
        cost, would_have = end.costs.get(company, ZERO), usual.costs.get(company, ZERO)
        excused = doubts.companies[company] * HALF_A_DOLLAR
        if cost > would_have + excused or (not excused and cost != would_have):
            yield f"leads of {company} cost {cost}, undisturbed {would_have}"


def _billed_for_nothing(found: Evidence) -> Iterator[str]:
    """Nobody here answers late: a question is billed again only where its answer was lost."""
    for (vendor, operation, question), times in times_billed(found.charges).items():
        if times > 1 + sum(call["losses"] for call in found.about(vendor, question)):
            yield f"{vendor} {operation} {question} was billed {times} times, more than was lost of it"


def _too_many(otherwise: Sequence[str], usual: End, bulk: Bulk) -> Iterator[str]:
    if len(otherwise) > MOST_OTHERWISE[bulk] * len(usual.leads):
        yield f"{len(otherwise)} of {len(usual.leads)} leads are in another row"


def _too_many_lost(never_told: Sequence[Mapping[str, Any]], kills: int, bulk: Bulk) -> Iterator[str]:
    """A kill loses what was in flight, and only at vendors that must not be asked again for good."""
    for vendor, number in Counter(row["provider"] for row in never_told).items():
        terms, in_tasks = terms_of(vendor).terms, bulk == "always" and vendor in TAKE_TASKS
        if number > kills * terms.limits.in_flight and not in_tasks:
            yield f"{vendor}: {number} answers lost by {kills} kills"
        losses = min(row["losses"] for row in never_told if row["provider"] == vendor)
        if terms.replay is not ReplayClass.PER_CALL and losses < MOST_LOSSES:
            yield f"{vendor} was not asked again"


def asked_for() -> Storm:
    parser = argparse.ArgumentParser(prog="python -m tests.stage.storm")
    parser.add_argument("leads", type=int)
    parser.add_argument("kills", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--bulk", action="store_true", help="ask many at a time wherever a vendor takes that")
    given = parser.parse_args()
    return Storm(given.leads, given.kills, given.seed, "always" if given.bulk else "auto")


def main() -> int:
    storm = asked_for()
    with own_server("phase3-storm-") as (server, folder):
        aftermath = asyncio.run(weathered(storm, server, TEMPLATE, folder))
    sys.stdout.write(f"{storm}\n{aftermath.told}\n")
    return 1 if aftermath.promises_broken else 0


if __name__ == "__main__":
    sys.exit(main())
