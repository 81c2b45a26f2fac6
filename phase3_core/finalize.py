"""Agent 3.3: ready leads by tier, what they cost, a workbook, and the question whether to go on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase3_core.agent import Shift, Surroundings, on_shift, refuse_below
from phase3_core.approval import Channel, Choice
from phase3_core.approval_request import Asked
from phase3_core.compensation import standing_exports, withdraw_superseded
from phase3_core.errors import WrongCampaignState
from phase3_core.exports import Published
from phase3_core.leads import Campaign
from phase3_core.policy import EMAILS, ENRICHED, TIER_A_READY
from phase3_core.ports.books import Database
from phase3_core.ports.campaigns import AgentResult
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.providers import ProviderSource
from phase3_core.report import read_report
from phase3_core.ruling import Decided, NeverAsked, OtherReport, Stale, TooLate
from phase3_core.runs import Advance, Run
from phase3_core.saga import StepKind
from phase3_core.statuses import ApprovalStatus, CampaignStatus, may_become
from phase3_core.summary import AgentSummary


@dataclass(frozen=True, slots=True)
class FinalReport:
    """`report` is the tier report as JSON, with what was written for people under `exports` and `notes`.

    `approval` is None below a threshold: nobody is asked. `left_over`: why exports of earlier reports are
    still there, empty where none is.
    """

    campaign: Campaign
    summary: AgentSummary
    report: Mapping[str, Any]
    published: Published
    approval: ApprovalStatus | None
    left_over: Sequence[str] = ()


async def report_campaign(
    run: Run, database: Database, source: ProviderSource, exporter: Exporter, around: Surroundings
) -> FinalReport:
    """Raises StoppedAtThreshold when too little was enriched, CampaignBusy, WrongCampaignState."""
    async with (
        on_shift(run, database, around, exporter) as shift,
        source.open(run, shift.books) as providers,
    ):
        await refuse_below(shift, EMAILS)
        await refuse_below(shift, ENRICHED)
        _refuse_unless_enriched(shift.campaign)
        await shift.note_steps(shift.campaign.status)
        await shift.books.saga.release_earlier(run)  # booked after the report, it would void the request
        summary = await shift.summary(providers.skipped, 0, TIER_A_READY)
        tier_report = await read_report(shift.books, run.campaign_id, summary.skipped)
        published = await _publish(shift, exporter, tier_report)
        tier_report |= as_json(published)
        approval = await _hand_over(shift, summary, tier_report, published)
        left_over = await withdraw_superseded(shift.books, exporter, run.campaign_id, published)
        campaign = await shift.books.campaigns.campaign(run.campaign_id)
        return FinalReport(campaign, summary, tier_report, published, approval, left_over)


async def _publish(shift: Shift, exporter: Exporter, tier_report: Mapping[str, Any]) -> Published:
    books, campaign = shift.books, shift.campaign
    standing = await standing_exports(books, campaign.id)
    planned = exporter.planned(campaign, tier_report)
    new = [export.as_json() for export in planned if export.url not in standing]
    undo = {"exports": new, "before": await books.campaigns.workbook(campaign.id)}
    await books.saga.note(shift.run, {StepKind.EXPORTS: undo})
    return await exporter.write(campaign, tier_report, books.leads)


def as_json(published: Published) -> dict[str, Any]:
    exports = [export.as_json() for export in published.exports]
    return {"exports": exports, "notes": list(published.notes)}


def _refuse_unless_enriched(campaign: Campaign) -> None:
    """Before anything is written: nobody is asked about a campaign that is not enriched, or is decided."""
    ready = CampaignStatus.VERIFICATION_COMPLETE
    if campaign.status not in may_become(ready):
        raise WrongCampaignState(str(campaign.id), campaign.status, ready)


async def _hand_over(
    shift: Shift, summary: AgentSummary, tier_report: Mapping[str, Any], published: Published
) -> ApprovalStatus | None:
    """Results on the campaign row, a checkpoint, the approval request, and only then the new status."""
    run, books, around, workbook = shift.run, shift.books, shift.around, published.workbook
    result = AgentResult(summary.counts, summary.cost, around.clock.now(), tier_report)
    await books.campaigns.update_verification_results(run.campaign_id, result, workbook.url)
    advance = Advance(run.agent, workbook.rows, workbook.rows, summary.cost)
    await books.checkpoints.save(run, "report", "completed", advance, {"workbook": workbook.url})
    around.observe(advance)
    asked = None if summary.shortfall else await _ask(shift, tier_report)
    await shift.conclude(CampaignStatus.VERIFICATION_COMPLETE, summary)
    return await _approval(shift, asked) if asked else None


async def _ask(shift: Shift, tier_report: Mapping[str, Any]) -> Asked:
    await shift.books.saga.note(shift.run, {StepKind.APPROVAL: {}})
    return await shift.books.approvals.request(shift.run, tier_report)


async def _approval(shift: Shift, asked: Asked) -> ApprovalStatus:
    """Without a person, where the owner wishes so and the snapshot that was asked about is good enough."""
    auto = shift.around.policy.approval.auto
    reason = auto.reason(asked.binding) if auto else ""
    if not reason:
        return ApprovalStatus.PENDING
    choice = Choice(
        ApprovalStatus.AUTO_APPROVED, "phase3", Channel.AUTOMATIC, reason, request_id=asked.request_id
    )
    match await shift.books.approvals.decide(shift.run.campaign_id, choice, shift.run):
        case Decided(status=status) | TooLate(status=status):
            return status
        case Stale() | OtherReport() | NeverAsked():
            return ApprovalStatus.WITHDRAWN
