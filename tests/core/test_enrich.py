"""Agent 3.2 on a whole campaign, with fakes for the outside world."""

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase3_core.calls import Billing, EnricherReply, Facts, Gap, Miss, NoAnswer, Price
from phase3_core.enrich import COMPANIES_REMEMBERED, Companies
from phase3_core.errors import OutsideFailure, StoppedAtThreshold, WrongCampaignState
from phase3_core.leads import Lead
from phase3_core.money import ZERO, usd
from phase3_core.policy import Policy, Thresholds
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import Agent, CampaignStatus, EmailStatus, EnrichmentStatus
from phase3_core.tiers import Tier, Topic
from tests.core.office import ANY_NUMBER, EASY, Office, an_office, ledger_down, shuffled, then
from tests.fakes.clock import NOON
from tests.fakes.people import a_lead, a_run
from tests.fakes.providers import enricher

CALL = Price(usd("0.01"), Billing.PER_CALL)


def priced(amount: str) -> Price:
    return Price(usd(amount), Billing.PER_CALL)


ALL_OF_A = Facts(
    {"company_description": "Makes anvils", "company_industry": "Metal", "company_employee_count": 12}, NOON
)


def ready_office(leads: list[Lead], policy: Policy = EASY) -> Office:
    """After agent 3.1: everybody has an accepted address."""
    office = an_office(leads, policy)
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    for row in office.database.tables.leads.values():
        row.email, row.email_status = f"x{row.lead.id.int}@acme.com", EmailStatus.VALID
    return office


def three_companies(size: int, seed: int = 1) -> list[Lead]:
    dice = Random(seed)
    return [
        a_lead(
            n,
            f"P{n} Q{n}",
            company_domain=f"c{dice.randrange(3)}.com",
            tier=dice.choice([*Tier]),
            score=dice.randrange(9),
        )
        for n in range(1, size + 1)
    ]


def vendors(office: Office) -> None:
    """Each topic that a tier may want at some vendor's, some for companies and one for people."""

    def facts(about: str) -> EnricherReply:
        return ALL_OF_A if about < "c2" else Miss()

    office.source.enrichers = [
        enricher("apollo", frozenset({Topic.CONTACT}), price=CALL, per_company=False),
        enricher("builtwith", frozenset({Topic.TECH_STACK}), price=CALL),
        enricher("website", frozenset({Topic.WEBSITE})),
        enricher("funding_news", frozenset({Topic.FUNDING}), price=CALL),
        enricher("clearbit", frozenset({Topic.COMPANY, Topic.WEBSITE}), facts, CALL),
        enricher("news", frozenset({Topic.NEWS}), price=CALL),
    ]


async def test_a_campaign_is_enriched_counted_and_moved_on() -> None:
    office = ready_office([a_lead(1), a_lead(2, company_domain="b.com"), a_lead(3, company_domain="c.com")])
    partly = Facts({"company_industry": "Metal"}, NOON)
    office.source.enrichers = [
        enricher("clearbit", frozenset({Topic.COMPANY}), {"acme.com": ALL_OF_A, "b.com": partly}, CALL)
    ]
    summary = await office.enrich()
    assert [row.enrichment_status for row in office.rows] == [
        EnrichmentStatus.ENRICHED,
        EnrichmentStatus.PARTIAL,
        EnrichmentStatus.FAILED,
    ]
    assert office.row(1).enrichment_fields == ALL_OF_A.fields
    assert office.row(1).enrichment_data["fields"]["company_industry"]["source"] == "clearbit"
    assert office.row(2).enrichment_data["missing"] == ["company_description"]
    assert [row.enrichment_cost for row in office.rows] == [usd("0.01")] * 3
    assert (summary.worked_on, summary.cost) == (3, usd("0.03"))
    assert office.campaign.status is CampaignStatus.ENRICHED
    assert office.campaign.results[Agent.ENRICHMENT].cost == usd("0.03")


async def test_only_leads_with_an_accepted_address_are_enriched() -> None:
    office = ready_office([a_lead(1), a_lead(2)])
    office.database.tables.leads[a_lead(2).id].email_status = EmailStatus.CATCH_ALL
    summary = await office.enrich()
    assert summary.worked_on == 1
    assert office.row(2).enrichment_status is None


async def test_without_any_enricher_every_lead_fails_and_the_campaign_goes_on() -> None:
    office = ready_office([a_lead(1)])
    office.source.left_out = [Skipped("apollo", "APOLLO_API_KEY is not set")]
    summary = await office.enrich()
    assert office.row(1).enrichment_status is EnrichmentStatus.FAILED
    assert office.campaign.status is CampaignStatus.ENRICHED
    assert [skipped.provider for skipped in summary.skipped] == ["apollo"]


