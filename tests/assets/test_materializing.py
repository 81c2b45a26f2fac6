import asyncio
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from phase3_assets.agents import Stop
from phase3_assets.definitions import defs
from phase3_core.money import usd
from phase3_core.policy import LeadCaps, Policy, Thresholds
from phase3_core.runs import Run
from phase3_core.statuses import Agent, ApprovalStatus, CampaignStatus
from phase3_core.tiers import Tier
from tests.assets.office import (
    EASY,
    KEY,
    Office,
    an_office,
    data_version,
    failure,
    metadata,
    people,
    vendors,
)
from tests.fakes.books import FakeBooks, FakeDatabase
from tests.fakes.people import CAMPAIGN, a_lead

OF_ANY = {
    "campaign": str,
    "cost_usd": float,
    "duration_s": float,
    "leads_worked_on": int,
    "resumed_from_runs": int,
}
OF_EMAILS = OF_ANY | {
    "find_rate": float,
    "valid_rate": float,
    "emails_found": int,
    "emails_verified": int,
    "leads_waiting_for_a_verifier": int,
    "leads_valid": int,
    "leads_not_found": int,
}
OF_ENRICHMENT = OF_ANY | {"leads_enriched": int}
OF_REPORT = OF_ANY | {
    "find_rate": float,
    "valid_rate": float,
    "campaign_duration_s": float,
    "cost_per_ready_lead_usd": float,
    "total_ready": int,
    "tier_a_ready": int,
    "tier_b_ready": int,
    "tier_c_ready": int,
    "quality_overall": float,
}


@pytest.mark.parametrize(
    ("asset", "shown", "providers"),
    [
        ("verified_emails", OF_EMAILS, ["reoon", "tomba"]),
        ("enriched_leads", OF_ENRICHMENT, ["website"]),
        ("tier_report", OF_REPORT, ["reoon", "tomba", "website"]),
    ],
)
def test_a_materialization_shows_plain_numbers(
    asset: str, shown: dict[str, type], providers: list[str]
) -> None:
    done = an_office(people(3)).materialize()
    assert done.success
    told = metadata(done, asset)
    assert {name: type(told[name]) for name in shown} == shown
    assert [row.data["provider"] for row in told["providers"].records] == providers


def test_the_report_holds_the_result_and_the_workbook() -> None:
    office = an_office(people(3))
    told = metadata(office.materialize(), "tier_report")
    assert told["phase3_result"]["result"]["total_ready"] == 3
    assert told["phase3_result"]["status"] == "pending_approval"
    assert [agent["status"] for agent in told["phase3_result"]["agents_run"]] == ["completed"] * 3
    assert Path(told["workbook"]).as_uri() in office.exporter.standing
    assert office.database.tables.approvals[0][2] is ApprovalStatus.PENDING
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE


def test_a_report_is_small_enough_to_be_fetched_with_every_list() -> None:
    told = metadata(an_office(people(40)).materialize(), "tier_report")
    assert told["report"].startswith("# spring")
    pictures = re.findall(r"data:image/svg\+xml;base64,([^)]*)", told["report"])
    assert len(pictures) == 3
    assert all(0 < len(picture) < 30_000 for picture in pictures)
    assert len(told["providers"].records) <= 50


def test_a_rerun_of_a_finished_campaign_asks_nobody_and_has_the_same_hash() -> None:
    office = an_office(people(3))
    first = metadata(office.materialize(), "tier_report")
    asked = list(office.source.asked)
    again = metadata(office.materialize(), "tier_report")
    assert office.source.asked == asked
    assert again["report_hash"] == first["report_hash"] == first["report_json"]["report_hash"]


def test_the_gate_tells_what_it_writes() -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey("approval"))
    columns = [column.name for column in node.metadata["dagster/column_schema"].columns]
    assert columns == ["status", "personalization_scope", "approved_by", "approved_at"]


@pytest.mark.parametrize("asset", ["verified_emails", "enriched_leads", "tier_report"])
def test_an_asset_explains_itself(asset: str) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(asset))
    assert len(node.description or "") > 300
    assert node.owners
    assert node.kinds >= {"python", "postgres"}
    columns = node.metadata["dagster/column_schema"].columns
    assert all(column.name and column.type for column in columns)


