"""Ten questions in a request, over the socket: answers, bill and rows are those of single calls."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from phase3_core.breaker import FAILURES_IN_A_ROW, Answered
from phase3_core.calls import Facts, Gap, Miss, NoAnswer
from phase3_core.ledger import End
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.client import ProviderClient
from resources.providers.gate import Limits
from resources.providers.request import Question
from sandbox.options import Options
from tests.resources.providers.market import Market, Query, a_market, lead_of
from tests.resources.providers.test_contract_bulk import requests
from tests.resources.providers.vendor import Vendor, answer

COMPANIES = 40
ORGANIZATION, PEOPLE = "organization", "person"
QUESTION = {ORGANIZATION: "", PEOPLE: "people"}


@pytest.fixture
async def market(database_url: str, query: Query) -> AsyncIterator[Market]:
    async with a_market(database_url, query, Options(latency_ms=0, rate_factor=0)) as market:
        yield market


def declared(kind: str) -> Row:
    return next(one for one in CATALOGUE if (one.name, one.spec.question) == ("apollo", QUESTION[kind]))


async def told(client: ProviderClient, market: Market) -> list[Any]:
    """What is known of one person in each of the first companies, or of the companies themselves."""
    by_company = {person.company.domain: person for person in reversed(market.people)}
    people = [by_company[domain] for domain in sorted(by_company)][:COMPANIES]
    leads = [lead_of(person, email=person.email) for person in people]
    replies = await asyncio.gather(*(client.ask(Question(lead)) for lead in leads))
    return [replace(reply, at=None) if isinstance(reply, Facts) else reply for reply in replies]


async def asked(market: Market, kind: str, *, bulk: bool = True) -> list[Any]:
    spec = declared(kind).spec
    async with market.opened("apollo", bulk=bulk, spec=spec, terms=declared(kind).terms) as client:
        return await told(client, market)


def found(replies: list[Any]) -> int:
    return sum(isinstance(reply, Facts) for reply in replies)


@pytest.mark.parametrize("kind", [ORGANIZATION, PEOPLE])
async def test_answers_bill_and_rows_are_those_of_single_calls(
    market: Market, query: Query, kind: str
) -> None:
    together = await asked(market, kind)
    many = {ORGANIZATION: "organizations", PEOPLE: "people"}[kind]
    counted = await requests(market)
    assert (counted[many], counted[kind]) == (COMPANIES // 10, 0)
    assert 0 < found(together) < COMPANIES
    assert len(market.sandbox.parts.bill.charges) == found(together)
    await market.assert_books_agree()
    assert await asked(market, kind, bulk=False) == together
    assert await requests(market) == counted
    query("DELETE FROM provider_calls RETURNING 1")
    assert await asked(market, kind, bulk=False) == together


@pytest.mark.parametrize("kind", [ORGANIZATION, PEOPLE])
async def test_a_pack_whose_answer_was_lost_is_asked_once_more(market: Market, kind: str) -> None:
    await market.fault("apollo", "reset_after_billing", count=1)
    replies = await asked(market, kind)
    assert {type(reply) for reply in replies} == {Facts, Miss}
    charged = Counter(charge.question for charge in market.sandbox.parts.bill.charges)
    assert set(charged.values()) == {1, 2}
    await market.assert_nothing_is_missing()


async def test_credits_for_less_than_a_pack_buy_single_answers(market: Market) -> None:
    market.vendor("apollo").account.balance = Decimal(5)
    replies = await asked(market, ORGANIZATION)
    assert found(replies) == 5
    assert {reply.gap for reply in replies if isinstance(reply, NoAnswer)} == {Gap.PARKED}
    await market.assert_books_agree()


# --- what the vendor may say -------------------------------------------------------------------------------

DOMAINS = [f"acme{number}.example" for number in range(4)]


def organizations(*domains: str) -> Any:
    listed = [{"name": domain.partition(".")[0], "primary_domain": domain} for domain in domains]
    return answer({"status": "success", "organizations": [{**one, "industry": "it"} for one in listed]})


async def packed(*steps: Any) -> tuple[Vendor, list[Any]]:
    vendor = Vendor("apollo", steps, bulk=True)
    questions = (vendor.asking(company_domain=domain) for domain in DOMAINS)
    replies: list[Any] = await vendor.time.until(asyncio.gather(*questions))
    return vendor, replies


async def test_companies_are_joined_on_their_domain() -> None:
    vendor, replies = await packed(organizations(*reversed(DOMAINS[1:])))
    assert [type(reply) for reply in replies] == [Miss, Facts, Facts, Facts]
    assert vendor.sends == 1
    assert vendor.transport.paths == [
        "POST /organizations/bulk_enrich?" + "&".join(f"domains%5B%5D={domain}" for domain in DOMAINS)
    ]


async def test_what_cannot_be_joined_is_no_miss() -> None:
    """One of the missing was found and billed under a name of its own: nobody knows which."""
    elsewhere = organizations(*DOMAINS[2:], "holding.example")
    vendor, replies = await packed(elsewhere, answer({"error": "out of order"}, 500))
    assert [type(reply) for reply in replies] == [NoAnswer, NoAnswer, Facts, Facts]
    assert [call.last.end for call in vendor.ledger.calls].count(End.LOST) == 2


async def test_who_cannot_be_joined_asks_again_by_itself_and_is_no_failure() -> None:
    elsewhere = organizations(*DOMAINS[2:], "holding.example")
    moved = answer({"organization": {"name": "Holding", "industry": "it"}})
    vendor, replies = await packed(elsewhere, moved)
    assert [type(reply) for reply in replies] == [Facts] * 4
    assert vendor.sends == 3
    assert vendor.client.health.untold() == [Answered(4)]


async def test_the_one_company_that_is_left_answers_the_one_question_that_is_left() -> None:
    vendor, replies = await packed(organizations(*DOMAINS[1:], "holding.example"))
    assert [type(reply) for reply in replies] == [Facts] * 4
    assert vendor.sends == 1


async def test_what_is_told_of_one_of_two_namesakes_is_told_of_neither() -> None:
    dana, ann = (
        {"name": name, "title": "CTO", "id": "64b0aa11bb22cc33dd44ee55"} for name in ("Dana Reyes", "Ann Lee")
    )
    told = answer({"status": "success", "missing_records": 1, "matches": [dana, ann]})
    vendor = Vendor(
        "apollo", (told, answer({"error": "out of order"}, 500)), bulk=True, declared=declared(PEOPLE)
    )
    people = [
        ("Dana", "Reyes", "acme.example"),
        ("Dana", "Reyes", "globex.example"),
        ("Ann", "Lee", "acme.example"),
    ]
    asking = [
        vendor.asking(first_name=first, last_name=last, company_domain=domain, email="", linkedin_url="")
        for first, last, domain in people
    ]
    replies = await vendor.time.until(asyncio.gather(*asking))
    assert [type(reply) for reply in replies] == [NoAnswer, NoAnswer, Facts]


async def test_a_plan_without_packs_is_asked_one_by_one() -> None:
    refused = answer({"error": "not in your plan", "error_code": "API_INACCESSIBLE"}, 403)
    vendor, replies = await packed(refused, answer({}))
    assert replies == [Miss()] * 4
    assert vendor.sends == 5
    assert not vendor.client.standing.parked


async def test_a_pack_that_failed_with_200_is_no_answer() -> None:
    failed = {"status": "failed", "error_code": "INVALID_REQUEST", "error_message": "what?"}
    vendor, replies = await packed(answer(failed), answer({}))
    assert replies == [Miss()] * 4
    assert vendor.sends == 5


async def test_no_pack_leaves_once_the_breaker_is_open() -> None:
    """Those that queue for the one place find it open, as single questions do."""
    down = answer({"error": "down"}, 500)
    vendor = Vendor("apollo", (down,), bulk=True, limits=Limits(in_flight=1), takes_s=1.0)
    questions = (vendor.asking(company_domain=f"acme{number}.example") for number in range(400))
    await vendor.time.until(asyncio.gather(*questions))
    assert vendor.sends <= FAILURES_IN_A_ROW + 1
