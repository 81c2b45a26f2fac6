"""What the tables show of earlier campaigns, and of the leads that are to be worked on."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from phase3_core.money import usd
from phase3_core.rates import Seen
from phase3_core.record import Count, Credit, Group, Roles
from phase3_core.tiers import Tier
from resources.postgres.database import PostgresBooks
from tests.conftest import MakeCampaign

BookCall = Callable[..., None]
Query = Callable[..., list[dict[str, Any]]]
ROLES = Roles(frozenset({"tomba", "muraena"}), "reoon", "mailverify")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DONE = {"email_verification_completed_at": NOON}


def a_lead(tier: str = "A", score: int = 50, domain: str = "acme.com", **columns: Any) -> dict[str, Any]:
    return {"lead_tier": tier, "lead_score": score, "company_domain": domain, **columns}


def accepted(source: str, **columns: Any) -> dict[str, Any]:
    return a_lead(email="a@acme.com", email_status="valid", email_provider=source, **columns)


async def test_leads_alike_are_counted_together(books: PostgresBooks, make_campaign: MakeCampaign) -> None:
    campaign = make_campaign(
        [
            a_lead("B", 10),
            a_lead("A", 90),
            a_lead("B", 20, email="b@acme.com"),
            *(a_lead("C", n, domain="big.com") for n in range(6)),
            a_lead("C", 1, domain=""),
            a_lead("C", 2, domain="", status="duplicate"),
        ]
    )
    assert await books.track_record.groups(campaign.id, ROLES.finders) == [
        Group(Tier.A, 1, delivered=False, to_verify=1, colleagues=3),
        Group(Tier.B, 2, delivered=True, to_verify=1, colleagues=3),
        Group(Tier.B, 3, delivered=False, to_verify=1, colleagues=3),
        Group(Tier.C, 0, delivered=False, to_verify=1),
        Group(Tier.C, 1, delivered=False, to_verify=1, colleagues=6),
        Group(Tier.C, 2, delivered=False, to_verify=1, colleagues=6),
        Group(Tier.C, 3, delivered=False, to_verify=1, colleagues=6),
        Group(Tier.C, 4, delivered=False, to_verify=3, colleagues=6),
    ]


async def test_who_waits_is_counted_by_whom_it_was_asked_of_in_vain(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    campaign = make_campaign(
        [a_lead(domain=""), a_lead(domain=""), a_lead(domain="", email_status="invalid")]
    )
    waiting, _, finished = campaign.leads
    for lead in (waiting, finished):
        book_call(campaign.id, lead, provider="muraena", outcome="miss")
        book_call(campaign.id, lead, provider="reoon", outcome="invalid")
    book_call(campaign.id, waiting, provider="tomba", outcome=None, state="unknown")
    groups = await books.track_record.groups(campaign.id, ROLES.finders)
    assert {(group.missed, group.to_verify) for group in groups} == {
        (frozenset({"muraena"}), 1),
        (frozenset(), 1),
    }


async def test_what_is_left_to_enrich_is_counted_by_lead_and_by_company(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    campaign = make_campaign(
        [
            a_lead("A", 99, email_status="not_found"),
            accepted("tomba", score=80),
            accepted("tomba", score=70),
            accepted("tomba", domain="b.com", enrichment_status="enriched"),
            accepted("tomba", domain="b.com", score=10),
        ]
    )
    groups = await books.track_record.groups(campaign.id, ROLES.finders)
    assert sum(group.to_verify for group in groups) == 0
    assert (sum(group.to_enrich for group in groups), sum(group.firsts for group in groups)) == (3, 1)


async def test_the_record_is_read_from_leads_and_their_calls(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    best = accepted("muraena", enrichment_status="enriched", score=99)
    campaign = make_campaign([best, a_lead()], **DONE)
    lead = campaign.leads[0]
    for second, (provider, outcome) in enumerate(
        [("tomba", "miss"), ("muraena", "hit"), ("reoon", "catch_all"), ("mailverify", "valid")]
    ):
        asked = NOON + timedelta(seconds=second)
        columns = {"provider": provider, "outcome": outcome, "asked_at": asked, "response_time_ms": 40}
        book_call(campaign.id, lead, **columns)
    book_call(campaign.id, lead, provider="tomba", outcome=None, state="unknown", asked_at=NOON)
    bought = {"provider": "clearbit", "operation": "companies-find", "agent": "waterfall_enrichment"}
    book_call(campaign.id, lead, **bought)
    book_call(campaign.id, lead, **bought, outcome="miss")
    record = await books.track_record.record(UUID(int=1), ROLES)
    assert record.leads == 1
    assert record.finders == (
        Seen("tomba", frozenset(), calls=1, hits=0, accepted=0),
        Seen("muraena", frozenset({"tomba"}), calls=1, hits=1, accepted=1),
    )
    assert (record.doubted, record.guesses) == (Count(1, 1), {1: Count(0, 1)})
    assert (record.enriched, record.companies) == ({Tier.A: 1}, {Tier.A: 1})
    assert record.bought == {(Tier.A, "clearbit/companies-find"): Count(hits=1, trials=2)}


async def test_how_long_answers_took_tells_of_single_calls_alone(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    campaign = make_campaign()
    reoon, findymail = {"provider": "reoon"}, {"provider": "findymail", "response_time_ms": 70}
    for took_ms in (900, 1_100, 9_000):
        book_call(campaign.id, **reoon, response_time_ms=took_ms)
    for _ in range(4):
        book_call(campaign.id, **reoon, response_time_ms=600_000, job_id="4242")
    book_call(campaign.id, **reoon, state="intent", outcome=None)
    book_call(campaign.id, **findymail)
    book_call(campaign.id, provider="icypeas", response_time_ms=8_000, job_id="7")
    took = await books.track_record.took_ms(["reoon", "icypeas", "mailverify"])
    assert took == {"reoon": 1_100}


async def test_of_a_vendors_answers_those_count_as_billed_that_cost_something(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall
) -> None:
    campaign = make_campaign()
    findymail = {"provider": "findymail"}
    book_call(campaign.id, **findymail, cost_usd="0.0198")
    book_call(campaign.id, **findymail, outcome="miss", cost_usd=0)
    book_call(campaign.id, **findymail, outcome="miss", cost_usd=0)
    book_call(campaign.id, **findymail, outcome="error", cost_usd=0)
    book_call(campaign.id, **findymail, state="unknown", outcome=None, cost_usd=0)
    billed = await books.track_record.billed(["findymail", "apollo"])
    assert billed == {"findymail": Count(1, 3)}


READ = """
INSERT INTO balance_readings (provider, account, taken_at, credits, booked_usd, in_doubt_usd, price_usd,
                              since, span_taken_usd, span_booked_usd, drift_usd, agreement)