async def test_a_vendor_that_is_gone_leaves_a_gap_and_is_not_waited_for() -> None:
    office = ready_office([a_lead(1)])
    gone = NoAnswer(Gap.PARKED, "bad key")
    office.source.enrichers = [
        enricher("apollo", frozenset({Topic.COMPANY}), {"acme.com": gone}),
        enricher("clearbit", frozenset({Topic.COMPANY}), {"acme.com": ALL_OF_A}),
    ]
    await office.enrich()
    assert office.row(1).enrichment_status is EnrichmentStatus.ENRICHED
    assert office.row(1).enrichment_data["gaps"] == {"apollo": "bad key"}


async def test_what_was_bought_of_who_is_gone_is_kept_and_not_bought_of_another() -> None:
    office = ready_office([a_lead(1, tier=Tier.B)])
    office.source.enrichers = [enricher("clearbit", frozenset({Topic.COMPANY}), {"acme.com": ALL_OF_A}, CALL)]
    await office.enrich()
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    office.database.tables.leads[a_lead(1).id].enrichment_status = None  # asked for again
    office.source.enrichers = [
        enricher("pdl", frozenset({Topic.COMPANY}), {"acme.com": Facts({"company_industry": "Ore"})}, CALL),
        enricher("apollo", frozenset({Topic.CONTACT}), {"acme.com": Facts({"contact": "+1"}, NOON)}, CALL),
    ]
    await office.enrich("run-2")
    row = office.row(1)
    assert row.enrichment_status is EnrichmentStatus.ENRICHED
    assert row.enrichment_fields == ALL_OF_A.fields
    told = {name: entry["source"] for name, entry in row.enrichment_data["fields"].items()}
    assert told == dict.fromkeys(ALL_OF_A.fields, "clearbit") | {"contact": "apollo"}
    assert row.enrichment_data["sources"].keys() == {"clearbit", "apollo"}
    assert [question.provider for question in office.source.asked] == ["clearbit", "apollo"]


async def test_who_gives_no_answer_this_time_takes_nothing_back() -> None:
    office = ready_office([a_lead(1)])
    office.source.enrichers = [enricher("clearbit", frozenset({Topic.COMPANY}), {"acme.com": ALL_OF_A}, CALL)]
    await office.enrich()
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    office.database.tables.leads[a_lead(1).id].enrichment_status = None
    office.database.bills.answers.clear()  # they are stale
    gone = NoAnswer(Gap.PARKED, "bad key")
    office.source.enrichers = [enricher("clearbit", frozenset({Topic.COMPANY}), {"acme.com": gone}, CALL)]
    await office.enrich("run-2")
    row = office.row(1)
    assert (row.enrichment_status, row.enrichment_data["gaps"]) == (
        EnrichmentStatus.ENRICHED,
        {"clearbit": "bad key"},
    )
    assert row.enrichment_data["sources"] == {"clearbit": dict(ALL_OF_A.fields)}


# Companies


@given(st.integers(0, 10**6), st.integers(1, 64))
@settings(max_examples=40, deadline=None)
def test_a_company_is_asked_about_once_and_its_first_lead_pays(order: int, in_flight: int) -> None:
    office = ready_office(three_companies(40), Policy(ANY_NUMBER, leads_in_flight=in_flight))
    vendors(office)
    office.source.pause = shuffled(order)
    asyncio.run(office.enrich())
    assert set(Counter(office.source.asked).values()) == {1}
    first: dict[str, object] = {}
    for row in office.rows:
        first.setdefault(row.lead.company_domain, row.lead.id)
    company = [bill for bill in office.bills if bill.question.provider != "apollo"]
    assert {bill.lead_id for bill in company} == set(first.values())


async def test_the_order_in_which_answers_arrive_changes_no_row() -> None:
    def run(order: int, in_flight: int) -> Office:
        office = ready_office(three_companies(40), Policy(ANY_NUMBER, leads_in_flight=in_flight))
        vendors(office)
        office.source.pause = shuffled(order)
        return office

    alone = run(0, 1)
    await alone.enrich()
    for order in range(20):
        office = run(order, 64)
        await office.enrich()
        assert (office.rows, office.bills) == (alone.rows, alone.bills)


async def test_leads_without_a_company_are_asked_about_one_by_one() -> None:
    office = ready_office([a_lead(n, f"P{n} Q{n}", company_domain="") for n in (1, 2)])
    vendors(office)
    await office.enrich()
    assert Counter(question.provider for question in office.source.asked)["clearbit"] == 2


async def test_a_person_is_asked_about_for_each_lead() -> None:
    office = ready_office([a_lead(n, f"P{n} Q{n}") for n in (1, 2)])
    vendors(office)
    await office.enrich()
    asked = Counter(question.provider for question in office.source.asked)
    assert (asked["apollo"], asked["clearbit"]) == (2, 1)


async def test_no_lead_costs_more_than_its_tier_allows() -> None:
    office = ready_office(three_companies(40))
    vendors(office)
    await office.enrich()
    caps = {Tier.A: usd("0.50"), Tier.B: usd("0.20"), Tier.C: usd("0.05")}
    assert all(ZERO <= row.enrichment_cost <= caps[row.lead.tier] for row in office.rows)


