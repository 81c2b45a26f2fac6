"""Agent 3.3 on a whole campaign, with fakes for the outside world."""

from decimal import Decimal

import pytest

from phase3_core.approval import ApprovalPolicy, AutoApproval
from phase3_core.errors import OutsideFailure, StoppedAtThreshold, WrongCampaignState
from phase3_core.finalize import FinalReport
from phase3_core.policy import Policy, Thresholds
from phase3_core.statuses import (
    Agent,
    ApprovalStatus,
    CampaignStatus,
    EmailStatus,
    EnrichmentStatus,
    may_become,
)
from phase3_core.tiers import Tier
from tests.core.office import ANY_NUMBER, EASY, Office, an_office
from tests.fakes.clock import NOON
from tests.fakes.people import CAMPAIGN, a_lead

NOT_YET = sorted(set(CampaignStatus) - may_become(CampaignStatus.VERIFICATION_COMPLETE))


def ready_office(count: int = 3, policy: Policy = EASY) -> Office:
    """After agent 3.2: everybody is ready."""
    office = an_office([a_lead(n, tier=Tier.A) for n in range(1, count + 1)], policy)
    office.is_at(CampaignStatus.ENRICHED)
    for row in office.database.tables.leads.values():
        row.email_status, row.enrichment_status = EmailStatus.VALID, EnrichmentStatus.ENRICHED
    return office


async def test_a_campaign_is_reported_exported_and_handed_over_for_approval() -> None:
    office = ready_office()
    final = await office.report()
    assert final.campaign.status is office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE
    assert final.approval is ApprovalStatus.PENDING
    assert [asked.status for asked in office.database.tables.approvals] == [ApprovalStatus.PENDING]
    assert final.report["campaign"] == "spring"
    assert final.report["campaign_id"] == str(CAMPAIGN)
    assert final.report["funnel"]["ready"] == final.published.workbook.rows == 3
    assert final.report.items() >= office.exporter.written[0].items()
    assert final.report["exports"] == [export.as_json() for export in final.published.exports]
    assert office.campaign.list_url == final.published.workbook.url
    result = office.campaign.results[Agent.FINALIZER]
    assert (result.summary, result.cost, result.finished_at) == (final.report, Decimal(0), NOON)
    _, status, advance = office.database.tables.checkpoints["run-1", Agent.FINALIZER, "report"]
    assert (status, advance) == ("completed", office.progress.told[-1])


async def test_a_report_that_is_made_again_asks_the_same_question_not_another() -> None:
    office = ready_office()
    first = await office.report()
    second = await office.report("run-2")
    assert len(office.database.tables.approvals) == 1
    assert first.report == second.report
    assert (first.summary.resumed_from, second.summary.resumed_from) == (0, 1)


async def another_report(office: Office, run: str) -> FinalReport:
    """After a lead has got another address."""
    row = office.database.tables.leads[a_lead(1).id]
    row.email = f"{run}@acme.com"
    return await office.report(run)


async def test_exports_of_an_earlier_report_go_once_a_newer_one_stands() -> None:
    office = ready_office()
    first = await office.report()
    second = await another_report(office, "run-2")
    assert first.published.workbook.url != second.published.workbook.url
    assert office.exporter.standing == {second.published.workbook.url}
    assert second.left_over == []
    gone = [told for _, action, told in office.database.tables.audit if action == "exports_superseded"]
    assert gone == [{"withdrawn": [first.published.workbook.url]}]


async def test_a_newer_report_that_fails_leaves_the_earlier_exports_there() -> None:
    office = ready_office()
    first = await office.report()
    office.exporter.breaks = OutsideFailure("The disk is full.")
    with pytest.raises(OutsideFailure):
        await another_report(office, "run-2")
    assert office.exporter.standing == {first.published.workbook.url}
    assert office.campaign.list_url == first.published.workbook.url


async def test_what_could_not_be_withdrawn_is_told_and_goes_with_the_next_report() -> None:
    office = ready_office()
    first = await office.report()
    office.exporter.keeps = {first.published.workbook.url}
    second = await another_report(office, "run-2")
    assert second.approval is ApprovalStatus.PENDING
    assert second.left_over == [f"{first.published.workbook.url} cannot be withdrawn."]
    office.exporter.keeps = set()
    third = await another_report(office, "run-3")
    assert (third.left_over, office.exporter.standing) == ([], {third.published.workbook.url})


