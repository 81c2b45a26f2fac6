"""A campaign from leads to report in this process: real policy, ledger, PostgreSQL, and the sandbox.

Waits take no time, and timeouts a hundredth of theirs.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import insert, text

from phase3_core.agent import Surroundings
from phase3_core.budget import Caps
from phase3_core.compensation import compensate_dead
from phase3_core.enrich import enrich_campaign
from phase3_core.errors import Phase3Error
from phase3_core.exports import ExportKind
from phase3_core.finalize import report_campaign
from phase3_core.ledger import CallLedger
from phase3_core.money import Money
from phase3_core.patterns import Pattern, local_part
from phase3_core.policy import LeadCaps, Policy, Routing, Thresholds
from phase3_core.ports.books import Books
from phase3_core.ports.exporter import Exporter
from phase3_core.report import read_report
from phase3_core.runs import Run
from phase3_core.statuses import Agent, CampaignStatus
from phase3_core.verify import verify_campaign
from resources.exports.campaign_exports import exporter_of
from resources.exports.files import Folder
from resources.http_client import HttpClient, Received, Sending, http_client
from resources.names import mailbox_names
from resources.postgres import tables
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.ledger import ledger
from resources.postgres.outage import LONGEST_S
from resources.postgres.suppression import PostgresSuppressions
from resources.providers.bulk_choice import takes_tasks
from resources.providers.catalogue import CATALOGUE
from resources.providers.source import BreakerOpener, VendorSource, unshared
from resources.providers.website import SANDBOX_WEB
from resources.settings import Settings
from resources.settings_tables import ProviderSettings, WaterfallSettings
from sandbox.app import Sandbox
from sandbox.billing import Charge
from sandbox.limits import Quota
from sandbox.people import Person
from tests.conftest import engine_of
from tests.resources.providers.market import HastyClock
from tests.stage.quotas import kept

HURRY = 100.0
PATIENT = 1.0
WEEK_S = 7 * 86_400.0
UNCONFIRMED = frozenset({"muraena", "nimbler"})
DESCRIBERS = ("clearbit", "apollo", "people_data_labs")
NOTHING_IS_TOO_LITTLE = Thresholds(0, 0, 0)
NO_QUOTA = Quota()
NO_GUESSES = WaterfallSettings(guessing=False)
TAKE_TASKS = frozenset(row.name for row in CATALOGUE if takes_tasks(row.spec))
Bulk = Literal["auto", "always", "never"]
NOW_KNOWN = """
UPDATE suppression_list SET created_at = clock_timestamp()
WHERE created_at = (SELECT max(created_at) FROM suppression_list) RETURNING 1
"""


@dataclass
class Hurried(HttpClient):
    """Gives up so many times sooner, at addresses with `where` in them."""

    inner: HttpClient
    hurry: float
    where: str = ""

    async def send(self, sending: Sending) -> Received:
        hurry = self.hurry if self.where in sending.url else PATIENT
        return await self.inner.send(replace(sending, timeout_s=sending.timeout_s / hurry))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the three agents ended: `why_not` is empty where it came to its report."""

    why_not: str
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Play:
    """A campaign on a database, with the keys and addresses of its vendors; every `perform` is a run.

    `hurry`: how many times sooner than in earnest it gives up waiting for an answer; `hurried`: where.
    `quotas` by provider, shared with all plays on the database.
    """

    url: str
    folder: Path
    environment: Mapping[str, str]
    campaign_id: UUID
    waterfall: WaterfallSettings = NO_GUESSES
    hurry: float = PATIENT
    hurried: str = ""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    caps: Caps | None = None
    breakers: BreakerOpener | None = None
    lead_caps: LeadCaps = field(default_factory=LeadCaps)
    per_valid: Money | None = None
    bulk: Bulk = "auto"
    longest_outage_s: float = LONGEST_S

    def source(self) -> VendorSource:
        named = UNCONFIRMED | TAKE_TASKS | self.prices.keys() | self.quotas.keys()
        own = {name: self._own(name) for name in named}
        settings = Settings(providers=own, waterfall=self.waterfall)
        clock = HastyClock()
        return VendorSource(
            settings,
            self.environment,
            self._ledger,
            clock,
            clock.sleep,
            self._http,
            breakers=self.breakers,
            open_limits=kept(self.quotas, clock) if self.quotas else unshared,
        )

    def _own(self, name: str) -> ProviderSettings:
        quota = self.quotas.get(name, NO_QUOTA)
        own = ProviderSettings(
            opt_in=name in UNCONFIRMED,
            per_minute=quota.per_minute,
            per_day=quota.per_day,
            in_flight=quota.in_flight,
            bulk=self.bulk,
        )
        return own.model_copy(update={"price_usd": self.prices.get(name)})

    def _ledger(self, books: Books, run: Run) -> AbstractAsyncContextManager[CallLedger]:
        if not isinstance(books, PostgresBooks):
            raise TypeError("the ledger lives in the database of the books")
        return ledger(books.engine, run, WEEK_S, books.fence, books.outage, self.caps)

    @asynccontextmanager
    async def _http(self) -> AsyncIterator[HttpClient]:
        async with http_client() as http:
            yield Hurried(http, self.hurry, self.hurried)

    @property
    def _policy(self) -> Policy:
        return Policy(
            NOTHING_IS_TOO_LITTLE,
            guessing=self.waterfall.guessing,
            ordering=self.waterfall.ordering,
            routing=Routing(self.waterfall.routing),
            worth=self.waterfall.worth_usd.by_tier(),
            lead_caps=self.lead_caps,
            patience=self.waterfall.patience,
            per_valid=self.per_valid,
        )

    async def perform(self) -> Ended:
        """All three agents, one after another, as the assets call them."""
        source, database = self.source(), PostgresDatabase(self.url, longest_outage_s=self.longest_outage_s)
        around = Surroundings(self._policy, source.clock, lambda _: None)
        run = Run(str(uuid4()), self.campaign_id, Agent.EMAIL_VERIFICATION)
        skipped: dict[str, str] = {}
        try:
            for agent, use_case in ((run.agent, verify_campaign), (Agent.ENRICHMENT, enrich_campaign)):
                summary = await use_case(replace(run, agent=agent), database, source, around)
                skipped |= {one.provider: one.why for one in summary.skipped}
            finalizer = replace(run, agent=Agent.FINALIZER)
            await report_campaign(finalizer, database, source, self._exporter, around)
        except Phase3Error as failure:
            return Ended(str(failure), skipped)
        return Ended("", skipped)

    @property
    def _exporter(self) -> Exporter:
        return exporter_of([ExportKind.WORKBOOK], Folder(self.folder))

    async def take_back(self) -> None:
        """What runs that died left half done, as sensors do; nobody is at work on the campaign."""
        database = PostgresDatabase(self.url)
        async with database.reading() as books:
            steps = await books.saga.open_steps()
        for run_id in {step.run_id for step in steps if step.campaign_id == self.campaign_id}:
            await compensate_dead(database, self._exporter, run_id, "its process died")


