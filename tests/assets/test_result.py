import json
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from phase3_assets.result import phase3_result, read_result, recorded_durations
from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.leads import Campaign
from phase3_core.money import usd
from phase3_core.statuses import Agent, ApprovalStatus, CampaignStatus
from phase3_core.tiers import Tier
from tests.assets.office import KEY, an_office, metadata, people
from tests.fakes.people import CAMPAIGN

SHAPE = {
    "phase": int,
    "campaign_id": str,
    "campaign_name": str,
    "status": str,
    "agents_run": [{"agent": str, "status": str, "duration_seconds": float}],
    "result": {
        "emails_found": int,
        "emails_verified": int,
        "leads_enriched": int,
        "tier_a_ready": int,
        "tier_b_ready": int,
        "tier_c_ready": int,
        "total_ready": int,
    },
    "costs": {"email_verification": float, "enrichment": float, "total": float},
    "approval_status": str,
    "waiting": [],
}


def shape(value: Any) -> Any:
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(one) for one in value[:1]]
        case _:
            return type(value)


def spend(agent: Agent, cost: str) -> ProviderSpend:
    return ProviderSpend(agent, "tomba", "find", 1, 1, 0, 0, usd(cost), usd("0"))


def counts() -> CampaignCounts:
    tiers = [TierCounts(tier, 9, 6, 5, 4, 1, 3, 71.5, usd("0.1")) for tier in Tier]
    return CampaignCounts(tiers, {}, {}, {}, {}, 0, 0)


def result(
    status: CampaignStatus = CampaignStatus.VERIFICATION_COMPLETE,
    approval: ApprovalStatus | None = ApprovalStatus.PENDING,
    costs: tuple[str, str] = ("5.1", "3.9"),
    reason: str = "",
) -> dict[str, Any]:
    campaign = Campaign(CAMPAIGN, "spring", status, 27, None, reason)
    spends = [spend(Agent.EMAIL_VERIFICATION, costs[0]), spend(Agent.ENRICHMENT, costs[1])]
    return phase3_result(campaign, counts(), spends, {Agent.EMAIL_VERIFICATION: 1.5}, approval)


def test_the_result_has_exactly_the_shape_that_others_read() -> None:
    assert shape(json.loads(json.dumps(result()))) == SHAPE


def test_the_result_of_real_materializations_has_the_same_shape() -> None:
    assert shape(metadata(an_office(people(2)).materialize(), "tier_report")["phase3_result"]) == SHAPE


def test_counts_are_summed_over_the_tiers() -> None:
    assert result()["result"] == {
        "emails_found": 18,
        "emails_verified": 15,
        "leads_enriched": 12,
        "tier_a_ready": 3,
        "tier_b_ready": 3,
        "tier_c_ready": 3,
        "total_ready": 9,
    }


@pytest.mark.parametrize("amount", ["0.000001", "0.1", "123456.789012", "123456789.123456"])
def test_amounts_read_back_to_six_places(amount: str) -> None:
    told = json.loads(json.dumps(result(costs=(amount, "0.000002"))))["costs"]
    assert {name: usd(Decimal(repr(value))) for name, value in told.items()} == {
        "email_verification": usd(amount),
        "enrichment": usd("0.000002"),
        "total": usd(amount) + usd("0.000002"),
    }


@pytest.mark.parametrize(
    ("status", "approval", "told", "decided"),
    [
        (CampaignStatus.IMPORT_COMPLETE, None, "not_started", "not_requested"),
        (CampaignStatus.VERIFYING_EMAILS, None, "running", "not_requested"),
        (CampaignStatus.ENRICHED, None, "incomplete", "not_requested"),
        (CampaignStatus.STOPPED, None, "stopped", "not_requested"),
        (CampaignStatus.FAILED, None, "failed", "not_requested"),
        (CampaignStatus.VERIFICATION_COMPLETE, ApprovalStatus.PENDING, "pending_approval", "pending"),
        (CampaignStatus.VERIFICATION_COMPLETE, ApprovalStatus.WITHDRAWN, "incomplete", "withdrawn"),
        (CampaignStatus.APPROVED, ApprovalStatus.APPROVED_FULL, "completed", "approved_full"),
        (CampaignStatus.REJECTED, ApprovalStatus.REJECTED, "completed", "rejected"),
    ],
)
def test_status_in_the_words_of_the_contract(
    status: CampaignStatus, approval: ApprovalStatus | None, told: str, decided: str
) -> None:
    outcome = result(status, approval)
    assert (outcome["status"], outcome["approval_status"]) == (told, decided)


async def test_between_two_agents_a_campaign_runs_as_long_as_a_run_does() -> None:
    office = an_office(people(2))
    office.campaign.status = CampaignStatus.ENRICHED

    async def told() -> Any:
        async with office.database.reading() as books:
            return (await read_result(office.instance, books, CAMPAIGN))["status"]

    tags = {"dagster/partition": KEY}
    run = create_run_for_test(office.instance, "phase3", status=dg.DagsterRunStatus.STARTED, tags=tags)
    assert await told() == "running"
    office.instance.report_run_failed(run)
    assert await told() == "incomplete"


def test_a_cancelled_campaign_has_not_failed() -> None:
    cancelled = result(CampaignStatus.FAILED, None, reason="cancelled while 3 calls were in flight")
    assert cancelled["status"] == "cancelled"
    assert result(CampaignStatus.FAILED, None, reason="the disk is full")["status"] == "failed"


def test_durations_are_those_of_the_newest_materializations() -> None:
    office = an_office(people(2))
    assert recorded_durations(office.instance, KEY) == {}
    office.materialize()
    done = office.materialize()
    assert recorded_durations(office.instance, KEY) == {
        Agent.EMAIL_VERIFICATION: metadata(done, "verified_emails")["duration_s"],
        Agent.ENRICHMENT: metadata(done, "enriched_leads")["duration_s"],
        Agent.FINALIZER: metadata(done, "tier_report")["duration_s"],
    }


def test_a_materialization_reported_by_hand_took_no_time() -> None:
    office = an_office()
    office.instance.report_runless_asset_event(dg.AssetMaterialization("verified_emails", partition=KEY))
    assert recorded_durations(office.instance, KEY) == {Agent.EMAIL_VERIFICATION: 0.0}
