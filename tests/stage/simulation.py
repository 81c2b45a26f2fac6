"""Schedules drawn from a seed: runs of campaigns that share leads, and whatever may befall them.

After every step the invariants are looked at, and at the end all campaigns are run until they are done. A
seed repeats its schedule; how runs interleave within a step is up to sockets and PostgreSQL.
`python -m tests.stage.simulation SEED...` plays and tells some.
"""

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.statuses import Agent
from resources.assembly import postgres_breakers
from sandbox.app import Sandbox, serve
from sandbox.billing import Account
from sandbox.faults import EVERYBODY, Kind
from sandbox.options import Options
from sandbox.people import Person
from tests.conftest import Server
from tests.stage.age import grow_old
from tests.stage.alone import TEMPLATE, own_server
from tests.stage.invariants import ALWAYS, broken, not_free_again, sums_that_differ
from tests.stage.killing import Edge, died
from tests.stage.stage import Stage, everyone_is_needed, made_by_name, staged

CAMPAIGNS, LEADS, POOL = 3, 4, 7  # so that most leads are of several
STEPS = 16
AT_ONCE = 4
TRIES = 6  # runs until a campaign is done, once nothing goes wrong any more
HOUR_S, DAY_S = 3_600, 86_400
JUMPS_S = (HOUR_S, 12 * HOUR_S)
LEAPS_S = (8 * DAY_S, 31 * DAY_S)  # no run lasts so long
STANDSTILL_S = 0.4  # without any request: everybody waits for time to pass
MOST_STANDSTILLS = 40  # in a row: then somebody waits for ever
LOOK_EVERY_S = 0.005
OTHER_SEARCHERS = ("claude", "serper", "tavily")  # brave is the one that is asked
BY_ADDRESS = 0.7  # of suppressed people
SINGLE_SHARE = 0.7  # of faults that are one vendor's
FAULTS = [kind for kind in Kind if kind is not Kind.HUGE_BODY]
HANG_UP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class Simulation:
    """`told`: what happened so far. `amiss`: what is broken."""

    seed: int
    sandbox: Sandbox
    stages: list[Stage]
    people: Sequence[Person]
    rng: random.Random
    told: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)
    runs: list[asyncio.Task[str]] = field(default_factory=list)
    processes: list[asyncio.Task[str]] = field(default_factory=list)

    async def play(self) -> None:
        """Ends early where something is broken."""
        for _ in range(STEPS):
            await self.go_on()
            if self.look():
                await self.send_home()
                return
        await self.end()

    async def go_on(self) -> None:
        """Something befalls; what cannot be at this moment does not count."""
        what = ""
        while not what:
            step = self.rng.choices(list(BEFALLS), list(BEFALLS.values()))[0]
            what = await step(self)
        self.told.append(f"{step.__name__}: {what}")

    def look(self) -> list[str]:
        self.amiss += broken(self.stages[0], ALWAYS)
        return self.amiss

    @property
    def accounts(self) -> dict[str, Account]:
        return self.sandbox.parts.bill.accounts

    @property
    def requests(self) -> int:
        return sum(account.requests for account in self.accounts.values())

    def vendor(self) -> str:
        return self.rng.choice([name for name in self.accounts if name not in OTHER_SEARCHERS])

    def alter(self, **changes: Any) -> None:
        """For the runs to come."""
        self.stages = [replace(stage, play=replace(stage.play, **changes)) for stage in self.stages]

    def begin(self, stage: Stage) -> None:
        """A run in this process, which can be cancelled."""
        self._followed(asyncio.create_task(_performed(stage)), self.runs)

    def begin_to_die(self, stage: Stage, edge: Edge, at: int) -> None:
        """A run in another process."""
        self._followed(asyncio.create_task(_killed(stage, edge, at)), self.processes)

    def _followed(self, run: asyncio.Task[str], among: list[asyncio.Task[str]]) -> None:
        among.append(run)
        run.add_done_callback(among.remove)
        run.add_done_callback(self._over)

    def _over(self, run: asyncio.Task[str]) -> None:
        if run.cancelled():
            self.told.append("  a run was cancelled")
        elif failure := run.exception():
            self.amiss.append(f"a run broke: {failure!r}")
        else:
            self.told.append(f"  {run.result()}")

    async def grow_old(self, seconds: int) -> None:
        await asyncio.to_thread(grow_old, self.stages[0].play.url, seconds)
        for account in self.accounts.values():
            account.paid_until = {what: until - seconds for what, until in account.paid_until.items()}

    async def watch(self, until: Callable[[], bool]) -> None:
        """Where nothing moves any more, time flies."""
        seen, since, standstills = self.requests, time.monotonic(), 0
        while (self.runs or self.processes) and not until():
            await asyncio.sleep(LOOK_EVERY_S)
            if self.requests != seen:
                seen, since, standstills = self.requests, time.monotonic(), 0
            elif time.monotonic() - since > STANDSTILL_S:
                await self.grow_old(HOUR_S)
                since, standstills = time.monotonic(), standstills + 1
            if standstills > MOST_STANDSTILLS:
                self.amiss.append("somebody waits for ever")
                return

    async def send_home(self) -> None:
        for run in self.runs:
            run.cancel()
        await asyncio.gather(*self.runs, *self.processes, return_exceptions=True)

    # --- the end

    async def end(self) -> None:
        """All is well again: every campaign comes to its end, and then costs nothing more."""
        self.sandbox.parts.faults.rules.clear()
        await accounts_are_refilled(self)
        await self.watch(_never)
        self.alter(caps=Caps())
        for stage in self.stages:
            self.amiss += [] if await self.finished(stage) else ["a campaign is never done"]
        for stage in self.stages:
            self.amiss += [*await sums_that_differ(stage), *await not_free_again(stage)]
        self.amiss += broken(self.stages[0])

    async def finished(self, stage: Stage) -> bool:
        """Breakers close, and what was left for later is asked."""
        for _ in range(TRIES):
            await self.grow_old(HOUR_S)
            self.begin(stage)
            await self.watch(_never)
            if not (await stage.report())["waiting_for"] and stage.is_done():
                return True
        return False