@pytest.mark.parametrize("asset", ["verified_emails", "enriched_leads", "tier_report"])
def test_a_rerun_has_the_same_data_version(asset: str) -> None:
    office = an_office(people(3))
    first = office.materialize()
    assert data_version(office.materialize(), asset) == data_version(first, asset)


def test_other_results_have_another_data_version() -> None:
    office = an_office(people(3))
    before = office.materialize()
    newcomer = a_lead(9, "Grace Hopper")
    rows = office.database.tables.leads
    office.database.add(CAMPAIGN, [newcomer])
    assert len(rows) == 4
    after = office.materialize()
    for asset in ("verified_emails", "enriched_leads", "tier_report"):
        assert data_version(before, asset) != data_version(after, asset)


@pytest.mark.parametrize(
    ("policy", "changed"),
    [
        (replace(EASY, max_providers_per_lead=2), ["verified_emails"]),
        (replace(EASY, lead_caps=LeadCaps(enrichment=dict.fromkeys(Tier, usd(1)))), ["enriched_leads"]),
        (replace(EASY, thresholds=Thresholds(1, 1, 0)), []),
    ],
)
def test_another_policy_is_another_version_of_what_it_bears_on(policy: Policy, changed: list[str]) -> None:
    office = an_office(people(3))
    before = office.materialize()
    office.policy = policy
    after = office.materialize()
    assets = ("verified_emails", "enriched_leads", "tier_report")
    assert [name for name in assets if data_version(before, name) != data_version(after, name)] == changed


def test_the_reports_version_is_the_hash_that_is_decided_on() -> None:
    done = an_office(people(3)).materialize()
    told = metadata(done, "tier_report")
    assert told["report_hash"].startswith(data_version(done, "tier_report"))


def test_columns_tell_which_columns_before_them_they_were_made_of() -> None:
    done, graph = an_office(people(1)).materialize(), defs.resolve_asset_graph()
    known = {
        (key, column.name)
        for key in graph.get_all_asset_keys()
        for column in graph.get(key).metadata["dagster/column_schema"].columns
    }
    for asset in ("verified_emails", "enriched_leads", "tier_report"):
        made = metadata(done, asset)["dagster/column_lineage"].deps_by_column
        assert {(dg.AssetKey(asset), name) for name in made} <= known
        assert {(one.asset_key, one.column_name) for of in made.values() for one in of} <= known


def test_a_run_that_was_started_by_id_tells_the_campaigns_name() -> None:
    office = an_office(people(1))
    done = office.materialize()
    run = office.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags["phase3/campaign"] == "spring"


def test_exports_that_could_not_be_taken_back_are_told() -> None:
    office = an_office(people(3))
    first = metadata(office.materialize(), "tier_report")
    assert "earlier_exports_still_there" not in first
    office.exporter.keeps = set(office.exporter.standing)
    next(iter(office.database.tables.leads.values())).email = "eve@acme.com"
    second = metadata(office.materialize(["tier_report"]), "tier_report")
    assert "cannot be withdrawn" in second["earlier_exports_still_there"]


@pytest.fixture(scope="module")
def of_many_leads() -> Office:
    office = an_office(people(1_200))
    office.materialize()
    return office


@pytest.mark.slow
@pytest.mark.parametrize("asset", ["verified_emails", "enriched_leads"])
def test_progress_is_observed_every_200_to_500_leads(asset: str, of_many_leads: Office) -> None:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[KEY])
    records = of_many_leads.instance.fetch_observations(wanted, limit=100, ascending=True).records
    observations = [record.event_log_entry.asset_observation for record in records]
    told: list[dict[str, Any]] = [
        {name: of.value for name, of in one.metadata.items()} for one in observations if one
    ]
    done = [0, *(row["leads_done"] for row in told)]
    assert done[-1] == 1_200
    assert max(later - earlier for earlier, later in pairwise(done)) <= 500
    assert len(told) <= 1_200 / 200 + 1
    assert {row["leads_total"] for row in told} == {1_200}
    assert all(isinstance(row["spent_usd"], float) for row in told)


