"""The gate as Dagster's UI drives it: a form, a decision, and a line for whoever was too late."""

from typing import Any

import dagster as dg
import pytest

from phase3_assets.approval import approval
from phase3_assets.definitions import defs
from phase3_core.approval import ApprovalPolicy, Decision
from phase3_core.policy import Policy
from phase3_core.statuses import ApprovalStatus, CampaignStatus
from tests.assets.office import ANY_NUMBER, KEY, Office, an_office, failure, metadata, people

FULL = {"decision": Decision.APPROVE_FULL.name, "decided_by": "dana"}


def asked_office() -> Office:
    """Its campaign waits for a decision."""
    policy = Policy(ANY_NUMBER, guessing=False, approval=ApprovalPolicy(approvers=("dana", "kim")))
    office = an_office(people(2), policy)
    assert office.materialize().success
    return office


def decide(office: Office, form: dict[str, Any] | None) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [approval],
        partition_key=KEY,
        instance=office.instance,
        resources={"database": office.database, "policy": office.policy},
        run_config={"ops": {"approval": {"config": form}}} if form is not None else None,
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("decision", "status", "becomes", "scope"),
    [
        (Decision.APPROVE_FULL, "approved_full", CampaignStatus.APPROVED, "tier_a_and_b"),
        (Decision.APPROVE_TIER_A_ONLY, "approved_tier_a", CampaignStatus.APPROVED, "tier_a_only"),
        (Decision.REQUEST_MORE_ENRICHMENT, "more_enrichment", CampaignStatus.RE_ENRICHMENT_REQUESTED, "none"),
        (Decision.REJECT, "rejected", CampaignStatus.REJECTED, "none"),
    ],
)
def test_a_filled_in_form_decides(
    decision: Decision, status: str, becomes: CampaignStatus, scope: str
) -> None:
    office = asked_office()
    done = decide(office, {"decision": decision.name, "decided_by": "Dana", "feedback": "as agreed"})
    assert done.success
    told = metadata(done, "approval")
    shown = ("decision", "decided_by", "feedback", "personalization_scope")
    assert [told[name] for name in shown] == [status, "Dana", "as agreed", scope]
    assert office.campaign.status is becomes


@pytest.mark.parametrize("form", [None, {}, {"decided_by": "dana"}, {"decision": "APPROVE_FULL"}])
def test_without_a_filled_in_form_nothing_starts(form: dict[str, Any] | None) -> None:
    office = asked_office()
    with pytest.raises(dg.DagsterInvalidConfigError):
        decide(office, form)
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE


def test_a_decision_that_there_is_not_does_not_start() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        decide(asked_office(), {"decision": "AUTO_APPROVED", "decided_by": "dana"})


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (FULL | {"decided_by": "mallory"}, "mallory is not among the approvers."),
        (FULL | {"decision": "REJECT"}, "reject needs feedback"),
        (FULL | {"decision": "REQUEST_MORE_ENRICHMENT", "feedback": " "}, "request more enrichment needs"),
    ],
)
def test_a_form_that_does_not_count_says_why(form: dict[str, Any], words: str) -> None:
    office = asked_office()
    assert failure(decide(office, form)).startswith(words)
    assert office.database.tables.approvals[0].status is ApprovalStatus.PENDING


def test_whoever_is_second_is_told_who_was_first() -> None:
    office = asked_office()
    assert decide(office, FULL).success
    late = failure(decide(office, FULL | {"decided_by": "kim", "decision": "APPROVE_TIER_A_ONLY"}))
    assert late.startswith("Already decided: approved full by dana at ")


def test_a_form_that_names_the_report_decides_on_no_other() -> None:
    office = asked_office()
    (asked,) = office.database.tables.approvals
    other = failure(decide(office, FULL | {"report": "abcdef"}))
    assert other.startswith(f"Not decided: the request is about report {asked.binding.report[:12]},")
    assert failure(decide(office, FULL | {"report": "=1"})).startswith("'=1' is no report: give ")
    assert decide(office, FULL | {"report": asked.binding.report[:12].upper()}).success


def test_a_change_since_the_report_voids_the_request() -> None:
    office = asked_office()
    next(iter(office.database.tables.leads.values())).email = "eve@acme.com"
    assert failure(decide(office, FULL)).startswith("Not decided: the leads changed")
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE
    again = office.materialize(["tier_report"])
    assert metadata(again, "tier_report")["phase3_result"]["approval_status"] == "pending"
    assert decide(office, FULL).success


def test_the_gate_is_outside_the_job() -> None:
    job = defs.resolve_job_def("phase3")
    assert dg.AssetKey("approval") not in job.asset_layer.executable_asset_keys
    group = {key.to_user_string() for key in defs.resolve_asset_graph().asset_keys_for_group("phase3")}
    assert group == {"verified_emails", "enriched_leads", "tier_report"}
