"""The enrichers over the socket: real HTTP, real PostgreSQL, and a vendor that keeps its own bill."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from phase3_core.calls import EnricherReply, Facts, Gap, Miss, NoAnswer
from phase3_core.enrichment import FIELDS_OF, Gathered, after_reply, in_order, next_source, result_of
from phase3_core.leads import Lead
from phase3_core.ledger import CallLedger
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from phase3_core.tiers import PROFILES, Tier
from resources.clock import SystemClock
from resources.http_client import Sending, http_client
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.ledger import ledger
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.source import VendorSource
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from sandbox.app import Sandbox, serve
from sandbox.companies import NEWS
from sandbox.options import Options
from sandbox.people import Person
from sandbox.vendor import Vendor
from tests.resources.providers.sheet import DANA

pytestmark = pytest.mark.slow

PLAIN = Settings()
UNLIMITED = Options(latency_ms=0, rate_factor=0)
OPTIONS = {"ZOOMINFO_INTENT_TOPICS": "Robotics"}
SEARCHES = ("brave", "claude", "serper", "tavily")
BILLED_WHEN_EMPTY = {*SEARCHES, "builtwith"}


@dataclass(frozen=True)
class Case:
    """One question; `known_to` are the world's words for companies that the vendor has an answer about."""

    label: str
    known_to: frozenset[str]
    environment: Mapping[str, str]

    @property
    def vendor(self) -> str:
        return self.label.partition(":")[0]

    def __str__(self) -> str:
        return "-".join([self.label, *self.environment.values()])


def case(label: str, *known_to: str, **environment: str) -> Case:
    return Case(label, frozenset(known_to or {label.partition(":")[0]}), environment)


OLD = {"ZOOMINFO_API": "legacy"}
CASES = [
    *(
        case(f"{name}:{kind}", NEWS, WEB_SEARCH_PROVIDER=name)
        for name in SEARCHES
        for kind in ("news", "hiring")
    ),
    case("clearbit"),
    case("apollo"),
    case("people_data_labs"),
    case("apollo:people"),
    case("builtwith"),
    case("zoominfo:company"),
    case("zoominfo:contact"),
    case("zoominfo:intent", "zoominfo", NEWS),
    case("zoominfo:company", **OLD),
    case("zoominfo:contact", **OLD),
    case("zoominfo:intent", "zoominfo", NEWS, **OLD),
]
each = pytest.mark.parametrize("one", CASES, ids=str)
BY_LABEL = {str(one): one for one in CASES}


async def at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