def busy(office: Office) -> None:
    office.database.held.add(CAMPAIGN)


def gone(office: Office) -> None:
    office.database.tables.gone = True


def unknown(office: Office) -> None:
    office.database.tables.campaigns.clear()


def approved(office: Office) -> None:
    office.campaign.status = CampaignStatus.APPROVED


def keyless(office: Office) -> None:
    office.source.finders = ()


def unverifiable(office: Office) -> None:
    office.source.verifiers = ()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (busy, f"Another run is working on campaign {KEY}."),
        (gone, "The database is gone."),
        (unknown, f"There is no campaign '{KEY}'."),
        (approved, f"Campaign {KEY} is 'approved_for_personalization' and cannot become"),
        (keyless, "No usable finder, so nothing was spent."),
        (unverifiable, "No usable verifier, so nothing was spent."),
    ],
    ids=["busy", "gone", "unknown", "approved", "no finder", "no verifier"],
)
def test_a_failure_is_one_line_and_never_retried(trouble: Callable[[Office], None], words: str) -> None:
    office = an_office(people(2))
    trouble(office)
    with pytest.raises(dg.Failure) as raised:
        office.materialize(raising=True)
    assert str(raised.value.description).startswith(words)
    assert "\n" not in str(raised.value.description)
    assert raised.value.allow_retries is False
    assert office.source.asked == []


def test_an_asset_alone_stops_below_a_threshold_too() -> None:
    """A blocking check guards its own run; this run asks for the second asset alone."""
    office = an_office(people(2), Policy(Thresholds(50, 50, 10), guessing=False))
    office.materialize(["verified_emails"])
    done = office.materialize(["enriched_leads"])
    assert not done.success
    assert failure(done).startswith("2 accepted emails, and enrichment wants at least 50.")


def test_a_partition_that_somebody_typed_is_no_campaign() -> None:
    assert failure(an_office(people(2)).materialize(key="spring campaign")) == (
        "'spring campaign' is no campaign id. Partitions are made by the sensor or by `phase3 run`, "
        "not by hand."
    )


def test_a_broken_asset_leaves_its_reason_on_the_campaign() -> None:
    office = an_office(people(2))
    office.exporter.breaks = OSError("disk full")
    assert not office.materialize().success
    assert office.campaign.status is CampaignStatus.FAILED
    assert "disk full" not in office.campaign.reason
    assert office.campaign.reason.startswith("OSError")


def test_agents_keep_their_costs_apart() -> None:
    office = an_office([a_lead(1)])
    done = office.materialize()
    assert metadata(done, "verified_emails")["cost_usd"] == 0.011
    assert metadata(done, "enriched_leads")["cost_usd"] == 0.0
    assert office.database.bills.cost_of(a_lead(1).id, Agent.EMAIL_VERIFICATION) > 0


class TerminatedAsItEnds(FakeDatabase):
    """Somebody wishes it at the last moment at which the agent listens."""

    @asynccontextmanager
    async def open(self, run: Run) -> AsyncIterator[FakeBooks]:
        async with super().open(run) as books:
            yield books
        signal.raise_signal(signal.SIGINT)


def test_a_wish_that_comes_as_the_agent_ends_is_not_forgotten() -> None:
    database = TerminatedAsItEnds()
    database.add(CAMPAIGN, people(2))
    office = Office(database, vendors(database))
    done = office.materialize()
    assert not done.success
    assert [event.step_key for event in done.all_events if event.is_step_start] == ["verified_emails"]
    run = office.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED


def test_a_signal_cancels_the_use_case_once_and_is_remembered() -> None:
    stop, before, cleaned = Stop(), signal.getsignal(signal.SIGINT), []

    async def working() -> None:
        with stop.listening():
            try:
                signal.raise_signal(signal.SIGINT)
                await asyncio.sleep(20)
            finally:
                signal.raise_signal(signal.SIGTERM)
                await asyncio.sleep(0.05)
                cleaned.append(True)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(working())
    assert cleaned == [True]
    assert stop.wished
    assert signal.getsignal(signal.SIGINT) is before
