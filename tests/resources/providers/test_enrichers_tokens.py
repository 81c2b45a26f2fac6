"""A vendor whose requests are signed by a short-lived token, shared by its questions."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from phase3_core.calls import Facts, Gap, NoAnswer
from phase3_core.errors import BadInput
from phase3_core.ledger import CallLedger, End
from phase3_core.money import ZERO, usd
from phase3_core.ports.books import Books
from phase3_core.ports.providers import Skipped
from phase3_core.runs import Run
from resources.http_client import Lost, NotSent, Received, Sending
from resources.providers import roster
from resources.providers.catalogue import row
from resources.providers.client import ProviderClient
from resources.providers.enrichers import zoominfo_company, zoominfo_contact, zoominfo_intent
from resources.providers.health import Health
from resources.providers.keys import Keys
from resources.providers.open_providers import OneProvider, OpenProviders
from resources.providers.request import Question
from resources.providers.settlement import Tally
from resources.providers.source import VendorSource
from resources.providers.spec import ProviderSpec
from resources.providers.tokens import TokenDesk
from resources.providers.website import WebsiteTransport
from resources.settings import Settings
from resources.settings_tables import ProviderSettings
from tests.attacks import attack, replaced
from tests.fakes.ledger import FakeLedger
from tests.fakes.people import a_run
from tests.resources.providers.sheet import EMAIL, KEY, lead
from tests.resources.providers.test_bulk import Waiting
from tests.resources.providers.vendor import FakeTime, answer

SECRETS = Keys({"ZOOMINFO_CLIENT_ID": "client-1", "ZOOMINFO_CLIENT_SECRET": KEY})
OPTIONS = {"ZOOMINFO_INTENT_TOPICS": "Robotics"}
DANA = lead(email=EMAIL)
UNAUTHORISED = answer({"error": {"code": "ZI0001", "message": "token"}}, 401)
SPECS = (zoominfo_company.SPEC, zoominfo_contact.SPEC, zoominfo_intent.SPEC)


@dataclass
class ZoomInfo:
    """Gives tokens t-1, t-2, ... and answers whoever shows one that it has not revoked."""

    lasts_s: float = 86_400
    granting: list[Received | Exception] = field(default_factory=list)  # instead of the next tokens
    revoked: set[str] = field(default_factory=set)
    answers: dict[str, Received] = field(default_factory=dict)  # by the last part of the path
    granted: int = 0
    signed: list[str] = field(default_factory=list)

    async def send(self, sending: Sending) -> Received:
        await asyncio.sleep(0)
        if sending.url.endswith("/token"):
            return self._token(sending)
        token = sending.headers["Authorization"].removeprefix("Bearer ")
        self.signed.append(token)
        if token in self.revoked:
            return UNAUTHORISED
        what = sending.url.split("/")[-2]
        return self.answers.get(what) or self._found(sending.body["data"]["attributes"])

    def _token(self, sending: Sending) -> Received:
        assert sending.url.startswith("https://login.example/oauth2/")
        assert sending.headers["Authorization"].startswith("Basic ")
        if self.granting:
            step = self.granting.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        self.granted += 1
        return answer({"access_token": f"t-{self.granted}-secret", "expires_in": self.lasts_s})

    @staticmethod
    def _found(attributes: Mapping[str, Any]) -> Received:
        if "topics" in attributes:
            return answer({"data": [{"attributes": {"topic": "Robotics"}}]})
        given = attributes.get("matchCompanyInput") or attributes["matchPersonInput"]
        known = {"description": "Robots.", "jobTitle": "VP"}
        return answer({"data": [{"type": "x", "attributes": known, "meta": {"input": given[0]}}]})


@dataclass
class Line:
    """The three questions as one run asks them."""

    vendor: ZoomInfo
    time: FakeTime = field(default_factory=FakeTime)
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        self.ledger = FakeLedger(self.time)
        self.tally = Tally()
        grant = zoominfo_company.SPEC.token
        assert grant is not None
        self.desk = TokenDesk(grant, SECRETS, "https://login.example", self.vendor.send, self.time.monotonic)
        self.company, self.contact, self.intent = map(self._client, SPECS)

    def _client(self, spec: ProviderSpec) -> ProviderClient:
        return ProviderClient(
            spec=spec,
            terms=row("zoominfo").terms,
            secrets=SECRETS,
            base_url="https://vendor.example",
            ledger=self.ledger,
            transport=self.vendor,
            clock=self.time,
            tally=self.tally,
            sleep=self.time.sleep,
            health=self.health,
            tokens=self.desk,
            options=OPTIONS,
        )

    async def ask(self, client: ProviderClient, domain: str = "acme.example") -> Any:
        question = Question(lead(email=f"dana@{domain}", company_domain=domain), options=OPTIONS)
        return await self.time.until(client.ask(question))


async def test_all_questions_of_a_vendor_are_signed_by_one_token() -> None:
    vendor = ZoomInfo()
    line = Line(vendor)
    questions = [line.company, line.contact, line.intent]
    replies = await line.time.until(
        asyncio.gather(*(one.ask(Question(DANA, options=OPTIONS)) for one in questions))
    )
    assert all(isinstance(reply, Facts) for reply in replies)
    assert vendor.granted == 1
    assert vendor.signed == ["t-1-secret"] * 3


@pytest.mark.parametrize(
    ("lasts_s", "after_s", "granted"),
    [(3600, 3539, 1), (3600, 3541, 2), (60, 29, 1), (60, 31, 2), (2, 1.5, 2)],
)
async def test_a_token_is_renewed_a_minute_early_or_after_half_of_a_short_life(
    lasts_s: float, after_s: float, granted: int
) -> None:
    vendor = ZoomInfo(lasts_s)
    line = Line(vendor)
    await line.ask(line.company)
    line.time.advance(after_s)
    await line.ask(line.company, "elsewhere.example")
    assert vendor.granted == granted


async def test_a_token_that_is_refused_is_renewed_once_and_the_call_is_one_call() -> None:
    vendor = ZoomInfo(revoked={"t-1-secret"})
    line = Line(vendor)
    assert isinstance(await line.ask(line.company), Facts)
    assert vendor.signed == ["t-1-secret", "t-2-secret"]
    (call,) = line.ledger.calls
    assert [outcome.end for outcome in call.ends] == [End.HIT]
    assert line.tally.spent == usd("0.15")


async def test_a_token_refused_to_many_is_renewed_once() -> None:
    vendor = ZoomInfo(revoked={"t-1-secret"})
    line = Line(vendor)
    questions = [Question(lead(company_domain=f"c{n}.example"), options=OPTIONS) for n in range(15)]
    replies = await line.time.until(asyncio.gather(*map(line.company.ask, questions)))
    assert all(isinstance(reply, Facts) for reply in replies)
    assert vendor.granted == 2


async def test_a_second_refusal_parks_the_vendor_for_all_its_questions() -> None:
    vendor = ZoomInfo(revoked={"t-1-secret", "t-2-secret"})
    line = Line(vendor)
    assert await line.ask(line.company) == NoAnswer(Gap.PARKED, "bad key: ZI0001: token")
    assert await line.ask(line.intent) == NoAnswer(Gap.PARKED, "bad key: ZI0001: token")
    assert vendor.granted == 2
    assert line.ledger.booked == ZERO


async def test_refused_credentials_park_the_vendor_and_nothing_was_asked() -> None:
    vendor = ZoomInfo(granting=[answer({"error": "invalid_client"}, 401)])
    line = Line(vendor)
    assert await line.ask(line.company) == NoAnswer(Gap.PARKED, "bad key: invalid_client")
    assert vendor.signed == []
    assert line.ledger.booked == ZERO


@pytest.mark.parametrize(
    "trouble",
    [
        Lost("ServerDisconnectedError"),
        NotSent("ClientConnectorError"),
        answer("", 503),
        answer("no JSON", 200),
    ],
)
async def test_trouble_with_the_token_is_no_lost_call(trouble: Received | Exception) -> None:
    vendor = ZoomInfo(granting=[trouble])
    line = Line(vendor)
    assert isinstance(await line.ask(line.company), Facts)
    (call,) = line.ledger.calls
    assert [outcome.end for outcome in call.ends] == [End.NOT_SENT, End.HIT]
    assert line.ledger.booked == usd("0.15")


async def test_too_many_tokens_are_waited_for() -> None:
    vendor = ZoomInfo(granting=[answer({}, 429, retry_after="9")])
    line = Line(vendor)
    assert isinstance(await line.ask(line.company), Facts)
    assert 9.0 in line.time.slept


async def test_what_a_plan_lacks_is_left_alone_and_the_rest_is_asked() -> None:
    refused = answer({"error": {"code": "ZI0003", "message": "not in your contract"}}, 403)
    vendor = ZoomInfo(answers={"intent": refused})
    line = Line(vendor)
    why = "not in plan: ZI0003: not in your contract"
    assert await line.ask(line.intent) == NoAnswer(Gap.PARKED, why)
    assert await line.ask(line.intent, "elsewhere.example") == NoAnswer(Gap.PARKED, why)
    assert isinstance(await line.ask(line.company), Facts)
    assert len(line.ledger.calls) == 2
    everybody = [OneProvider(client) for client in (line.company, line.contact, line.intent)]
    assert OpenProviders([], [], everybody, []).skipped == [Skipped("zoominfo:intent", why)]


async def test_a_parked_vendor_is_reported_once() -> None:
    line = Line(ZoomInfo(), health=Health(parked="bad key"))
    everybody = [OneProvider(client) for client in (line.company, line.contact, line.intent)]
    assert OpenProviders([], [], everybody, []).skipped == [Skipped("zoominfo", "bad key")]


async def test_no_secret_reaches_the_ledger_even_where_the_vendor_repeats_it() -> None:
    echo = answer({"error": {"code": "ZI0003", "message": f"{KEY} t-1-secret"}}, 403)
    line = Line(ZoomInfo(answers={"companies": echo}))
    await line.ask(line.company)
    (call,) = line.ledger.calls
    written = json.dumps([dict(call.intent.request), call.last.response, call.last.error])
    assert KEY not in written
    assert "t-1-secret" not in written
    assert "client-1" not in written


async def test_what_databases_refuse_is_taken_out_of_an_answer() -> None:
    body = {"data": [{"attributes": {"topic": "a\x00b\ud800", "signalScore": 7}}]}
    line = Line(ZoomInfo(answers={"intent": answer(body)}))
    for reply in (await line.ask(line.intent), await line.ask(line.intent)):  # the second from the ledger
        assert isinstance(reply, Facts)
        assert reply.fields["intent"][0]["topic"] == "a\ufffdb?"


# --- which of them a run opens ---------------------------------------------------------------------------

KEYS = {
    "WEB_SEARCH_API_KEY": "search-key",
    "APOLLO_API_KEY": "apollo-key",
    **SECRETS,
}


@asynccontextmanager
async def opened(
    environment: Mapping[str, str], settings: Settings | None = None
) -> AsyncIterator[OpenProviders]:
    time = FakeTime()

    @asynccontextmanager
    async def ledger(_books: Books, run: Run) -> AsyncIterator[CallLedger]:
        yield FakeLedger(time, run)

    source = VendorSource((settings or Settings()).with_contact("us@example.com"), environment, ledger, time)
    async with source.open(a_run(), cast("Books", Waiting(0))) as providers:
        yield providers


def clients(providers: OpenProviders, name: str) -> list[ProviderClient]:
    return [one.client for one in providers.enrichers if one.client.spec.name == name]


async def test_those_with_a_key_are_opened_in_the_catalogues_order() -> None:
    async with opened(KEYS) as providers:
        assert [one.name for one in providers.enrichers] == [
            "website",
            "brave:news",
            "brave:funding",
            "brave:hiring",
            "apollo",
            "apollo:people",
            "zoominfo:company",
            "zoominfo:contact",
        ]
        skipped = {one.provider: one.why for one in providers.skipped}
        assert skipped["clearbit"] == "no key: set CLEARBIT_API_KEY"
        assert skipped["zoominfo:intent"] == "set ZOOMINFO_INTENT_TOPICS"
        assert not skipped.keys() & {"claude", "serper", "tavily"}


DOOR = {"PHASE3_SANDBOX_WEB": "127.0.0.1:1"}


@attack(
    "Reading websites",
    "The variable of the sandbox's door is left set where real vendors are asked",
    defence="Such a run does not begin",
    without=replaced((roster, "_on_loopback", lambda _: True)),
)
async def test_the_sandboxs_door_does_not_stand_open_beside_real_vendors() -> None:
    with pytest.raises(BadInput, match="PHASE3_SANDBOX_WEB is set, but brave would be asked at https://api"):
        async with opened(KEYS | DOOR):
            pass


async def test_with_all_vendors_on_loopback_the_sandboxs_door_opens() -> None:
    bases = {f"{name}_BASE_URL": "http://127.0.0.1:1/x" for name in ("WEB_SEARCH", "APOLLO", "ZOOMINFO")}
    async with opened(KEYS | DOOR | bases) as providers:
        assert clients(providers, "website")


async def test_our_own_networks_reach_the_reader_of_websites() -> None:
    with pytest.raises(ValueError, match="own_networks"):
        Settings.model_validate({"web": {"own_networks": ["203.0.113.7/99"]}})
    own = Settings.model_validate({"web": {"own_networks": ["8.8.8.8", "2606:4700::/32"]}})
    async with opened({}, own) as providers:
        (site,) = clients(providers, "website")
        assert isinstance(site.transport, WebsiteTransport)
        assert not site.transport._fetcher._hops._is_public("8.8.8.8")
        assert site.transport._fetcher._hops._is_public("8.8.4.4")


async def test_a_missing_key_is_reported_once_for_all_questions() -> None:
    async with opened({}) as providers:
        skipped = [one for one in providers.skipped if one.provider in {"brave", "zoominfo"}]
        assert skipped == [
            Skipped("brave", "no key: set WEB_SEARCH_API_KEY"),
            Skipped("zoominfo", "no key: set ZOOMINFO_CLIENT_ID and ZOOMINFO_CLIENT_SECRET"),
        ]


async def test_questions_share_their_vendors_health_token_and_the_gate_of_their_terms() -> None:
    async with opened(KEYS | OPTIONS) as providers:
        zoominfo = clients(providers, "zoominfo")
        assert len(zoominfo) == 3
        assert len({id(one.health) for one in zoominfo}) == 1
        assert len({id(one.tokens) for one in zoominfo}) == 1
        assert len({id(one.gate) for one in zoominfo}) == 1
        company, people = clients(providers, "apollo")
        assert company.health is people.health
        assert company.gate is not people.gate
        assert company.health is not zoominfo[0].health


@pytest.mark.parametrize(
    ("environment", "base_url", "token_url"),
    [
        ({}, "https://api.zoominfo.com", "https://okta-login.zoominfo.com"),
        ({"ZOOMINFO_BASE_URL": "http://127.0.0.1:9/z/"}, "http://127.0.0.1:9/z", "http://127.0.0.1:9/z"),
    ],
)
async def test_an_overridden_base_url_gives_tokens_too(
    environment: Mapping[str, str], base_url: str, token_url: str
) -> None:
    async with opened({**KEYS, **environment}) as providers:
        client = clients(providers, "zoominfo")[0]
        assert client.base_url == base_url
        assert client.tokens is not None
        assert client.tokens.base_url == token_url


async def test_the_chosen_search_has_its_key_and_base_url_under_common_names() -> None:
    chosen = {"WEB_SEARCH_PROVIDER": "serper", "WEB_SEARCH_BASE_URL": "http://127.0.0.1:9/serper"}
    async with opened({**KEYS, **chosen}) as providers:
        searches = clients(providers, "serper")
        assert [one.spec.label for one in searches] == ["serper:news", "serper:funding", "serper:hiring"]
        assert {one.base_url for one in searches} == {"http://127.0.0.1:9/serper"}
        assert searches[0].secrets == {"WEB_SEARCH_API_KEY": "search-key"}


@pytest.mark.parametrize("name", ["brave", "web_search"])
async def test_settings_name_a_search_by_its_own_name_or_by_its_kind(name: str) -> None:
    settings = Settings(providers={name: ProviderSettings(price_usd=usd("0.003"))})
    async with opened(KEYS, settings) as providers:
        assert {one.terms.price.per_credit for one in clients(providers, "brave")} == {usd("0.003")}


async def test_an_option_reaches_the_question() -> None:
    model = {"WEB_SEARCH_PROVIDER": "claude", "WEB_SEARCH_MODEL": "claude-x"}
    async with opened({**KEYS, **model}) as providers:
        assert clients(providers, "claude")[0].options == {"WEB_SEARCH_MODEL": "claude-x"}
    async with opened({**KEYS, "WEB_SEARCH_PROVIDER": "claude"}) as providers:
        assert clients(providers, "claude")[0].options == {"WEB_SEARCH_MODEL": "claude-haiku-4-5"}