async def _performed(stage: Stage) -> str:
    return f"a run ended: {(await stage.perform()).why_not or 'done'}"


async def _killed(stage: Stage, edge: Edge, at: int) -> str:
    past = await died(stage.play, edge, at)
    return "a process was killed" if past.killed else f"a process ended after {past.edges} edges"


def _never() -> bool:
    return False


# --- what may befall: each tells what it did, or nothing where it cannot be


async def somebody_runs(play: Simulation) -> str:
    """Also of a campaign that is being worked on: one of the two ends at once."""
    if len(play.runs) >= AT_ONCE:
        return ""
    stage = play.rng.choice(play.stages)
    play.begin(stage)
    return f"campaign {play.stages.index(stage)}"


async def time_passes(play: Simulation) -> str:
    if not (play.runs or play.processes):
        return ""
    requests = play.rng.randint(1, 40)
    until = play.requests + requests
    await play.watch(lambda: play.requests >= until)
    return f"{requests} requests"


async def somebody_cancels(play: Simulation) -> str:
    if not play.runs:
        return ""
    steps = play.rng.randrange(300)
    for _ in range(steps):
        await asyncio.sleep(0)
    if play.runs:
        play.rng.choice(play.runs).cancel()
    return f"after {steps} steps"


async def a_process_dies(play: Simulation) -> str:
    stage, edge, at = play.rng.choice(play.stages), play.rng.choice(list(Edge)), play.rng.randint(1, 400)
    play.begin_to_die(stage, edge, at)
    return f"campaign {play.stages.index(stage)} at {edge} {at}"