@dataclass(frozen=True)
class Stage:
    """A play before one sandbox, and what an outsider sees of both."""

    sandbox: Sandbox
    play: Play

    async def perform(self) -> Ended:
        return await self.play.perform()

    async def break_something(self, rule: Mapping[str, Any]) -> None:
        await told(self.sandbox, "faults", rule)

    async def suppress(self, *entries: str) -> None:
        """Dated by when everybody must know of them; their own time is when they began to be written."""
        async with PostgresDatabase(self.play.url).reading() as books:
            await PostgresSuppressions(books.engine).add(entries)
        self.query(NOW_KNOWN)

    def query(self, statement: str) -> list[dict[str, Any]]:
        return self.query_all(statement)[0]

    def query_all(self, *statements: str) -> list[list[dict[str, Any]]]:
        """What each gives, all of one moment."""
        with engine_of(self.play.url, isolation_level="REPEATABLE READ").begin() as connection:
            answers = (connection.execute(text(statement)) for statement in statements)
            return [[dict(row) for row in answer.mappings()] for answer in answers]

    async def report(self) -> dict[str, Any]:
        """The campaign's tier report as anybody can read it now."""
        async with PostgresDatabase(self.play.url).reading() as books:
            return await read_report(books, self.play.campaign_id)

    def is_done(self) -> bool:
        """The campaign has come to its report."""
        (row,) = self.query(f"SELECT status FROM campaigns WHERE id = '{self.play.campaign_id}'")
        return bool(row["status"] == CampaignStatus.VERIFICATION_COMPLETE)

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """What was decided about each lead, by name and company."""
        who = "concat(first_name, last_name, company_domain) AS who"
        columns = "email, email_status, email_provider, enrichment_status"
        found = self.query(f"SELECT {who}, {columns} FROM leads")
        return {row.pop("who"): tuple(row.values()) for row in found}

    def booked(self) -> tuple[Decimal, Decimal]:
        """USD settled, and USD at worst for bills that are not known."""
        (row,) = self.query("SELECT sum(cost_usd) AS cost, sum(unknown_usd) AS unknown FROM provider_calls")
        return row["cost"] or Decimal(0), row["unknown"] or Decimal(0)

    def billed(self) -> Decimal:
        return sum((charge.amount_usd for charge in self.sandbox.parts.bill.charges), Decimal(0))

    def times_billed(self) -> Counter[tuple[str, str, str]]:
        return times_billed(self.sandbox.parts.bill.charges)