async def test_too_few_ready_leads_stop_the_campaign_and_nobody_is_asked() -> None:
    office = ready_office(3, Policy(Thresholds(0, 0, 4)))
    final = await office.report()
    assert final.approval is None
    assert office.database.tables.approvals == []
    assert office.campaign.status is CampaignStatus.STOPPED
    assert office.campaign.reason == final.summary.shortfall
    assert office.campaign.reason.startswith("3 ready tier A leads, and approval wants at least 4.")
    assert final.campaign.status is CampaignStatus.STOPPED
    assert len(office.exporter.written) == 1


async def test_force_continue_asks_for_approval_below_every_threshold() -> None:
    office = ready_office(3, Policy(Thresholds(9, 9, 9), force_continue=True))
    assert (await office.report()).approval is ApprovalStatus.PENDING


@pytest.mark.parametrize(
    ("thresholds", "why"),
    [(Thresholds(4, 0, 0), "3 accepted emails"), (Thresholds(0, 4, 0), "3 enriched leads")],
)
async def test_the_report_reads_the_earlier_thresholds_again(thresholds: Thresholds, why: str) -> None:
    office = ready_office(3, Policy(thresholds))
    with pytest.raises(StoppedAtThreshold, match=why):
        await office.report()
    assert office.exporter.written == []
    assert office.campaign.status is CampaignStatus.ENRICHED


async def test_a_stopped_campaign_goes_on_once_its_threshold_is_lowered() -> None:
    office = ready_office(3, Policy(Thresholds(0, 0, 4)))
    await office.report()
    office.policy = EASY
    assert (await office.report("run-2")).approval is ApprovalStatus.PENDING


@pytest.mark.parametrize("status", NOT_YET)
async def test_nobody_is_asked_about_a_campaign_that_cannot_be_handed_over(status: CampaignStatus) -> None:
    office = ready_office()
    office.is_at(status)
    with pytest.raises(WrongCampaignState):
        await office.report()
    assert office.campaign.status is status
    assert office.database.tables.approvals == []
    assert office.exporter.written == []
    assert office.campaign.results == {}


async def test_a_workbook_that_cannot_be_written_fails_the_campaign_and_asks_nobody() -> None:
    office = ready_office()
    office.exporter.breaks = OutsideFailure("The disk is full.")
    with pytest.raises(OutsideFailure):
        await office.report()
    assert office.campaign.status is CampaignStatus.FAILED
    assert office.campaign.reason == "The disk is full; everything bought is kept, run again to resume"
    assert office.database.tables.approvals == []
    office.exporter.breaks = None
    assert (await office.report("run-2")).approval is ApprovalStatus.PENDING


def automatic(min_tier_a_ready: int, min_ready: int) -> Policy:
    auto = AutoApproval(min_tier_a_ready, min_ready)
    return Policy(ANY_NUMBER, approval=ApprovalPolicy(auto=auto))


async def test_nobody_is_asked_where_enough_leads_are_ready() -> None:
    office = ready_office(3, automatic(3, 3))
    final = await office.report()
    assert final.approval is ApprovalStatus.AUTO_APPROVED
    assert final.campaign.status is CampaignStatus.APPROVED
    (asked,) = office.database.tables.approvals
    assert asked.by == "phase3"
    assert asked.feedback == "3 ready leads of tier A (at least 3) and 3 in all (at least 3)"


@pytest.mark.parametrize("thresholds", [(4, 3), (3, 4)])
async def test_a_person_is_asked_where_too_few_leads_are_ready(thresholds: tuple[int, int]) -> None:
    office = ready_office(3, automatic(*thresholds))
    assert (await office.report()).approval is ApprovalStatus.PENDING


async def test_automatic_approval_is_off_unless_it_is_switched_on() -> None:
    assert (await ready_office(3).report()).approval is ApprovalStatus.PENDING
    assert AutoApproval() == AutoApproval(min_tier_a_ready=500, min_ready=5_000)
