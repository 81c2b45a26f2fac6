"""Leads that are left for later: which ones, and what the run says of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase3_core.calls import EnricherReply, Facts, FinderReply, Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.leads import Lead
from phase3_core.policy import Policy
from phase3_core.statuses import CampaignStatus, EmailStatus, EnrichmentStatus, Verdict
from phase3_core.tiers import Tier, Topic
from phase3_core.waiting import Wait, Waiting, WaitingRoom, from_json, until
from tests.core.office import ANY_NUMBER, Office, an_office
from tests.core.walk import Oracle, a_plan, walk
from tests.fakes.people import CAMPAIGN, a_lead
from tests.fakes.providers import enricher, finder, verifier

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
SPENT = NoAnswer(Gap.LATER, "today's quota is spent", MIDNIGHT)
FOR_TOMBA = Wait("tomba", "today's quota is spent", MIDNIGHT)
VALID, CATCH_ALL = Judgement(Verdict.VALID), Judgement(Verdict.CATCH_ALL)
ADA = a_lead(1, "Ada One", company_domain="acme.com")
A, B = "ada@acme.com", "one@acme.com"


# One lead


def test_a_lead_that_nobody_else_finds_waits_for_the_finder_that_may_not_be_asked() -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": SPENT}))
    assert went.progress.tried == ("tomba", "muraena")
    assert (went.result.status, went.result.waits) == (None, (FOR_TOMBA,))


def test_a_lead_that_another_finder_finds_waits_for_nobody() -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": SPENT, "muraena": Hit(A)}, {A: VALID}))
    assert (went.result.status, went.result.provider) == (EmailStatus.VALID, "muraena")
    assert went.result.waits == ()


def test_a_bad_address_from_another_finder_does_not_end_the_waiting() -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": SPENT, "muraena": Hit(A)}))
    assert (went.result.status, went.result.waits) == (None, (FOR_TOMBA,))


def test_a_candidate_waits_for_its_verifier_and_nobody_else_is_paid() -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": Hit(A)}, {A: SPENT}))
    assert went.progress.tried == ("tomba",)
    assert went.result.waits == (replace(FOR_TOMBA, provider="reoon"),)


def test_a_catch_all_waits_for_its_second_opinion() -> None:
    oracle = Oracle({"tomba": Hit(A), "muraena": Hit(B)}, {A: CATCH_ALL}, {A: SPENT})
    went = walk(ADA, a_plan("tomba", "muraena"), oracle)
    assert went.progress.tried == ("tomba",)
    assert (went.result.status, went.result.waits) == (None, (replace(FOR_TOMBA, provider="mailverify"),))


# A campaign


def an_office_of(count: int, tomba: FinderReply) -> Office:
    leads = [a_lead(n, f"Ada{n} L{n}", company_domain=f"c{n}.com") for n in range(1, count + 1)]
    office = an_office(leads, Policy(ANY_NUMBER, guessing=False))
    office.source.finders = [finder("tomba", lambda _: tomba), finder("muraena", {"Ada1 L1": Hit(A)})]
    office.source.verifiers = [verifier("reoon", otherwise=VALID)]
    return office


async def test_a_run_tells_how_many_leads_wait_for_whom_until_when() -> None:
    office = an_office_of(4, SPENT)
    summary = await office.verify()
    assert summary.waiting == [Waiting(FOR_TOMBA, 3)]
    assert summary.as_json()["waiting"] == [
        {"provider": "tomba", "why": "today's quota is spent", "leads": 3, "until": MIDNIGHT.isoformat()}
    ]
    assert summary.counts.pending_verification == 3


async def test_when_the_quota_is_back_the_waiting_leads_are_finished_and_nobody_is_said_to_wait() -> None:
    office = an_office_of(4, SPENT)
    await office.verify()
    office.source.finders = [finder("tomba", lambda name: Hit(f"{name[:4].lower()}@found.com"))]
    summary = await office.verify("run-2")
    assert summary.waiting == []
    assert [row.email_status for row in office.rows] == [EmailStatus.VALID] * 4


async def test_a_run_that_breaks_at_once_leaves_waiting_whom_the_last_one_left_so() -> None:
    office = an_office_of(4, SPENT)
    await office.verify()

    def broken(_: str) -> FinderReply:
        raise RuntimeError("out of order")

    office.source.finders = [finder("tomba", broken)]
    with pytest.raises(RuntimeError):
        await office.verify("run-2")
    async with office.database.reading() as books:
        assert await books.checkpoints.waiting(CAMPAIGN) == [Waiting(FOR_TOMBA, 3)]


async def test_the_report_tells_of_leads_that_wait() -> None:
    office = an_office_of(2, SPENT)
    await office.verify()
    office.is_at(CampaignStatus.ENRICHED)
    told = (await office.report()).report
    assert told["waiting"]["verification"] == 1
    assert [(one["provider"], one["leads"]) for one in told["waiting_for"]] == [("tomba", 1)]


# Enrichment

DESCRIBED = Facts({"company_description": "Anvils", "company_industry": "metal"})
NO_CLEARBIT = NoAnswer(Gap.LATER, "today's quota is spent", MIDNIGHT)


def enriching(clearbit: EnricherReply, website: EnricherReply, leads: list[Lead]) -> Office:
    office = an_office([replace(lead, email=A) for lead in leads])
    for row in office.database.tables.of(CAMPAIGN):
        row.email_status = EmailStatus.VALID
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    office.source.enrichers = [
        enricher("clearbit", frozenset({Topic.COMPANY}), lambda _: clearbit),
        enricher("website", frozenset({Topic.WEBSITE}), lambda _: website),
    ]
    return office


@pytest.mark.parametrize(
    ("website", "status"),
    [
        (DESCRIBED, EnrichmentStatus.ENRICHED),
        (Facts({"company_description": "Anvils"}), None),
        (Miss(), None),
    ],
)
async def test_a_lead_is_enriched_without_an_enricher_that_may_not_be_asked_or_waits_for_it(
    website: EnricherReply, status: EnrichmentStatus | None
) -> None:
    office = enriching(NO_CLEARBIT, website, [replace(ADA, tier=Tier.B)])
    summary = await office.enrich()
    assert office.row(1).enrichment_status is status
    assert [one.wait.provider for one in summary.waiting] == ([] if status else ["clearbit"])


async def test_a_lead_does_not_wait_for_what_the_enricher_could_not_have_told() -> None:
    office = enriching(NO_CLEARBIT, Miss(), [replace(ADA, tier=Tier.C)])
    await office.enrich()
    assert office.row(1).enrichment_status is EnrichmentStatus.FAILED


async def test_leads_of_one_company_ask_again_whoever_could_not_be_asked() -> None:
    office = enriching(NO_CLEARBIT, DESCRIBED, [replace(a_lead(n), tier=Tier.B) for n in (1, 2)])
    await office.enrich()
    asked = [question.provider for question in office.source.asked]
    assert asked.count("website") == 1


# Counting


def test_a_lead_that_waits_twice_for_a_provider_is_one_lead() -> None:
    room = WaitingRoom()
    room.add([FOR_TOMBA, FOR_TOMBA])
    assert room.told() == [Waiting(FOR_TOMBA, 1)]


def test_the_latest_time_holds_for_a_provider_and_the_first_for_the_campaign() -> None:
    room, later = WaitingRoom(), MIDNIGHT + timedelta(minutes=5)
    room.add([FOR_TOMBA])
    room.add(
        [replace(FOR_TOMBA, until=later), Wait("reoon", "the cap is reached"), Wait("icypeas", "x", later)]
    )
    room.add([replace(FOR_TOMBA, until=MIDNIGHT)])
    told = room.told()
    assert [(one.wait.provider, one.leads, one.wait.until) for one in told] == [
        ("tomba", 3, later),
        ("reoon", 1, None),
        ("icypeas", 1, later),
    ]
    assert until([*told, Waiting(FOR_TOMBA, 1)]) == MIDNIGHT
    assert until(told[1:2]) is None


@pytest.mark.parametrize("wait", [FOR_TOMBA, Wait("reoon", "the cap is reached")])
def test_what_is_written_down_reads_back(wait: Wait) -> None:
    assert from_json(Waiting(wait, 1_200).as_json()) == Waiting(wait, 1_200)


def test_in_words() -> None:
    assert str(Waiting(FOR_TOMBA, 1_200)) == (
        "1,200 leads wait for tomba (today's quota is spent, until 2026-11-23 00:00 UTC)"
    )
    assert (
        str(Waiting(Wait("reoon", "the cap is reached"), 1)) == "1 lead waits for reoon (the cap is reached)"
    )
