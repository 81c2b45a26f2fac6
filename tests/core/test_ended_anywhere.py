"""Wherever a run ends before its report stands, its campaign says so, and the next pays nothing again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from phase3_core.calls import Facts, Hit, Judgement
from phase3_core.compensation import KEPT, NOT_BEGUN, called_off, compensate_dead
from phase3_core.errors import OutsideFailure
from phase3_core.policy import Policy, Thresholds
from phase3_core.ports.books import Books
from phase3_core.runs import Run
from phase3_core.saga import StepKind
from phase3_core.statuses import CANCELLED, Agent, CampaignStatus, Verdict
from phase3_core.tiers import Topic
from tests.core.office import ANY_NUMBER, Office, an_office
from tests.fakes.people import CAMPAIGN, a_lead, a_run
from tests.fakes.providers import FakeProviders, FakeProviderSource, enricher, finder, verifier

S = CampaignStatus
BETWEEN = (S.EMAILS_VERIFIED, S.ENRICHED)
FACTS = Facts({"company_description": "Pumps", "company_industry": "Machinery"})
MANY_TURNS = 1_000


def a_small_office() -> Office:
    """Two leads of one company, whose vendors know everything."""
    office = an_office([a_lead(n, f"P{n} Q{n}") for n in (1, 2)], Policy(ANY_NUMBER, guessing=False))
    office.source.finders = [finder("tomba", lambda name: Hit(f"{name.replace(' ', '.')}@acme.com"))]
    office.source.verifiers = [verifier("reoon", lambda _: Judgement(Verdict.VALID))]
    office.source.enrichers = [
        enricher("website", frozenset({Topic.WEBSITE, Topic.COMPANY}), lambda _: FACTS)
    ]
    return office


async def run(office: Office, name: str = "run-1") -> None:
    await office.verify(name)
    await office.enrich(name)
    await office.report(name)


@dataclass
class Cut:
    """Where a run was cancelled and its end was seen. `left`: what its process had made of the campaign."""

    office: Office
    left: CampaignStatus


async def cut_after(turns: int) -> Cut | None:
    """None where the run was over before so many turns of the loop."""
    office = a_small_office()
    running = asyncio.ensure_future(run(office))
    for _ in range(turns):
        await asyncio.sleep(0)
    if running.done():
        return None
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    left = office.campaign.status
    await compensate_dead(office.database, office.exporter, "run-1", CANCELLED)
    await called_off(office.database, CAMPAIGN, office.clock.now())
    return Cut(office, left)


async def assert_true(cut: Cut) -> None:
    """Of what it says, and of what the next run costs."""
    reasons = {S.VERIFICATION_COMPLETE: "", S.IMPORT_COMPLETE: NOT_BEGUN}
    campaign = cut.office.campaign
    stands = cut.left is S.VERIFICATION_COMPLETE
    assert campaign.status is (S.VERIFICATION_COMPLETE if stands else S.FAILED), cut.left
    assert campaign.reason == reasons.get(cut.left, f"cancelled; {KEPT}")
    await run(cut.office, "run-2")
    assert cut.office.campaign.status is S.VERIFICATION_COMPLETE
    assert set(Counter(cut.office.source.asked).values()) == {1}


async def test_wherever_a_run_is_cancelled_its_campaign_says_so_and_the_next_pays_nothing_again() -> None:
    left = set()
    for turns in range(MANY_TURNS):
        if (cut := await cut_after(turns)) is None:
            break
        await assert_true(cut)
        left.add(cut.left)
    assert left == {S.IMPORT_COMPLETE, *BETWEEN, S.FAILED, S.VERIFICATION_COMPLETE}
    assert turns < MANY_TURNS - 1


@pytest.mark.parametrize("status", BETWEEN)
async def test_a_run_that_dies_between_two_agents_leaves_its_campaign_failed(status: S) -> None:
    office = a_small_office()
    await office.verify()
    if status is S.ENRICHED:
        await office.enrich()
    assert office.campaign.status is status
    for _ in range(2):
        await compensate_dead(office.database, office.exporter, "run-1", "the power went")
        assert office.campaign.status is S.FAILED
        assert office.campaign.reason == f"the power went; {KEPT}"
    lines = office.database.tables.audit
    assert [told["to"] for _, _, told in lines if told.get("to") is S.FAILED] == [S.FAILED]


async def test_between_two_agents_the_campaign_of_a_successor_is_left_alone() -> None:
    office = a_small_office()
    await office.verify()
    await office.verify("run-2")
    await compensate_dead(office.database, office.exporter, "run-1", CANCELLED)
    assert office.campaign.status is S.EMAILS_VERIFIED


async def test_a_stop_at_a_threshold_stands_when_its_run_ends() -> None:
    office = a_small_office()
    await office.verify()
    office.is_at(S.STOPPED)
    await compensate_dead(office.database, office.exporter, "run-1", CANCELLED)
    assert office.campaign.status is S.STOPPED


@pytest.mark.parametrize(("tier_a", "status"), [(0, S.VERIFICATION_COMPLETE), (100, S.STOPPED)])
async def test_a_report_made_again_leaves_its_campaign_at_rest_when_its_run_ends(
    tier_a: int, status: S
) -> None:
    office = a_small_office()
    office.policy = Policy(Thresholds(0, 0, tier_a), guessing=False)
    await run(office)
    await office.report("run-2")
    reason = office.campaign.reason
    await compensate_dead(office.database, office.exporter, "run-2", "a check failed")
    assert (office.campaign.status, office.campaign.reason) == (status, reason)


async def test_a_run_that_has_noted_its_move_and_not_made_it_is_taken_back() -> None:
    office = a_small_office()
    await office.verify()
    agent = a_run(Agent.ENRICHMENT)
    async with office.database.open(agent) as books:
        shift = {"before": S.EMAILS_VERIFIED, "moved_to": S.ENRICHING}
        await books.saga.note(agent, {StepKind.STATUS: shift})
    await compensate_dead(office.database, office.exporter, "run-1", CANCELLED)
    assert office.campaign.status is S.FAILED


class Closed(FakeProviderSource):
    @asynccontextmanager
    async def open(self, run: Run, books: Books) -> AsyncIterator[FakeProviders]:
        raise OutsideFailure("The vendors cannot be reached.")
        yield super().open(run, books)


async def test_an_agent_that_breaks_before_it_begins_says_why() -> None:
    office = a_small_office()
    await office.verify()
    office.source = Closed(office.database.bills)
    with pytest.raises(OutsideFailure):
        await office.enrich()
    assert office.campaign.status is S.FAILED
    assert office.campaign.reason == f"The vendors cannot be reached; {KEPT}"


async def test_an_agent_that_breaks_before_its_run_did_anything_leaves_the_campaign_as_it_was() -> None:
    office = a_small_office()
    await office.verify()
    office.source = Closed(office.database.bills)
    with pytest.raises(OutsideFailure):
        await office.enrich("run-2")
    assert office.campaign.status is S.EMAILS_VERIFIED
