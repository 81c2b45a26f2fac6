"""What the gate's sensors do, with a database in memory."""

import asyncio
from datetime import timedelta
from uuid import UUID

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from phase3_assets.gate_sensors import approval_reminders, decisions, re_enrichment
from phase3_core.approval import Channel, Choice
from phase3_core.approval_request import Nudge
from phase3_core.statuses import ApprovalStatus, CampaignStatus, EnrichmentStatus, OutboxKind
from tests.assets.office import EASY, Office, an_office, people
from tests.assets.test_approval import asked_office, decide
from tests.fakes.books import FakeApprovals
from tests.fakes.people import CAMPAIGN

MORE = Choice(ApprovalStatus.MORE_ENRICHMENT, "dana", Channel.SLACK, "phone numbers")


def ticked(office: Office) -> list[dg.RunRequest]:
    with dg.build_sensor_context(instance=office.instance) as context:
        told = re_enrichment(context, database=office.database)
    assert isinstance(told, dg.SensorResult | dg.SkipReason)
    return list(told.run_requests or []) if isinstance(told, dg.SensorResult) else []


def more_wanted(office: Office) -> None:
    asyncio.run(_decide(office))


async def _decide(office: Office) -> None:
    await FakeApprovals(office.database.tables).decide(CAMPAIGN, MORE)


def started(office: Office, request: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
    """What the daemon does with a request."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    create_run_for_test(office.instance, job_name="phase3", tags=tags, status=status)


def test_a_wish_for_more_is_one_run() -> None:
    office = asked_office()
    assert ticked(office) == []
    more_wanted(office)
    (request,) = ticked(office)
    assert request.partition_key == str(CAMPAIGN)
    assert request.run_key == f"phase3:{CAMPAIGN}:more:{UUID(int=1)}"
    started(office, request, dg.DagsterRunStatus.STARTED)
    assert ticked(office) == []


def test_a_wish_whose_run_failed_before_it_began_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = asked_office()
    more_wanted(office)
    (first,) = ticked(office)
    started(office, first, dg.DagsterRunStatus.FAILURE)
    assert ticked(office) == []
    monkeypatch.setattr("phase3_assets.jobs.FIRST_PAUSE", timedelta(0))
    (second,) = ticked(office)
    assert second.run_key == f"{first.run_key}:1"
    started(office, second, dg.DagsterRunStatus.CANCELED)
    assert ticked(office) == []


def test_a_wish_for_more_is_run_as_the_campaigns_last_run_was() -> None:
    office, chosen = asked_office(), {"policy": {"config": {"preset": "PILOT"}}}
    tags = {"dagster/partition": str(CAMPAIGN)}
    create_run_for_test(office.instance, job_name="phase3", tags=tags, run_config={"resources": chosen})
    more_wanted(office)
    assert [one.run_config for one in ticked(office)] == [{"resources": chosen}]


def test_what_is_missing_is_enriched_again_and_asked_about_anew() -> None:
    office = asked_office()
    more_wanted(office)
    first, *_ = office.database.tables.leads.values()
    first.enrichment_status = None
    asked = len(office.source.asked)
    assert office.materialize().success
    assert first.enrichment_status is EnrichmentStatus.ENRICHED
    assert len(office.source.asked) == asked  # the ledger answered
    statuses = [one.status for one in office.database.tables.approvals]
    assert statuses == [ApprovalStatus.MORE_ENRICHMENT, ApprovalStatus.PENDING]
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE
    assert ticked(office) == []


def test_a_reminder_is_told_in_the_tick() -> None:
    office = an_office(people(1))
    told = approval_reminders(database=office.database, policy=EASY)
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "Nobody is late."
    office.database.tables.waiting_long.append(Nudge(UUID(int=1), CAMPAIGN, OutboxKind.REMIND))
    told = approval_reminders(database=office.database, policy=EASY)
    assert isinstance(told, dg.SkipReason)
    assert told.skip_message == "remind: 1"


def noted(office: Office) -> list[dg.AssetMaterialization]:
    """What a tick adds, put where the daemon puts it."""
    with dg.build_sensor_context(instance=office.instance) as context:
        told = decisions(context, database=office.database)
    news = list(told.asset_events) if isinstance(told, dg.SensorResult) else []
    for event in news:
        office.instance.report_runless_asset_event(event)
    return [event for event in news if isinstance(event, dg.AssetMaterialization)]


def test_a_decision_made_elsewhere_is_noted_on_the_asset_once() -> None:
    office = asked_office()
    assert noted(office) == []
    more_wanted(office)
    (note,) = noted(office)
    assert (note.asset_key, note.partition) == (dg.AssetKey("approval"), str(CAMPAIGN))
    shown = {name: told.value for name, told in note.metadata.items()}
    assert (shown["decision"], shown["decided_by"], shown["feedback"]) == (
        "more_enrichment",
        "dana",
        "phone numbers",
    )
    assert noted(office) == []


def test_a_decision_made_in_the_ui_is_not_noted_again() -> None:
    office = asked_office()
    form = {"decision": "APPROVE_FULL", "decided_by": "dana"}
    assert decide(office, form).success
    assert noted(office) == []


def test_of_two_decisions_in_a_day_each_is_noted_once() -> None:
    office = asked_office()
    more_wanted(office)
    assert len(noted(office)) == 1
    assert office.materialize().success
    assert decide(office, {"decision": "APPROVE_FULL", "decided_by": "dana"}).success
    assert noted(office) == []
    assert noted(office) == []
