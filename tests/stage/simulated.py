"""A schedule as it is played: what is at work, the time that passes, what is looked at, and the end."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from phase3_core.budget import Caps
from phase3_core.calls import ReplayClass
from phase3_core.statuses import ACCEPTED, EmailStatus
from sandbox.app import Sandbox
from sandbox.billing import Account
from sandbox.faults import EVERYBODY
from sandbox.people import Person
from tests.stage.age import DAY_S, Age, grow_old
from tests.stage.evidence import evidence
from tests.stage.invariants import ALWAYS, broken, not_free_again, sums_that_differ, terms_of
from tests.stage.killing import Edge, died
from tests.stage.quotas import NEXT_APPOINTMENT
from tests.stage.stage import Stage
from tests.stage.turnstiles import Turnstiles, days_spent, places_not_given_back

STEPS = 16
TRIES = 6  # runs until a campaign is done, once nothing goes wrong any more
HOUR_S = 3_600
QUIET_S = 0.02  # without any request: who has an appointment may be all there is
STANDSTILL_S = 0.4  # everybody waits for time to pass
MOST_STANDSTILLS = 40  # in a row: then somebody waits for ever
LOOK_EVERY_S = 0.005
OTHER_SEARCHERS = ("claude", "serper", "tavily")  # brave is the one that is asked
FIRST_FINDER = "tomba"
GIVEN_UP = frozenset(EmailStatus) - ACCEPTED

Befall = Callable[["Simulation"], Awaitable[str]]


@dataclass
class Simulation:
    """`told`: what happened so far. `amiss`: what is broken."""

    seed: int
    sandbox: Sandbox
    stages: list[Stage]
    people: Sequence[Person]
    rng: random.Random
    age: Age
    turnstiles: Turnstiles
    hung_up: bool = False
    disturbed: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)
    runs: list[asyncio.Task[str]] = field(default_factory=list)
    processes: list[asyncio.Task[str]] = field(default_factory=list)

    async def play(self, befalls: Mapping[Befall, int]) -> None:
        """Ends early where something is broken."""
        for _ in range(STEPS):
            await self.go_on(befalls)
            if self.look():
                await self.send_home()
                return
        await self.end()

    async def go_on(self, befalls: Mapping[Befall, int]) -> None:
        """Something befalls; what cannot be at this moment does not count."""
        what = ""
        while not what:
            step = self.rng.choices(list(befalls), list(befalls.values()))[0]
            what = await step(self)
        self.told.append(f"{step.__name__}: {what}")

    def look(self) -> list[str]:
        self.amiss += [*broken(self.stages[0], ALWAYS), *self.exceeded()]
        return self.amiss

    def exceeded(self) -> Iterator[str]:
        """Who was cut off may be at work still beside the next run of its campaign."""
        return self.turnstiles.exceeded(self.stages[0], 1 + self.hung_up)

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

    def refill(self) -> list[str]:
        """Whose account it was."""
        short = [one for one in self.accounts.values() if one.blocked or one.balance is not None]
        for account in short:
            account.balance, account.blocked = None, False
        return [account.vendor for account in short]

    def begin(self, stage: Stage) -> None:
        """A run in this process, which can be cancelled."""
        self._followed(stage, _performed(stage), self.runs)

    def begin_to_die(self, stage: Stage, edge: Edge, at: int) -> None:
        """A run in another process."""
        self._followed(stage, _killed(stage, edge, at), self.processes)

    def _followed(self, stage: Stage, work: Coroutine[Any, Any, str], among: list[asyncio.Task[str]]) -> None:
        run = asyncio.create_task(work, name=str(stage.play.campaign_id))
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

    @property
    def at_work(self) -> set[UUID]:
        """Campaigns."""
        return {UUID(run.get_name()) for run in (*self.runs, *self.processes)}

    async def grow_old(self, seconds: float) -> None:
        await asyncio.to_thread(grow_old, self.stages[0].play.url, seconds, self.age, self.at_work)
        for account in self.accounts.values():
            account.paid_until = {what: until - seconds for what, until in account.paid_until.items()}

    async def watch(self, until: Callable[[], bool]) -> None:
        """Where nothing moves any more, time flies."""
        seen, since, standstills = self.requests, time.monotonic(), 0
        while (self.runs or self.processes) and not until():
            await asyncio.sleep(LOOK_EVERY_S)
            if self.requests != seen:
                seen, since, standstills = self.requests, time.monotonic(), 0
            elif await self.time_flew(time.monotonic() - since):
                since, standstills = time.monotonic(), standstills + 1
            if standstills > MOST_STANDSTILLS:
                self.amiss.append("somebody waits for ever")
                return

    async def time_flew(self, still_s: float) -> bool:
        """To the next appointment at once where no call is in flight; else at a standstill, or by an hour."""
        if still_s < (QUIET_S if self.turnstiles.of else STANDSTILL_S):
            return False
        [told] = await asyncio.to_thread(self.stages[0].query, NEXT_APPOINTMENT)
        if told["in_s"] is not None and (still_s > STANDSTILL_S or not told["flying"]):
            self.told.append(f"  {told['in_s']:.1f} s pass until a moment")
            await self.grow_old(told["in_s"])
        elif still_s > STANDSTILL_S:
            await self.grow_old(HOUR_S)
        else:
            return False
        return True

    async def send_home(self) -> None:
        """Who waits for a moment goes when it comes."""
        for run in self.runs:
            run.cancel()
        await self.watch(never)
        await asyncio.gather(*self.runs, *self.processes, return_exceptions=True)

    # --- the end

    async def end(self) -> None:
        """All is well again: every campaign comes to its end, and then costs nothing more."""
        self.sandbox.parts.faults.rules.clear()
        self.refill()
        await self.watch(never)
        self.alter(caps=Caps(), per_valid=None)
        for stage in self.stages:
            self.amiss += [] if await self.finished(stage) else ["a campaign is never done"]
        for stage in self.stages:
            self.amiss += [*await sums_that_differ(stage), *await not_free_again(stage)]
        self.amiss += [*broken(self.stages[0]), *self.exceeded()]
        self.amiss += [*places_not_given_back(self.stages[0]), *self.given_up_unasked()]
        self.amiss += self.repeated_in_vain()

    async def finished(self, stage: Stage) -> bool:
        """Breakers close, days begin, and what was left for later is asked."""
        until_s = HOUR_S
        for _ in range(TRIES):
            await self.grow_old(until_s)
            self.begin(stage)
            await self.watch(never)
            await stage.play.take_back()
            report = await stage.report()
            self.amiss += self.turnstiles.untold_waits(report)
            if not report["waiting_for"] and stage.is_done():
                return True
            if spent := days_spent(report):
                self.told.append(f"  for today are spent: {spent}")
            until_s = DAY_S if spent else HOUR_S
        return False

    def given_up_unasked(self) -> Iterator[str]:
        """Who has no good address was asked about at the first finder, if that was well all the time."""
        if {FIRST_FINDER, EVERYBODY} & self.disturbed:
            return
        found = evidence(self.stages[0])
        for lead in found.leads:
            domain = lead["company_domain"]  # each person of the pool has another
            if lead["email_status"] in GIVEN_UP and not found.about(FIRST_FINDER, domain):
                yield f"{FIRST_FINDER} was never asked about {domain}, and its lead is given up"

    def repeated_in_vain(self) -> Iterator[str]:
        """Where nothing may be paid in vain, what a hit costs is not asked again once its answer is lost."""
        if self.stages[0].play.waterfall.loss_tolerance != 0:
            return
        for call in evidence(self.stages[0]).calls:
            if terms_of(call["provider"]).terms.replay is ReplayClass.ON_HIT and call["losses"] > 1:
                yield f"{call['provider']} {call['request']} was lost {call['losses']} times instead of once"


async def _performed(stage: Stage) -> str:
    return f"a run ended: {(await stage.perform()).why_not or 'done'}"


async def _killed(stage: Stage, edge: Edge, at: int) -> str:
    past = await died(stage.play, edge, at)
    return "a process was killed" if past.killed else f"a process ended after {past.edges} edges"


def never() -> bool:
    return False
