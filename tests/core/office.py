"""A campaign with fakes for the outside world, and the three agents to put to work on it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from phase3_core.agent import Surroundings
from phase3_core.enrich import enrich_campaign
from phase3_core.errors import OutsideFailure
from phase3_core.finalize import FinalReport, report_campaign
from phase3_core.leads import Lead
from phase3_core.policy import Policy, Thresholds
from phase3_core.statuses import Agent, CampaignStatus
from phase3_core.summary import AgentSummary
from phase3_core.verify import verify_campaign
from tests.fakes.bills import Bill
from tests.fakes.books import CampaignRow, FakeDatabase, Row
from tests.fakes.clock import FakeClock
from tests.fakes.exporter import FakeExporter
from tests.fakes.observer import Recorder
from tests.fakes.people import CAMPAIGN, a_run
from tests.fakes.providers import FakeProviderSource

ANY_NUMBER = Thresholds(0, 0, 0)
EASY = Policy(ANY_NUMBER)


@dataclass
class Office:
    database: FakeDatabase
    source: FakeProviderSource
    policy: Policy = EASY
    clock: FakeClock = field(default_factory=FakeClock)
    progress: Recorder = field(default_factory=Recorder)
    exporter: FakeExporter = field(default_factory=FakeExporter)

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.policy, self.clock, self.progress)

    @property
    def campaign(self) -> CampaignRow:
        return self.database.tables.campaigns[CAMPAIGN]

    @property
    def rows(self) -> list[Row]:
        """In page order, as they are now."""
        return [replace(row) for row in self.database.tables.of(CAMPAIGN)]

    @property
    def bills(self) -> list[Bill]:
        """In an order of their own: when a call was made does not count."""
        return sorted(self.database.bills.rows, key=lambda bill: (repr(bill.question), bill.lead_id))

    def row(self, number: int) -> Row:
        return next(row for row in self.rows if row.lead.id.int == number)

    async def verify(self, run: str = "run-1") -> AgentSummary:
        return await verify_campaign(a_run(name=run), self.database, self.source, self.around)

    async def enrich(self, run: str = "run-1") -> AgentSummary:
        run_of = a_run(Agent.ENRICHMENT, run)
        return await enrich_campaign(run_of, self.database, self.source, self.around)

    async def report(self, run: str = "run-1") -> FinalReport:
        run_of = a_run(Agent.FINALIZER, run)
        return await report_campaign(run_of, self.database, self.source, self.exporter, self.around)

    def is_at(self, status: CampaignStatus) -> None:
        """As if earlier agents had brought the campaign there."""
        self.campaign.status = status


def an_office(leads: Iterable[Lead], policy: Policy = EASY) -> Office:
    database = FakeDatabase()
    database.add(CAMPAIGN, leads)
    return Office(database, FakeProviderSource(database.bills), policy)


Pause = Callable[[], Awaitable[None]]


def shuffled(seed: int, longest: int = 12) -> Pause:
    """Answers take a seeded number of turns of the loop, so they arrive in an order of their own."""
    dice = random.Random(seed)

    async def pause() -> None:
        for _ in range(dice.randrange(1, longest)):
            await asyncio.sleep(0)

    return pause


def then(pause: Pause, at_question: int, blow: Callable[[], None]) -> Pause:
    """Strikes when this many questions have left."""
    left = at_question

    async def paused() -> None:
        nonlocal left
        await pause()
        left -= 1
        if left == 0:
            blow()

    return paused


def ledger_down() -> None:
    raise OutsideFailure("The ledger cannot be reached.")