VALUES ('tomba', :account, :at, :credits, :booked, 0, 0.01, :at, 0, 0, 0, 'agreed')
"""


async def test_an_account_holds_what_was_read_last_less_what_was_booked_since(
    books: PostgresBooks, make_campaign: MakeCampaign, book_call: BookCall, query: Query
) -> None:
    campaign = make_campaign()
    book_call(campaign.id, cost_usd=1)
    query(READ, account="old", at=NOON - timedelta(days=1), credits=9_000, booked=0)
    query(READ, account="new", at=NOON, credits=500, booked=1)
    assert await books.track_record.credit() == {"tomba": Credit(usd(5), NOON)}
    book_call(campaign.id, cost_usd=2)
    book_call(campaign.id, cost_usd=2, provider="reoon")
    assert await books.track_record.credit() == {"tomba": Credit(usd(3), NOON)}
    book_call(campaign.id, cost_usd=4)
    assert await books.track_record.credit() == {"tomba": Credit(usd(0), NOON)}


async def test_a_companys_questions_began_with_its_first_lead_that_was_enriched(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    best = a_lead("A", 99, email_status="not_found")
    later = [accepted("tomba", score=score, enrichment_status="enriched") for score in (80, 70)]
    make_campaign([best, *later], **DONE)
    record = await books.track_record.record(UUID(int=1), ROLES)
    assert (record.enriched, record.companies) == ({Tier.A: 2}, {Tier.A: 1})


async def test_only_finished_campaigns_and_the_campaign_itself_count(
    books: PostgresBooks, make_campaign: MakeCampaign
) -> None:
    own = make_campaign([accepted("tomba")])
    other = make_campaign([accepted("tomba"), accepted("tomba")])
    make_campaign([accepted("tomba"), accepted("tomba", domain="b.com"), accepted("tomba")], **DONE)
    assert (await books.track_record.record(own.id, ROLES)).leads == 4
    assert (await books.track_record.record(other.id, ROLES)).leads == 5