@dataclass(repr=False)  # the event loop asks for it, and the world is large
class Market:
    """A sandbox and the project's own way to it."""

    sandbox: Sandbox
    books: PostgresBooks
    environment: dict[str, str]

    def vendor(self, name: str) -> Vendor:
        return self.sandbox.parts.vendors[name]

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.sandbox.url}/_sandbox/{path}"
        async with http_client() as http:
            received = await http.send(Sending(method, url, {}, {}, body, None, 10.0))
        assert received.status == 200, received.text
        return json.loads(received.text)

    async def switch(self, vendor: str, *names: str) -> None:
        for name in names:
            await self.control("POST", "variants", {"vendor": vendor, "name": name, "on": True})

    async def fault(self, vendor: str, kind: str, **more: Any) -> None:
        await self.control("POST", "faults", {"vendor": vendor, "kind": kind, **more})

    @asynccontextmanager
    async def opened(
        self, case: Case | None = None, settings: Settings = PLAIN, *, key: str = ""
    ) -> AsyncIterator[OpenProviders]:
        """One run's providers; with a `key` of one's own. Nobody waits for longer than a turn of the loop."""
        environment = {**self.environment, **OPTIONS, **(case.environment if case else {})}
        if case and case.vendor in SEARCHES:
            environment |= await self.control("GET", f"env?web_search={case.vendor}")
        if key:
            environment |= dict.fromkeys(secret_names(environment), key)
        source = VendorSource(settings, environment, _ledger, SystemClock())
        run = Run(str(uuid4()), uuid4(), Agent.ENRICHMENT)
        async with source.open(run, self.books) as providers:
            for one in providers.enrichers:
                one.client.sleep = at_once
                one.client._gate._sleep = at_once
            yield providers

    async def ask(self, case: Case, lead: Lead) -> EnricherReply:
        """Once, in a run of its own."""
        async with self.opened(case) as providers:
            return await named(providers, case.label).enrich(lead)

    def who(self, known_to: Collection[str] = (), unknown_to: Collection[str] = ()) -> Lead:
        """A lead with an address whose company these vendors have on file, and those do not."""
        return next(
            lead_of(person)
            for person in self.sandbox.parts.world.people
            if person.email.endswith(f"@{person.company.domain}")
            and person.first and person.last
            and person.company.known_to >= set(known_to)
            and not person.company.known_to & set(unknown_to)
        )  # fmt: skip

    async def bill(self) -> dict[str, Decimal]:
        """What each vendor believes it is owed."""
        told = (await self.control("GET", "bill"))["by_vendor"]
        owed = {name: Decimal(one["amount_usd"]) for name, one in told.items()}
        return {name: amount for name, amount in owed.items() if amount}

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        async with self.books.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(text(statement))).mappings()]

    async def paid(self) -> dict[str, Decimal]:
        """What the ledger says that each vendor took."""
        return await self._sums("sum(cost_usd)")

    async def unknown(self) -> dict[str, Decimal]:
        """What calls whose bill is not known may have cost at worst."""
        return await self._sums("sum(unknown_usd)")

    async def _sums(self, what: str) -> dict[str, Decimal]:
        rows = await self.rows(f"SELECT provider, {what} AS usd FROM provider_calls GROUP BY provider")
        return {row["provider"]: row["usd"] for row in rows if row["usd"]}

    async def assert_books_agree(self) -> None:
        assert await self.paid() == await self.bill()
        assert await self.unknown() == {}

    async def assert_books_show_the_bill(self) -> None:
        """Paid and unknown together are never less than what a vendor is owed."""
        paid, unknown = await self.paid(), await self.unknown()
        for vendor, owed in (await self.bill()).items():
            assert owed <= paid.get(vendor, 0) + unknown.get(vendor, 0)


def secret_names(environment: Mapping[str, str]) -> list[str]:
    return [name for name in environment if name.endswith(("KEY", "SECRET", "PASSWORD"))]


def _ledger(books: Books, run: Run) -> Any:
    assert isinstance(books, PostgresBooks)
    return _typed(books, run)


@asynccontextmanager
async def _typed(books: PostgresBooks, run: Run) -> AsyncIterator[CallLedger]:
    async with ledger(books.engine, run, 7 * 86_400.0) as opened:
        yield opened


def named(providers: OpenProviders, label: str) -> OneProvider:
    return next(one for one in providers.enrichers if one.name == label)


def lead_of(person: Person) -> Lead:
    return replace(
        DANA,
        id=uuid4(),
        first_name=person.first,
        last_name=person.last,
        company_name=person.company.name,
        company_domain=person.company.domain,
        linkedin_url=person.linkedin,
        email=person.email,
        tier=Tier(person.tier),
        score=person.score,
    )


@pytest.fixture(scope="module")
def shared_url(postgres: Any, template: str) -> Iterator[str]:
    """One database for all: an empty ledger is made faster than a database."""
    name = f"phase3_test_{uuid4().hex[:12]}"
    yield postgres.make(name, template)
    postgres.drop(name)


@pytest.fixture
async def market(shared_url: str) -> AsyncIterator[Market]:
    async with serve(UNLIMITED) as sandbox, PostgresDatabase(shared_url).reading() as books:
        async with books.engine.begin() as connection:
            await connection.execute(text("DELETE FROM provider_calls"))
        market = Market(sandbox, books, {})
        market.environment.update(await market.control("GET", "env"))
        yield market


# --- hit and miss ----------------------------------------------------------------------------------------


@each
async def test_a_hit_is_told_and_billed_once(market: Market, one: Case) -> None:
    lead = market.who(one.known_to)
    async with market.opened(one) as providers:
        enricher = named(providers, one.label)
        reply = await enricher.enrich(lead)
        assert isinstance(reply, Facts)
        wanted = frozenset[str]().union(*(FIELDS_OF[topic] for topic in enricher.topics))
        assert wanted & {name for name, value in reply.fields.items() if value}
        assert providers.spent == (await market.bill())[one.vendor]
    again = await market.ask(one, lead)
    assert isinstance(again, Facts)
    assert again.fields == reply.fields
    assert market.vendor(one.vendor).account.billed == 1
    await market.assert_books_agree()


