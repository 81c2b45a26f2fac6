"""Schedules drawn from a seed: runs of campaigns that share leads, and whatever may befall them.

Of some vendors they share quotas so short that leads wait for moments, places and days; half of what an owner
may set to spend less is set. After every step the invariants are looked at, and at the end all campaigns are
run until they are done. A seed repeats its schedule; how runs interleave within a step is up to sockets and
PostgreSQL.
`python -m tests.stage.simulation SEED...` plays and tells some.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from phase3_core import budget
from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.statuses import Agent
from resources.assembly import postgres_breakers
from resources.settings_tables import TierAmounts
from sandbox.app import Sandbox, serve
from sandbox.limits import Quota
from sandbox.options import Options
from sandbox.people import Person
from tests.conftest import Server
from tests.stage.age import Age
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.befalling import BEFALLS
from tests.stage.simulated import Simulation
from tests.stage.stage import HURRY, NO_GUESSES, Stage, everyone_is_needed, staged
from tests.stage.turnstiles import turnstiles

CAMPAIGNS, LEADS, POOL = 3, 4, 7  # so that most leads are of several
QUOTAS = {
    "tomba": (Quota(per_minute=2), Quota(per_day=3), Quota(per_minute=3, per_day=4, in_flight=1)),
    "reoon": (Quota(in_flight=1), Quota(per_day=4), Quota(per_minute=3, in_flight=2)),
    "brave": (Quota(per_minute=3), Quota(per_day=3, in_flight=1)),
}
FLIGHT_MS = 15  # for calls to meet in flight
SHORT_SHARE = 0.5  # of their quotas
WORTH = TierAmounts(A=Decimal("0.5"), B=Decimal("0.2"), C=Decimal("0.05"))
THRIFTY_SHARE = 0.5  # of what may be set to spend less


@dataclass(frozen=True)
class Simulator:
    server: Server
    template: str
    folder: Path

    async def play(self, seed: int) -> Simulation:
        rng = random.Random(seed)
        name = f"phase3_simulated_{uuid4().hex[:12]}"
        async with AsyncExitStack() as stack:
            stack.callback(self.server.drop, name)
            url = self.server.make(name, self.template)
            quotas, age = _quotas(seed), Age()
            latency_ms = max(rng.choice([0, 3]), FLIGHT_MS if _in_flight(quotas) else 0)
            options = Options(latency_ms=latency_ms, rate_factor=0)
            sandbox = await stack.enter_async_context(serve(options))
            people = rng.sample(everyone_is_needed(sandbox.parts.world.people), POOL)
            stages = await self._stages(rng, sandbox, url, people)
            counting = turnstiles(sandbox, quotas, age)
            simulation = Simulation(seed, sandbox, stages, people, rng, age, counting)
            simulation.alter(quotas=quotas, **_thrift(seed))
            with patch.object(budget, "LEAST_DECIDED", 1):  # of so few leads
                await simulation.play(BEFALLS)
            return simulation

    async def _stages(
        self, rng: random.Random, sandbox: Sandbox, url: str, people: Sequence[Person]
    ) -> list[Stage]:
        casts = [rng.sample(people, LEADS) for _ in range(CAMPAIGNS)]
        stages = [
            await staged(sandbox, url, self.folder, cast, web=False, place=place)
            for place, cast in enumerate(casts)
        ]
        caps = _caps(rng)
        return [
            replace(stage, play=replace(stage.play, hurry=HURRY, caps=caps, breakers=postgres_breakers))
            for stage in stages
        ]


def _caps(rng: random.Random) -> Caps | None:
    """For every second seed tight ones."""
    if rng.random() < 0.5:
        return None
    agents = {
        agent: usd(rng.choice(["0.02", "0.2", "2"])) for agent in (Agent.EMAIL_VERIFICATION, Agent.ENRICHMENT)
    }
    return Caps(agents=agents, daily={"tomba": usd("0.03"), "reoon": usd(rng.choice(["0.003", "1"]))})


def _quotas(seed: int) -> Mapping[str, Quota]:
    rng = random.Random(f"quotas of {seed}")
    return {vendor: rng.choice(short) for vendor, short in QUOTAS.items() if rng.random() < SHORT_SHARE}


def _thrift(seed: int) -> dict[str, Any]:
    """What valid addresses may cost, whether a finder that is out is waited for, and what losses may cost."""
    rng = random.Random(f"what {seed} spends")

    def maybe(*amounts: str) -> Decimal | None:
        return Decimal(rng.choice(amounts)) if rng.random() < THRIFTY_SHARE else None

    per_valid = maybe("0.001", "0.02")
    waterfall = {"wait_if_dearer_usd": maybe("0", "0.005"), "loss_tolerance": maybe("0", "0.05")}
    return {
        "per_valid": per_valid and usd(per_valid),
        "waterfall": NO_GUESSES.model_copy(update={"worth_usd": WORTH, **waterfall}),
    }


def _in_flight(quotas: Mapping[str, Quota]) -> bool:
    """Whether any is of calls in flight."""
    return any(quota.in_flight for quota in quotas.values())


async def _told(simulator: Simulator, seeds: Iterable[int]) -> int:
    failed = 0
    for seed in seeds:
        began = time.monotonic()
        simulation = await simulator.play(seed)
        failed += bool(simulation.amiss)
        lines = [f"seed {seed}, {time.monotonic() - began:.1f} s", *simulation.told, *simulation.amiss]
        sys.stdout.write("\n".join(lines) + "\n")
    return failed


def main() -> int:
    with own_server("phase3-simulation-") as (server, folder):
        simulator = Simulator(server, TEMPLATE, folder)
        return 1 if asyncio.run(_told(simulator, map(int, sys.argv[1:]))) else 0


if __name__ == "__main__":
    sys.exit(main())
