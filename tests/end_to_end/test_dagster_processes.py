"""Runs that people and sensors start in the UI's processes."""

import signal
from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import pytest

from phase3_assets.workplace import project_root
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.dagster_ui import TERMINATE, Dagster, prepared
from tests.end_to_end.shell import WAIT_S, Shell, kill_group, until
from tests.sockets import listening_at

pytestmark = pytest.mark.slow

LEFT_BY_DAGSTER = {"logs", ".logs_queue", ".telemetry", "history", "storage", "schedules"}


def left_in_checkout() -> set[str]:
    return LEFT_BY_DAGSTER & {path.name for path in project_root().iterdir()}


@pytest.fixture(scope="module")
def dagster(
    new_books: NewBooks, upgraded: str, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dagster]:
    directory = tmp_path_factory.mktemp("dagster")
    with prepared(new_books(upgraded), shell, directory) as dagster, dagster.served() as process:
        yield dagster
        kill_group(process, signal.SIGINT)
        assert process.wait(timeout=WAIT_S) == 0


def test_campaigns_are_run_by_launch_by_backfill_and_by_the_sensor(dagster: Dagster) -> None:
    """All at once, because each takes its time; nothing of it is written into the checkout."""
    before = left_in_checkout()
    imported = dagster.campaign("by the sensor", "import_complete")
    filled = [dagster.campaign(f"by backfill {n}") for n in range(3)]
    launched = dagster.campaign("by launch")
    dagster.backfill(filled)
    dagster.launch(launched)
    for campaign_id in (launched, *filled, imported):
        assert until(partial(dagster.ended, campaign_id), every_s=0.25) == ["SUCCESS"]
    done = dagster.books.number("campaigns WHERE status = 'verification_complete'")
    assert done == 5
    assert dagster.books.settled == Decimal(dagster.vendors.read("bill")["total_usd"])
    assert left_in_checkout() <= before


def test_a_form_that_is_filled_in_decides_and_one_that_is_not_starts_nothing(dagster: Dagster) -> None:
    (campaign,) = dagster.books.query(
        "SELECT id::text FROM campaigns WHERE status = 'verification_complete' ORDER BY id LIMIT 1"
    )
    campaign_id, decision = campaign["id"], "SELECT status, approved_by FROM campaigns WHERE id = %s"
    assert dagster.fill_in(campaign_id, {"decided_by": "dana"}) == "RunConfigValidationInvalid"
    form = {"decision": "APPROVE_TIER_A_ONLY", "decided_by": "dana"}
    assert dagster.fill_in(campaign_id, form) == "LaunchRunSuccess"
    until(lambda: len(dagster.runs(campaign_id)) == 2 and dagster.ended(campaign_id), every_s=0.25)
    approved = {"status": "approved_for_personalization", "approved_by": "dana"}
    assert dagster.books.query(decision, campaign_id) == [approved]
    assert (
        dagster.books.number("approved_leads WHERE campaign_id = %s AND lead_tier <> 'A'", campaign_id) == 0
    )


def test_the_ui_listens_on_loopback_alone(dagster: Dagster) -> None:
    assert listening_at(dagster.url) == ["127.0.0.1"]


def test_the_sensors_of_the_gate_tick_without_slack(dagster: Dagster) -> None:
    wanted = {"re_enrichment", "approval_reminders", "outbox"}
    until(lambda: wanted <= dagster.ticks().keys(), every_s=0.5)
    assert {dagster.ticks()[name] for name in wanted} == {"SKIPPED"}


def test_terminating_a_run_settles_what_is_in_flight(dagster: Dagster) -> None:
    """A run from a shell beside it has ended at once, and changed nothing."""
    dagster.books.query("DELETE FROM provider_calls RETURNING key")
    dagster.books.query("DELETE FROM balance_readings RETURNING provider")
    dagster.vendors.slow_down("*", 1_000)
    campaign_id = dagster.campaign("terminated")
    run = dagster.launch(campaign_id)
    until(lambda: dagster.books.number("provider_calls WHERE state = 'intent'"))
    beside = dagster.shell("run", campaign_id)
    assert beside.code == 1
    assert beside.line.startswith(f"Another run is working on campaign {campaign_id}.")
    told = dagster.ask(TERMINATE, run=run)
    assert told["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert until(lambda: dagster.ended(campaign_id), every_s=0.1) == ["CANCELED"]
    assert dagster.books.number("provider_calls WHERE state = 'intent'") == 0
    (shown,) = dagster.shell("status", campaign_id, "--json").document
    assert (shown["status"], shown["compensating"]) == ("cancelled", [])
    (row,) = dagster.books.query("SELECT status, status_reason FROM campaigns WHERE id = %s", campaign_id)
    assert row == {
        "status": "phase3_failed",
        "status_reason": "cancelled; everything bought is kept, run again to resume",
    }