@each
async def test_a_miss_is_a_miss_and_billed_where_the_vendor_bills_it(market: Market, one: Case) -> None:
    lead = market.who(unknown_to=one.known_to)
    assert isinstance(await market.ask(one, lead), Miss)
    assert isinstance(await market.ask(one, lead), Miss)
    assert market.vendor(one.vendor).account.billed == (one.vendor in BILLED_WHEN_EMPTY)
    await market.assert_books_agree()


# --- what stops a vendor ---------------------------------------------------------------------------------


@each
async def test_a_bad_key_parks_the_vendor_for_nothing(market: Market, one: Case) -> None:
    async with market.opened(one, key="a-key-that-opens-nothing") as providers:
        reply = await named(providers, one.label).enrich(market.who(one.known_to))
        assert isinstance(reply, NoAnswer)
        assert (reply.gap, reply.detail[:7]) == (Gap.PARKED, "bad key")
        assert one.vendor in {skipped.provider for skipped in providers.skipped}
    await market.assert_books_agree()


# the sandbox gives the legacy API's intent away where the balance does not cover it
each_that_counts = pytest.mark.parametrize(
    "one", [one for one in CASES if str(one) != "zoominfo:intent-legacy"], ids=str
)


@each_that_counts
async def test_out_of_credits_parks_the_vendor_for_nothing_until_the_balance_is_back(
    market: Market, one: Case
) -> None:
    lead = market.who(one.known_to)
    await market.control("POST", f"accounts/{one.vendor}", {"balance": 0})
    reply = await market.ask(one, lead)
    assert isinstance(reply, NoAnswer)
    assert (reply.gap, reply.detail[:14]) == (Gap.PARKED, "out of credits")
    await market.assert_books_agree()
    await market.control("POST", f"accounts/{one.vendor}", {"balance": 5})
    assert isinstance(await market.ask(one, lead), Facts)
    await market.assert_books_agree()


# --- what passes -----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("kind", ["rate_limited", "rate_limited_bare"])
async def test_one_request_too_many_is_asked_again(market: Market, one: Case, kind: str) -> None:
    await market.fault(one.vendor, kind, ms=1_000)
    assert isinstance(await market.ask(one, market.who(one.known_to)), Facts)
    await market.assert_books_agree()


UNSURE = {"serper", "tavily", "builtwith"}  # billed per call, and not documented that a failure is free


@each
async def test_a_servers_fault_is_asked_again_only_where_that_cannot_be_billed_twice(
    market: Market, one: Case
) -> None:
    await market.fault(one.vendor, "server_error", operation=_operation(one))
    reply = await market.ask(one, market.who(one.known_to))
    if one.vendor in UNSURE:
        assert reply == NoAnswer(Gap.LOST, "an earlier answer was lost and may have been billed")
        assert (await market.unknown()).keys() == {one.vendor}
        return
    assert isinstance(reply, Facts)
    assert await market.paid() == await market.bill()


@each
async def test_the_books_never_show_less_than_the_bill_of_an_answer_that_was_lost(
    market: Market, one: Case
) -> None:
    await market.fault(one.vendor, "reset_after_billing", operation=_operation(one))
    await market.ask(one, market.who(one.known_to))
    await market.assert_books_show_the_bill()
    if one.vendor == "zoominfo":  # a record under contract is free again
        await market.assert_books_agree()


def _operation(case: Case) -> str | None:
    """ZoomInfo's token is asked for first; faults are meant for the question."""
    what = {"zoominfo:company": "companies", "zoominfo:contact": "contacts", "zoominfo:intent": "intent"}
    return what.get(case.label)


