"""A sandbox, a real database, and the project's own way from one to the other. Waits take no time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any
from uuid import UUID, uuid4

from phase3_core.calls import NoAnswer, Reply, Role
from phase3_core.leads import Lead
from phase3_core.ports.clock import Clock
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier
from resources.clock import SystemClock
from resources.http_client import Sending, http_client
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.ledger import ledger
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.keys import Keys
from resources.providers.request import Question
from resources.providers.settlement import Tally
from sandbox.app import Sandbox, serve
from sandbox.options import Options
from sandbox.people import Person
from sandbox.vendor import Vendor
from tests.resources.providers.sheet import DANA

Query = Callable[..., list[dict[str, Any]]]
WEEK_S = 7 * 86_400.0
TURNS = 4  # of the loop, for whoever was woken to see what time it is
CAMPAIGN = UUID(int=1)


@dataclass
class HastyClock(SystemClock):
    """Time in which a wait is over at once and yet has passed; who waits for the least is woken first."""

    slept: list[float] = field(default_factory=list)
    _skipped: float = 0.0
    _waiting: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list)
    _waker: asyncio.Task[None] | None = None

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (self.monotonic() + seconds, len(self.slept), woken))
        if self._waker is None or self._waker.done():
            self._waker = asyncio.create_task(self._wake())
        await woken

    async def _wake(self) -> None:
        while self._waiting:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            until, _, woken = heappop(self._waiting)
            if not woken.done():
                self.skip(max(0.0, until - self.monotonic()))
                woken.set_result(None)

    def skip(self, seconds: float) -> None:
        self._skipped += seconds


def hasty(clock: Clock) -> HastyClock:
    """The clock that a test gave to a client, as the test may turn it."""
    assert isinstance(clock, HastyClock)
    return clock


@dataclass
class Market:
    """`environment` holds the keys and addresses that the sandbox hands out."""

    sandbox: Sandbox
    books: PostgresBooks
    query: Query
    environment: Mapping[str, str]

    @property
    def people(self) -> list[Person]:
        return self.sandbox.parts.world.people

    def vendor(self, name: str) -> Vendor:
        return self.sandbox.parts.vendors[name]

    def switch(self, vendor: str, variant: str) -> None:
        assert variant in self.vendor(vendor).variants
        self.vendor(vendor).on.add(variant)

    async def fault(self, vendor: str, kind: str, **more: Any) -> None:
        await self._told("POST", "faults", {"vendor": vendor, "kind": kind, **more})

    @asynccontextmanager
    async def opened(self, name: str, **changes: Any) -> AsyncIterator[ProviderClient]:
        """One provider for one run of the campaign."""
        declared, clock = row(name), HastyClock()
        run = Run(str(uuid4()), CAMPAIGN, Agent.EMAIL_VERIFICATION)
        async with http_client() as http, ledger(self.books.engine, run, WEEK_S) as calls:
            client = ProviderClient(
                spec=declared.spec,
                terms=declared.terms,
                secrets=Keys({name: self.environment[name] for name in declared.spec.secrets}),
                base_url=self.environment[f"{declared.spec.env}_BASE_URL"],
                ledger=calls,
                transport=http,
                clock=clock,
                tally=Tally(),
                sleep=clock.sleep,
            )
            try:
                yield replace(client, **changes)
            finally:
                await client.drain()

    async def ask(self, name: str, lead: Lead, email: str = "", **changes: Any) -> Reply | NoAnswer:
        """Once, in a run of its own."""
        async with self.opened(name, **changes) as client:
            return await client.ask(Question(lead, email if client.spec.role is Role.VERIFIER else ""))

    async def bill(self) -> dict[str, Decimal]:
        """What each vendor believes it is owed."""
        told = (await self._told("GET", "bill"))["by_vendor"]
        owed = {name: Decimal(one["amount_usd"]) for name, one in told.items()}
        return {name: amount for name, amount in owed.items() if amount}

    def booked(self, column: str) -> dict[str, Decimal]:
        """What the ledger says: `cost_usd` paid, `unknown_usd` at worst for calls whose bill is not known."""
        rows = self.query(f"SELECT provider, sum({column}) AS usd FROM provider_calls GROUP BY provider")
        return {one["provider"]: one["usd"] for one in rows if one["usd"]}

    async def assert_books_agree(self) -> None:
        assert self.booked("cost_usd") == await self.bill()
        assert self.booked("unknown_usd") == {}

    async def assert_nothing_is_missing(self) -> None:
        """The books may show more than the bill while something is in doubt, and never less."""
        booked = self.booked("cost_usd + unknown_usd")
        for vendor, owed in (await self.bill()).items():
            assert owed <= booked.get(vendor, Decimal(0)), vendor

    async def _told(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.sandbox.url}/_sandbox/{path}"
        async with http_client() as http:
            received = await http.send(Sending(method, url, {}, {}, body, None, 10.0))
        assert received.status == 200, received.text
        return json.loads(received.text)

    async def learn_keys(self) -> None:
        self.environment = await self._told("GET", "env")


def lead_of(person: Person, **changes: Any) -> Lead:
    """A lead as the campaign delivers it."""
    known = replace(
        DANA,
        id=uuid4(),
        campaign_id=CAMPAIGN,
        first_name=person.first,
        last_name=person.last,
        company_name=person.company.name,
        company_domain=person.company.domain,
        linkedin_url=person.linkedin,
        tier=Tier(person.tier),
        score=person.score,
    )
    return replace(known, **changes)


@asynccontextmanager
async def a_market(database_url: str, query: Query, options: Options) -> AsyncIterator[Market]:
    """With the keys of everybody in the sandbox."""
    async with serve(options) as sandbox, PostgresDatabase(database_url).reading() as books:
        market = Market(sandbox, books, query, {})
        await market.learn_keys()
        yield market
