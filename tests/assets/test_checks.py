import dagster as dg
import pytest

from phase3_core.policy import Policy, Thresholds
from phase3_core.statuses import CampaignStatus
from tests.assets.office import Office, an_office, metadata, people

CHECKS = ["enough_emails", "enough_enriched", "enough_tier_a_ready"]
ASSETS = ["verified_emails", "enriched_leads", "tier_report"]
SHORT_OF = {
    "enough_emails": Thresholds(50, 0, 0),
    "enough_enriched": Thresholds(0, 50, 0),
    "enough_tier_a_ready": Thresholds(0, 0, 50),
}
SAYS = {
    "enough_emails": "3 accepted emails, and enrichment wants at least 50.",
    "enough_enriched": "3 enriched leads, and the tier report wants at least 50.",
    "enough_tier_a_ready": "0 ready tier A leads, and approval wants at least 50.",
}


def checked(done: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    evaluations = done.get_asset_check_evaluations()
    return {event.check_name: (event.passed, event.severity.value) for event in evaluations}


def materialized(done: dg.ExecuteInProcessResult) -> list[str]:
    return [event.step_key or "" for event in done.get_asset_materialization_events()]


def short_of(check: str, *, force: bool = False) -> Office:
    return an_office(people(3), Policy(SHORT_OF[check], force_continue=force, guessing=False))


def test_enough_of_everything_passes() -> None:
    done = an_office(people(3)).materialize()
    assert checked(done) == dict.fromkeys(CHECKS, (True, "ERROR"))
    (first,) = [one for one in done.get_asset_check_evaluations() if one.check_name == "enough_emails"]
    assert first.description == "3 of at least 0."
    assert {name: told.value for name, told in first.metadata.items()} == {"leads": 3, "threshold": 0}


@pytest.mark.parametrize("check", CHECKS)
def test_a_shortfall_stops_what_comes_after(check: str) -> None:
    office = short_of(check)
    done = office.materialize()
    assert not done.success
    assert checked(done)[check] == (False, "ERROR")
    assert materialized(done) == ASSETS[: CHECKS.index(check) + 1]
    assert office.campaign.status is CampaignStatus.STOPPED
    assert office.campaign.reason.startswith(SAYS[check])
    assert office.database.tables.approvals == []


@pytest.mark.parametrize("check", CHECKS)
def test_force_continue_warns_and_goes_on(check: str) -> None:
    office = short_of(check, force=True)
    done = office.materialize()
    assert done.success
    assert checked(done)[check] == (False, "WARN")
    assert materialized(done) == ASSETS
    assert office.campaign.status is CampaignStatus.VERIFICATION_COMPLETE


def test_the_result_of_a_stopped_campaign_says_where() -> None:
    result = metadata(short_of("enough_tier_a_ready").materialize(), "tier_report")["phase3_result"]
    assert result["status"] == "stopped"
    assert result["approval_status"] == "not_requested"
    assert [agent["status"] for agent in result["agents_run"]] == ["completed", "completed", "stopped"]