@pytest.mark.parametrize("kind", ["malformed_json", "truncated_json", "html_200", "wrong_types"])
@pytest.mark.parametrize("name", ["clearbit", "people_data_labs", "brave:news-brave", "claude:news-claude"])
async def test_junk_is_never_taken_for_an_answer(market: Market, name: str, kind: str) -> None:
    one = BY_LABEL[name]
    await market.fault(one.vendor, kind, count=None)
    reply = await market.ask(one, market.who(one.known_to))
    assert not isinstance(reply, Facts) or kind == "wrong_types"
    await market.assert_books_show_the_bill()


# --- the vendors' rare answers ---------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["queued", "queued_empty"])
async def test_clearbit_is_waited_for(market: Market, variant: str) -> None:
    one = BY_LABEL["clearbit"]
    await market.switch("clearbit", variant)
    assert isinstance(await market.ask(one, market.who(one.known_to)), Facts)
    await market.assert_books_agree()
    assert len(await market.rows("SELECT key FROM provider_calls")) == 1


@pytest.mark.parametrize("kind", ["reset_after_billing", "truncated_json"])
async def test_a_paused_search_that_was_billed_and_lost_is_booked_and_never_asked_again(
    market: Market, kind: str
) -> None:
    one = BY_LABEL["claude:news-claude"]
    await market.switch("claude", "pause_turn")
    await market.fault("claude", kind, after=1)
    lead = market.who(one.known_to)
    assert isinstance(await market.ask(one, lead), NoAnswer)
    price = {"claude": Decimal("0.010000")}
    assert (await market.bill(), await market.paid(), await market.unknown()) == (price, {}, price)
    assert await market.ask(one, lead) == NoAnswer(
        Gap.LOST, "an earlier answer was lost and may have been billed"
    )
    assert await market.bill() == price


SPARSE = {"clearbit": "company_industry", "apollo": "company_description"}


@pytest.mark.parametrize("name", SPARSE)
async def test_a_sparse_answer_is_an_answer_and_billed(market: Market, name: str) -> None:
    await market.switch(name, "sparse")
    reply = await market.ask(BY_LABEL[name], market.who({name}))
    assert isinstance(reply, Facts)
    assert not reply.fields[SPARSE[name]]
    await market.assert_books_agree()


MISSES = [
    ("apollo:people", "stub_person"),
    ("apollo:people", "no_person_key"),
    ("apollo", "organization_null"),
    ("brave:hiring-brave", "no_web_key"),
    ("builtwith", "empty_path"),
]


@pytest.mark.parametrize(("name", "variant"), MISSES)
async def test_every_form_of_a_miss(market: Market, name: str, variant: str) -> None:
    one = BY_LABEL[name]
    await market.switch(one.vendor, variant)
    assert isinstance(await market.ask(one, market.who(unknown_to=one.known_to)), Miss)
    await market.assert_books_agree()


async def test_a_match_of_another_company_is_a_miss_and_billed(market: Market) -> None:
    one = BY_LABEL["people_data_labs"]
    await market.switch("people_data_labs", "low_likelihood")
    assert await market.ask(one, market.who(one.known_to)) == Miss("another company")
    assert await market.paid() == {"people_data_labs": Decimal("0.100000")}
    await market.assert_books_agree()


async def test_a_domain_that_builtwith_ignores_is_a_miss_and_billed(market: Market) -> None:
    one = BY_LABEL["builtwith"]
    await market.switch("builtwith", "ignored_domain")
    assert isinstance(await market.ask(one, market.who(one.known_to)), Miss)
    assert await market.paid() == {"builtwith": Decimal("0.049500")}
    await market.assert_books_agree()


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("people_data_labs", ["plain_headers"]),
        ("builtwith", ["meta_null"]),
        ("builtwith", ["live_thin"]),
        ("claude:news-claude", ["pause_turn"]),
        ("zoominfo:company", ["short_expiry"]),
        ("zoominfo:company-legacy", ["short_expiry"]),
    ],
)
async def test_a_rare_form_of_a_hit(market: Market, name: str, variants: list[str]) -> None:
    one = BY_LABEL[name]
    await market.switch(one.vendor, *variants)
    await market.fault(one.vendor, "rate_limited", operation=_operation(one))
    assert isinstance(await market.ask(one, market.who(one.known_to)), Facts)
    await market.assert_books_agree()