def times_billed(charges: Iterable[Charge]) -> Counter[tuple[str, str, str]]:
    """By vendor, operation and question; what is asked in a task is the same question."""
    return Counter((one.vendor, one.operation.removeprefix("bulk_"), one.question) for one in charges)


async def told(sandbox: Sandbox, path: str, body: Any = None) -> Any:
    method, url = "POST" if body else "GET", f"{sandbox.url}/_sandbox/{path}"
    sending = Sending(method, url, {}, {}, body, None, 10.0)
    async with http_client() as http:
        received = await http.send(sending)
    assert received.status == 200, received.text
    return json.loads(received.text)


async def staged(
    sandbox: Sandbox,
    url: str,
    folder: Path,
    people: Iterable[Person],
    *,
    web_search: str = "brave",
    web: bool = True,
    waterfall: WaterfallSettings = NO_GUESSES,
    place: int = 0,
    delivered: bool = False,
) -> Stage:
    """A campaign with these leads, and the keys of the sandbox's accounts.

    `web`: whether companies' sites are read, which takes a second each. `place`: of the campaign in its
    database, where one person may be a lead of several. `delivered`: phase 2 has brought their addresses.
    """
    environment = await told(sandbox, f"env?web_search={web_search}")
    if not web:
        del environment[SANDBOX_WEB]
    play = Play(url, folder, environment, uuid4(), waterfall)
    with engine_of(url).begin() as connection:
        campaign = {"id": play.campaign_id, "name": "Stage", "status": "import_complete"}
        connection.execute(insert(tables.campaigns).values(campaign))
        leads = [_lead(person, play.campaign_id, place, delivered=delivered) for person in people]
        connection.execute(insert(tables.leads), leads)
    return Stage(sandbox, play)


def _lead(person: Person, campaign_id: UUID, place: int, *, delivered: bool) -> dict[str, Any]:
    return {
        "id": UUID(int=place << 64 | person.number),
        "campaign_id": campaign_id,
        "first_name": person.first,
        "last_name": person.last,
        "email": person.email if delivered else None,
        "linkedin_url": person.linkedin,
        "title": person.title,
        "company_name": person.company.name,
        "company_domain": person.company.domain,
        "lead_score": person.score,
        "lead_tier": person.tier,
    }


def everyone_is_needed(people: Sequence[Person], each: int = 2) -> list[Person]:
    """Leads of distinct companies for whom, without guesses, every finder is the first to know somebody.

    Some are of catch-all domains, where the second verifier is asked; some nobody knows; of some companies
    one source or another knows nothing.
    """
    chosen: list[Person] = []
    taken: Counter[object] = Counter()
    companies: set[str] = set()
    for person in sorted(people, key=lambda one: (one.tier, one.number)):
        first = person.finders[0] if person.finders else "nobody"
        kinds: set[object] = {first, ("catch-all", person.company.catch_all)}
        if person.fate.accepted and person.tier == "A":
            kinds |= {("not known to", name) for name in DESCRIBERS if name not in person.company.known_to}
        wanted = any(taken[kind] < each for kind in kinds)
        if wanted and person.company.domain not in companies:
            chosen.append(person)
            companies.add(person.company.domain)
            taken.update(kinds)
    return chosen


def made_by_name(person: Person) -> bool:
    """Whether its address is one that anybody may guess."""
    names = mailbox_names(person.first, person.last)
    mailboxes = {local_part(pattern, name) for name in names for pattern in Pattern}
    return person.email.lower() in {f"{mailbox}@{person.company.domain}" for mailbox in mailboxes}