async def test_a_second_turn_goes_on_from_what_the_first_has_cost() -> None:
    """Beside the news and the one that is waited for, the dearest is beyond the cap of tier B."""
    office = ready_office([a_lead(tier=Tier.B)])
    away = NoAnswer(Gap.LATER, "its service fails", NOON)
    office.source.enrichers = [
        enricher("news", frozenset({Topic.NEWS}), price=CALL),
        enricher("clearbit", frozenset({Topic.COMPANY}), lambda _: away, priced("0.05")),
        enricher("zoominfo", frozenset({Topic.COMPANY}), price=priced("0.15")),
    ]
    await office.enrich()
    assert [question.provider for question in office.source.asked] == ["news", "clearbit", "clearbit"]


# Thresholds and states


async def test_enrichment_reads_the_email_threshold_again() -> None:
    office = ready_office([a_lead(1)], Policy(Thresholds(2, 0, 0)))
    vendors(office)
    with pytest.raises(StoppedAtThreshold, match="1 accepted emails"):
        await office.enrich()
    assert office.source.asked == []
    assert office.campaign.status is CampaignStatus.EMAILS_VERIFIED


async def test_force_continue_enriches_below_the_threshold() -> None:
    office = ready_office([a_lead(1)], Policy(Thresholds(2, 2, 2), force_continue=True))
    await office.enrich()
    assert office.campaign.status is CampaignStatus.ENRICHED


async def test_too_few_enriched_leads_stop_the_campaign_and_say_why() -> None:
    office = ready_office([a_lead(1)], Policy(Thresholds(1, 1, 0)))
    summary = await office.enrich()
    assert summary.shortfall.startswith("0 enriched leads, and the tier report wants at least 1.")
    assert (office.campaign.status, office.campaign.reason) == (CampaignStatus.STOPPED, summary.shortfall)


async def test_a_campaign_that_nobody_verified_is_not_enriched() -> None:
    office = ready_office([a_lead(1)])
    office.is_at(CampaignStatus.IMPORT_COMPLETE)
    with pytest.raises(WrongCampaignState):
        await office.enrich()
    assert office.campaign.status is CampaignStatus.IMPORT_COMPLETE


# Interruptions


@pytest.mark.slow
@given(
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(1, 70), st.sampled_from(["cancelled", "failed"])), min_size=1, max_size=2),
)
@settings(max_examples=40, deadline=None)
def test_cut_anywhere_and_resumed_it_ends_in_the_same_rows_for_the_same_money(
    order: int, cuts: list[tuple[int, str]]
) -> None:
    async def run(cuts: list[tuple[int, str]]) -> Office:
        office = ready_office(three_companies(40), Policy(ANY_NUMBER, leads_in_flight=64))
        vendors(office)
        for place, (at_question, how) in enumerate(cuts):
            task = asyncio.ensure_future(office.enrich(f"run-{place}"))

            def cancelled(task: asyncio.Task[object] = task) -> None:
                task.cancel()

            blow = cancelled if how == "cancelled" else ledger_down
            office.source.pause = then(shuffled(order), at_question, blow)
            with suppress(OutsideFailure, asyncio.CancelledError):
                await task
        office.source.pause = shuffled(order)
        await office.enrich("last")
        return office

    whole, pieces = asyncio.run(run([])), asyncio.run(run(cuts))
    assert (pieces.rows, pieces.bills) == (whole.rows, whole.bills)
    assert set(Counter(pieces.source.asked).values()) == {1}


async def test_a_failure_is_said_and_keeps_what_was_decided() -> None:
    office = ready_office([a_lead(n, f"P{n} Q{n}", score=99 - n) for n in range(1, 20)])
    office.policy = Policy(ANY_NUMBER, leads_in_flight=2)
    vendors(office)
    office.source.pause = then(office.source.pause, 10, ledger_down)
    with pytest.raises(OutsideFailure):
        await office.enrich()
    assert (office.campaign.status, office.campaign.reason) == (
        CampaignStatus.FAILED,
        "The ledger cannot be reached; everything bought is kept, run again to resume",
    )
    assert 0 < sum(row.enrichment_status is not None for row in office.rows) < 19


async def test_an_enriched_campaign_that_is_run_again_asks_nothing() -> None:
    office = ready_office(three_companies(10))
    vendors(office)
    await office.enrich()
    rows, asked = office.rows, len(office.source.asked)
    summary = await office.enrich("run-2")
    assert (office.rows, len(office.source.asked)) == (rows, asked)
    assert (summary.worked_on, summary.resumed_from) == (0, 1)


async def test_a_company_that_was_forgotten_is_answered_by_the_ledger_for_nothing() -> None:
    office = ready_office([])
    vendors(office)
    companies, many = Companies(), COMPANIES_REMEMBERED + 1
    run = a_run(Agent.ENRICHMENT)
    async with office.database.open(run) as books, office.source.open(run, books) as providers:
        website = next(one for one in providers.enrichers if one.name == "website")
        for n in [*range(many), 0]:
            await companies.ask(website, a_lead(company_domain=f"c{n}.com"))
    assert len(office.source.asked) == many