PARKED = [
    ("apollo", ["inaccessible"], "not in plan"),
    ("zoominfo:company", ["no_scope"], "not in plan: ZI0002"),
    ("zoominfo:contact", ["not_in_contract"], "not in plan: ZI0003"),
    ("zoominfo:intent", ["not_in_contract", "title_envelope"], "not in plan: ZI0003"),
]


@pytest.mark.parametrize(("name", "variants", "why"), PARKED)
async def test_what_a_plan_lacks_is_left_alone(
    market: Market, name: str, variants: list[str], why: str
) -> None:
    one = BY_LABEL[name]
    await market.switch(one.vendor, *variants)
    async with market.opened(one) as providers:
        reply = await named(providers, one.label).enrich(market.who(one.known_to))
        assert isinstance(reply, NoAnswer)
        assert reply.detail.startswith(why)
        assert [one.provider for one in providers.skipped if one.why.startswith("not in plan")] == [name]
    await market.assert_books_agree()


async def test_a_key_for_people_only_still_asks_about_people(market: Market) -> None:
    await market.switch("apollo", "inaccessible")
    lead = market.who({"apollo"})
    async with market.opened() as providers:
        assert isinstance(await named(providers, "apollo").enrich(lead), NoAnswer)
        assert isinstance(await named(providers, "apollo:people").enrich(lead), Facts)
    await market.assert_books_agree()


@pytest.mark.parametrize(
    ("name", "variants"),
    [("zoominfo:company", ["title_envelope"]), ("tavily:news-tavily", ["payg_433"]),
     ("claude:news-claude", ["credit_400"]), ("brave:news-brave", ["errors_list"])],
)  # fmt: skip
async def test_every_form_of_being_out_of_credits(market: Market, name: str, variants: list[str]) -> None:
    one = BY_LABEL[name]
    await market.switch(one.vendor, *variants)
    await market.control("POST", f"accounts/{one.vendor}", {"balance": 0})
    reply = await market.ask(one, market.who(one.known_to))
    assert isinstance(reply, NoAnswer)
    assert reply.detail.startswith("out of credits")


async def test_brave_lists_the_errors_of_a_bad_key_too(market: Market) -> None:
    await market.switch("brave", "errors_list")
    async with market.opened(BY_LABEL["brave:news-brave"], key="a-key-that-opens-nothing") as providers:
        reply = await named(providers, "brave:news").enrich(market.who({NEWS}))
    assert reply == NoAnswer(Gap.PARKED, "bad key: SUBSCRIPTION_TOKEN_INVALID")


async def test_builtwith_refuses_a_key_in_two_ways(market: Market) -> None:
    await market.switch("builtwith", "unauthorised_401")
    async with market.opened(key="a-key-that-opens-nothing") as providers:
        reply = await named(providers, "builtwith").enrich(market.who({"builtwith"}))
    assert reply == NoAnswer(Gap.PARKED, "bad key: HTTP 401")


@pytest.mark.parametrize("code", ["too_many_requests", "max_uses_exceeded", "unavailable"])
async def test_a_search_of_claudes_that_keeps_failing_is_an_outage_and_free(
    market: Market, code: str
) -> None:
    await market.switch("claude", code)
    reply = await market.ask(BY_LABEL["claude:news-claude"], market.who({NEWS}))
    assert isinstance(reply, NoAnswer)
    assert reply.gap is Gap.LATER
    await market.assert_books_agree()


async def test_an_overloaded_model_is_asked_again(market: Market) -> None:
    await market.switch("claude", "overloaded_529")
    await market.fault("claude", "server_error")
    one = BY_LABEL["claude:news-claude"]
    assert isinstance(await market.ask(one, market.who(one.known_to)), Facts)
    await market.assert_books_agree()


@pytest.mark.parametrize("variant", ["title_envelope", "gateway_504"])
async def test_zoominfos_trouble_is_asked_again_for_nothing(market: Market, variant: str) -> None:
    await market.switch("zoominfo", variant)
    await market.fault("zoominfo", "server_error", operation="companies")
    one = BY_LABEL["zoominfo:company"]
    assert isinstance(await market.ask(one, market.who(one.known_to)), Facts)
    await market.assert_books_agree()