async def a_vendor_misbehaves(play: Simulation) -> str:
    """Or all of them now and then."""
    vendor, often = (play.vendor(), 1.0) if play.rng.random() < SINGLE_SHARE else (EVERYBODY, 0.2)
    kind, count = play.rng.choice(FAULTS).value, play.rng.choice([1, 2, 4, None])
    rule = {"vendor": vendor, "kind": kind, "count": count, "probability": often, "ms": 400.0}
    await play.stages[0].break_something(rule)
    return str(rule)


async def all_is_mended(play: Simulation) -> str:
    rules = play.sandbox.parts.faults.rules
    mended = len(rules)
    rules.clear()
    return f"{mended} faults" if mended else ""


async def the_clock_jumps(play: Simulation) -> str:
    seconds = play.rng.choice(JUMPS_S if play.runs or play.processes else JUMPS_S + LEAPS_S)
    await play.grow_old(seconds)
    return f"{seconds // HOUR_S} hours"


async def a_price_falls(play: Simulation) -> str:
    """At once, also for who is at work; our settings follow for the runs to come."""
    vendor = play.vendor()
    account = play.accounts[vendor]
    account.price = usd(account.price / 2)
    play.alter(prices={**play.stages[0].play.prices, vendor: account.price})
    return f"{vendor} {account.price}"


async def an_account_runs_dry(play: Simulation) -> str:
    vendor, balance = play.vendor(), play.rng.randrange(3)
    play.accounts[vendor].balance = Decimal(balance)
    return f"{vendor} {balance}"


async def an_account_is_closed(play: Simulation) -> str:
    vendor = play.vendor()
    play.accounts[vendor].blocked = True
    return vendor


async def accounts_are_refilled(play: Simulation) -> str:
    short = [account for account in play.accounts.values() if account.blocked or account.balance is not None]
    for account in short:
        account.balance, account.blocked = None, False
    return " ".join(account.vendor for account in short)


async def caps_are_raised(play: Simulation) -> str:
    """Where nobody is at work: the next agent of a run with the old ones would bring those back."""
    caps = play.stages[0].play.caps
    if caps is None or play.runs or play.processes:
        return ""
    play.alter(caps=Caps(_doubled(caps.agents), _doubled(caps.tiers), _doubled(caps.daily)))
    return "doubled"


def _doubled(caps: Any) -> Any:
    return {what: 2 * cap for what, cap in caps.items()}


async def somebody_is_suppressed(play: Simulation) -> str:
    """While runs go on: a company, or a person by the address that anybody may guess."""
    person = play.rng.choice(play.people)
    by_address = made_by_name(person) and play.rng.random() < BY_ADDRESS
    entry = person.email.lower() if by_address else person.company.domain
    await play.stages[0].suppress(entry)
    return entry


async def the_server_hangs_up(play: Simulation) -> str:
    """On everybody: who was at work goes on, unless another has taken its campaign."""
    return f"on {len(await asyncio.to_thread(play.stages[0].query, HANG_UP))} connections"


Befall = Callable[[Simulation], Awaitable[str]]
BEFALLS: dict[Befall, int] = {
    somebody_runs: 10,
    time_passes: 8,
    a_vendor_misbehaves: 6,
    somebody_cancels: 3,
    a_process_dies: 3,
    the_clock_jumps: 2,
    an_account_runs_dry: 1,
    an_account_is_closed: 1,
    accounts_are_refilled: 2,
    a_price_falls: 1,
    caps_are_raised: 1,
    all_is_mended: 2,
    somebody_is_suppressed: 2,
    the_server_hangs_up: 2,
}


# --- a seed


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
            options = Options(latency_ms=rng.choice([0, 3]), rate_factor=0)
            sandbox = await stack.enter_async_context(serve(options))
            people = rng.sample(everyone_is_needed(sandbox.parts.world.people), POOL)
            stages = await self._stages(rng, sandbox, url, people)
            simulation = Simulation(seed, sandbox, stages, people, rng)
            await simulation.play()
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
            replace(stage, play=replace(stage.play, caps=caps, breakers=postgres_breakers))
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
