"""What a failed run leaves is taken back, by itself or by someone after it; what is complete stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.agent import on_shift
from phase3_core.compensation import KEPT, compensate_dead
from phase3_core.errors import OutsideFailure
from phase3_core.exports import Export, ExportKind, Published
from phase3_core.leads import Campaign
from phase3_core.ports.leads import LeadRepository
from phase3_core.runs import Run
from phase3_core.saga import LONGEST_PAUSE_S, Step, StepKind, StepState, pause_s, status_afterwards, to_undo
from phase3_core.statuses import Agent, ApprovalStatus, CampaignStatus, shown
from tests.core.office import Office, an_office
from tests.core.test_finalize import ready_office
from tests.fakes.exporter import FakeExporter
from tests.fakes.people import CAMPAIGN, a_lead, a_run

S = StepState
WHY = "the power went"


def step(place: int, state: StepState = S.DONE, kind: StepKind = StepKind.STATUS, **columns: Any) -> Step:
    usual = Step(place, "run-1", CAMPAIGN, Agent.ENRICHMENT, kind, state, {})
    return replace(usual, **columns)


async def died(office: Office) -> None:
    await compensate_dead(office.database, office.exporter, "run-1", WHY)


async def begun(office: Office, status: CampaignStatus = CampaignStatus.ENRICHING) -> None:
    """As a process leaves it that died with agent 3.2 at work."""
    run, before = a_run(Agent.ENRICHMENT), office.campaign.status
    async with office.database.open(run) as books:
        await books.saga.note(run, {StepKind.STATUS: {"before": before, "moved_to": status}})
        await books.saga.note(run, {StepKind.RESERVATIONS: {}, StepKind.JOBS: {}})
        await books.campaigns.move(CAMPAIGN, status)


def test_the_last_step_is_taken_back_first_and_what_is_complete_not_at_all() -> None:
    steps = [step(1, S.KEPT), step(2), step(3, S.COMPENSATED), step(4, S.FAILED), step(5)]
    assert [one.place for one in to_undo(steps)] == [5, 4, 2]


@given(st.integers(0, 1_000))
def test_tries_come_ever_more_rarely_and_never_end(attempts: int) -> None:
    assert pause_s(attempts) <= pause_s(attempts + 1) <= LONGEST_PAUSE_S
    assert step(1, S.FAILED, attempts=attempts, idle_s=LONGEST_PAUSE_S).due


def test_a_try_is_not_due_at_once_again() -> None:
    assert step(1, idle_s=0.0).due
    assert not step(1, S.FAILED, attempts=1, idle_s=pause_s(1) - 1).due


@pytest.mark.parametrize(
    ("before", "afterwards"),
    [
        ("import_complete", CampaignStatus.FAILED),
        ("emails_verified", CampaignStatus.FAILED),
        ("verification_complete", CampaignStatus.VERIFICATION_COMPLETE),
    ],
)
def test_a_campaign_that_was_complete_before_the_run_is_complete_again(
    before: str, afterwards: CampaignStatus
) -> None:
    earlier = step(1, S.KEPT, undo={"before": before})
    assert status_afterwards([earlier, step(2, undo={"before": "emails_verified"})]) is afterwards


async def breaks_at_work(office: Office, name: str) -> None:
    async with on_shift(a_run(Agent.ENRICHMENT, name), office.database, office.around) as shift:
        await shift.begin(CampaignStatus.ENRICHING)
        raise OutsideFailure("The disk is full.")


async def test_a_campaign_that_was_complete_is_so_again_also_where_two_runs_in_a_row_fail() -> None:
    office = ready_office()
    office.is_at(CampaignStatus.VERIFICATION_COMPLETE)
    await begun(office)
    with pytest.raises(OutsideFailure):
        await breaks_at_work(office, "run-2")
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE


async def test_a_campaign_that_is_complete_again_is_so_with_one_line() -> None:
    office = ready_office()
    office.is_at(CampaignStatus.VERIFICATION_COMPLETE)
    await begun(office, CampaignStatus.VERIFICATION_COMPLETE)
    moved = len(office.database.tables.audit)
    await died(office)
    lines = office.database.tables.audit[moved:]
    assert [action for _, action, _ in lines].count("status_changed") == 1


async def test_a_dead_run_leaves_its_campaign_failed_with_a_reason() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await begun(office)
    await died(office)
    assert office.campaign.status is CampaignStatus.FAILED
    assert office.campaign.reason == f"{WHY}; {KEPT}"
    assert set(office.database.tables.saga.states.values()) == {S.COMPENSATED}


async def test_taking_back_twice_is_taking_back_once() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await begun(office)
    await died(office)
    lines = list(office.database.tables.audit)
    await died(office)
    assert office.database.tables.audit == lines
    taken_back = [details["step"] for _, action, details in lines if action == "compensation_compensated"]
    assert taken_back == [StepKind.JOBS, StepKind.RESERVATIONS, StepKind.STATUS]


async def test_a_run_that_has_moved_on_is_left_alone() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await begun(office)
    async with office.database.open(a_run(Agent.ENRICHMENT, "run-2")):
        await died(office)
        assert office.campaign.status is CampaignStatus.ENRICHING
    assert office.database.tables.saga.states[StepKind.STATUS] is S.COMPENSATED


async def test_a_run_that_is_alive_after_all_is_left_alone() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await begun(office)
    async with office.database.open(a_run(Agent.ENRICHMENT)):
        await died(office)
    assert set(office.database.tables.saga.states.values()) == {S.DONE}


async def test_reservations_are_held_while_an_answer_may_come() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await begun(office)
    office.database.tables.saga.in_time = 3
    await died(office)
    waits = next(row for row in office.database.tables.saga.rows if row.kind is StepKind.RESERVATIONS)
    assert (waits.state, waits.error) == (S.COMPENSATING, "3 calls may still be answered")
    assert office.campaign.status is CampaignStatus.FAILED
    office.database.tables.saga.in_time = 0
    await died(office)
    assert office.database.tables.saga.states[StepKind.RESERVATIONS] is S.COMPENSATED


class HalfWay(FakeExporter):
    """Publishes, and breaks."""

    async def write(self, campaign: Campaign, report: Mapping[str, Any], leads: LeadRepository) -> Published:
        await super().write(campaign, report, leads)
        raise OutsideFailure("The disk is full.")


async def test_exports_of_a_failed_report_are_withdrawn() -> None:
    office = ready_office()
    office.exporter = HalfWay()
    with pytest.raises(OutsideFailure, match="disk"):
        await office.report()
    assert len(office.exporter.written) == 1
    assert office.exporter.standing == set()
    assert office.campaign.status is CampaignStatus.FAILED


async def test_a_standing_report_keeps_its_exports_when_the_same_is_made_again_and_fails() -> None:
    office = ready_office()
    final = await office.report()
    office.exporter = HalfWay(standing=office.exporter.standing)
    with pytest.raises(OutsideFailure, match="disk"):
        await office.report("run-2")
    assert office.exporter.standing == {final.published.workbook.url}
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE
    assert office.campaign.list_url == final.published.workbook.url


async def test_a_request_for_approval_is_withdrawn_and_the_list_unpublished_by_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = ready_office()

    def breaks(_: Run) -> None:
        raise OutsideFailure("The database is gone.")

    monkeypatch.setattr(office.database.tables.saga, "keep", breaks)  # a run's last act
    with pytest.raises(OutsideFailure, match="database"):
        await office.report()
    assert [one.status for one in office.database.tables.approvals] == [ApprovalStatus.WITHDRAWN]
    assert office.campaign.list_url == ""
    assert office.exporter.standing == set()
    assert office.campaign.status is CampaignStatus.FAILED


class Stubborn(HalfWay):
    async def withdraw(self, export: Export) -> None:
        raise OutsideFailure(f"{export.url} cannot be deleted.")


async def test_a_step_that_cannot_be_taken_back_keeps_no_other_and_is_tried_again() -> None:
    office = ready_office()
    office.exporter = Stubborn()
    with pytest.raises(OutsideFailure, match="disk"):
        await office.report()
    stuck = [row for row in office.database.tables.saga.rows if row.open]
    assert [(row.kind, row.state, row.attempts) for row in stuck] == [(StepKind.EXPORTS, S.FAILED, 1)]
    assert stuck[0].error.endswith("cannot be deleted.")
    assert office.campaign.status is CampaignStatus.FAILED
    office.exporter = FakeExporter(standing=office.exporter.standing)
    await died(office)
    assert office.exporter.standing == set()
    assert not any(row.open for row in office.database.tables.saga.rows)


async def test_files_that_a_later_report_published_are_left_there() -> None:
    office = ready_office()
    office.exporter = Stubborn()
    with pytest.raises(OutsideFailure, match="disk"):
        await office.report()
    office.exporter = FakeExporter(standing=office.exporter.standing)
    final = await office.report("run-2")
    await died(office)
    assert office.exporter.standing == {final.published.workbook.url}
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE


TABS, BOOK = Export(ExportKind.SHEETS, "https://tabs"), Export(ExportKind.WORKBOOK, "file:///book")


@dataclass
class Slow(FakeExporter):
    """While it withdraws the first of two exports, a whole run comes and goes."""

    office: Office | None = None

    def planned(self, campaign: Campaign, report: Mapping[str, Any]) -> Sequence[Export]:
        del campaign, report
        return [TABS, BOOK]

    async def withdraw(self, export: Export) -> None:
        await super().withdraw(export)
        office, self.office = self.office, None
        if office:
            await office.report("run-2")


async def test_files_that_a_run_publishes_while_others_are_withdrawn_are_left_there() -> None:
    office = ready_office()
    run, undo = a_run(Agent.FINALIZER), {"exports": [TABS.as_json(), BOOK.as_json()], "before": ""}
    async with office.database.open(run) as books:
        await books.saga.note(run, {StepKind.EXPORTS: undo})
    office.exporter = Slow(office=office)
    await died(office)
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE
    assert office.campaign.list_url == BOOK.url
    assert office.exporter.standing == {TABS.url, BOOK.url}


async def test_what_a_completed_agent_did_stays_when_a_later_one_fails() -> None:
    office = an_office([a_lead(1)])
    office.is_at(CampaignStatus.EMAILS_VERIFIED)
    await office.enrich()
    kept = [row.state for row in office.database.tables.saga.rows]
    office.exporter = HalfWay()
    with pytest.raises(OutsideFailure, match="disk"):
        await office.report()
    assert [row.state for row in office.database.tables.saga.rows][: len(kept)] == kept
    assert set(kept) == {S.KEPT}


def test_people_read_cancelled_where_somebody_cancelled() -> None:
    assert shown("phase3_failed", f"cancelled; {KEPT}") == "cancelled"
    assert shown("phase3_failed", "The disk is full.") == "phase3_failed"
    assert shown("enriched", "cancelled") == "enriched"