@pytest.mark.parametrize("name", ["zoominfo:company", "zoominfo:company-legacy"])
async def test_a_token_that_the_vendor_forgot_is_renewed(market: Market, name: str) -> None:
    one = BY_LABEL[name]
    lead = market.who(one.known_to)
    async with market.opened(one) as providers:
        contact, company = named(providers, "zoominfo:contact"), named(providers, "zoominfo:company")
        assert isinstance(await contact.enrich(lead), Facts)
        vendor: Any = market.vendor("zoominfo")
        vendor.tokens.clear()
        vendor.jwts.clear()
        assert isinstance(await company.enrich(lead), Facts)
    await market.assert_books_agree()


async def test_eu_and_do_not_call_are_honoured_over_the_wire(market: Market) -> None:
    one = BY_LABEL["zoominfo:contact"]
    people = [p for p in market.sandbox.parts.world.people if p.email and "zoominfo" in p.company.known_to][
        :40
    ]
    async with market.opened(one) as providers:
        ask = named(providers, one.label).enrich
        replies = await asyncio.gather(*(ask(lead_of(person)) for person in people))
    for person, reply in zip(people, replies, strict=True):
        if isinstance(reply, Facts) and (person.company.place[4] in {"DE", "FR", "ES", "NL"}):
            assert reply.fields["contact"]["phones"] == reply.fields["contact"]["employment_history"] == []
        elif isinstance(reply, Facts) and person.number % 5 == 0:
            assert reply.fields["contact"]["phones"] == []
    assert sum(isinstance(reply, Facts) for reply in replies) > 20
    await market.assert_books_agree()


# --- a campaign's worth ----------------------------------------------------------------------------------


async def enriched(providers: OpenProviders, lead: Lead) -> Gathered:
    """As agent 3.2 does it."""
    sources = [providers.enrichers[place] for place in in_order(providers.enrichers)]
    by_name = {source.name: source for source in sources}
    gathered = Gathered()
    while name := next_source(PROFILES[lead.tier], sources, gathered, providers.spent_on(lead)):
        gathered = after_reply(gathered, by_name[name], await by_name[name].enrich(lead))
    return gathered


@pytest.mark.parametrize("search", SEARCHES)
async def test_many_leads_come_to_the_vendors_own_bill_and_a_second_run_to_nothing(
    market: Market, search: str
) -> None:
    people = [person for person in market.sandbox.parts.world.people if person.fate.accepted]
    leads = [lead_of(person) for person in people if person.last][:30]
    roomy = Settings(providers={"website": ProviderSettings(in_flight=50)})
    one = case(f"{search}:news", NEWS)
    async with market.opened(one, roomy) as providers:
        first = await asyncio.gather(*(enriched(providers, lead) for lead in leads))
        assert all(providers.spent_on(lead) <= PROFILES[lead.tier].cap for lead in leads)
        assert sum((providers.spent_on(lead) for lead in leads), Decimal(0)) == providers.spent
        assert providers.spent == sum((await market.bill()).values(), Decimal(0))
    await market.assert_books_agree()
    bill = await market.bill()
    async with market.opened(one, roomy) as providers:
        second = await asyncio.gather(*(enriched(providers, lead) for lead in leads))
        assert providers.spent == 0
    assert await market.bill() == bill
    assert [_values(one) for one in first] == [_values(one) for one in second]
    for lead, gathered in zip(leads, first, strict=True):
        assert not result_of(lead.id, lead.tier, PROFILES[lead.tier], gathered).data["gaps"]


def _values(gathered: Gathered) -> dict[str, Any]:
    return {name: (entry["value"], entry["source"]) for name, entry in gathered.fields.items()}


async def test_no_key_stands_in_the_database(market: Market) -> None:
    lead = market.who({"clearbit", "apollo", "zoominfo", "people_data_labs", "builtwith", NEWS})
    async with market.opened() as providers:
        for one in providers.enrichers:
            assert isinstance(await one.enrich(lead), Facts), one.name
    rows = await market.rows("SELECT row_to_json(c)::text AS row FROM provider_calls AS c")
    secrets = [market.environment[name] for name in secret_names(market.environment)]
    assert len(rows) == 12
    assert not [secret for secret in secrets for row in rows if secret in row["row"]]
