"""Runs that people and sensors start in the UI's processes."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

import psycopg
import pytest

from phase3_assets.workplace import project_root
from resources.postgres.database import driver_url
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.dagster_ui import TERMINATE, Dagster, prepared
from tests.end_to_end.shell import WAIT_S, Shell, kill_group, until
from tests.sockets import listening_at

pytestmark = pytest.mark.slow

SLOWLY_MS = 10_000  # so that the leads of one company, who go one after another, are at it for a minute
KEPT_BACK = 16  # leads: all those of five companies
KEEP_BACK = """
WITH made AS (
    INSERT INTO campaigns (name, status, import_completed_at) VALUES ('terminated', 'phase3_failed', now())
    RETURNING id
)
UPDATE leads SET campaign_id = made.id FROM made
WHERE leads.id IN (SELECT id FROM leads ORDER BY company_domain LIMIT %s)
RETURNING made.id::text
"""
HOLD_UP = """
CREATE OR REPLACE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(4); RETURN NEW; END $$;
CREATE TRIGGER hold_up BEFORE UPDATE ON campaign_leases FOR EACH ROW
WHEN (current_setting('application_name') = 'phase3:waterfall_enrichment') EXECUTE FUNCTION hold_up()
"""
WHO_WAITS = """
pg_locks WHERE locktype = 'advisory' AND NOT granted
AND database = (SELECT oid FROM pg_database WHERE datname = %s)
"""
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


@pytest.fixture(scope="module", autouse=True)
def kept_back(dagster: Dagster) -> str:
    """A campaign of leads and companies that no other asks about."""
    moved = dagster.books.query(KEEP_BACK, KEPT_BACK)
    assert len(moved) == KEPT_BACK
    return str(moved[0]["id"])


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


def test_a_terminated_run_settles_what_is_in_flight_and_the_next_pays_nothing_again(
    dagster: Dagster, kept_back: str
) -> None:
    """A run from a shell beside it has ended at once, and changed nothing."""
    dagster.vendors.slow_down("reoon", SLOWLY_MS)
    run = dagster.launch(kept_back)
    until(lambda: dagster.books.number("provider_calls WHERE state = 'intent'"))
    beside = dagster.shell("run", kept_back)
    assert beside.code == 1
    assert beside.line.startswith(f"Another run is working on campaign {kept_back}.")
    told = dagster.ask(TERMINATE, run=run)
    assert told["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert until(lambda: dagster.ended(kept_back), every_s=0.1) == ["CANCELED"]
    assert_all_is_settled(dagster)
    (shown,) = dagster.shell("status", kept_back, "--json").document
    assert (shown["status"], shown["compensating"]) == ("cancelled", [])
    (row,) = dagster.books.query("SELECT status, status_reason FROM campaigns WHERE id = %s", kept_back)
    assert row == {
        "status": "phase3_failed",
        "status_reason": "cancelled; everything bought is kept, run again to resume",
    }
    dagster.vendors.slow_down("reoon", 0)
    dagster.launch(kept_back)
    assert until(lambda: dagster.ended(kept_back), every_s=0.25) == ["CANCELED", "SUCCESS"]
    assert_all_is_settled(dagster)


@contextmanager
def held_up_between_agents(dagster: Dagster) -> Iterator[Callable[[], int]]:
    """Whoever takes the campaign over for `enriched_leads` waits; the number of those who do."""
    dagster.books.query(HOLD_UP)
    address = driver_url(dagster.books.url).set(drivername="postgresql")
    try:
        with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as line:
            line.execute("SELECT pg_advisory_lock(4)")
            yield lambda: dagster.books.number(WHO_WAITS, dagster.books.name)
    finally:
        dagster.books.query("DROP TRIGGER hold_up ON campaign_leases")


def assert_cancelled_between_agents(dagster: Dagster, campaign_id: str) -> None:
    (shown,) = dagster.shell("status", campaign_id, "--json").document
    told = "cancelled; everything bought is kept, run again to resume"
    assert (shown["status"], shown["reason"], shown["enriched"]) == ("cancelled", told, 0)
    assert shown["verified"] > 0


def test_a_run_that_is_stopped_between_two_agents_is_cancelled_at_once_and_resumed_for_nothing(
    dagster: Dagster,
) -> None:
    """From the UI, and by Ctrl-C in a shell."""
    campaign_id = dagster.campaign("stopped between two agents")
    with held_up_between_agents(dagster) as waiting:
        run = dagster.launch(campaign_id)
        until(waiting)
        assert dagster.books.number("campaigns WHERE status = 'emails_verified' AND id = %s", campaign_id)
        dagster.ask(TERMINATE, run=run)
        assert until(lambda: dagster.ended(campaign_id), every_s=0.1) == ["CANCELED"]
        assert_cancelled_between_agents(dagster, campaign_id)
        with dagster.shell.started("run", campaign_id) as process:
            until(waiting)
            kill_group(process, signal.SIGINT)
            process.communicate(timeout=WAIT_S)
        assert dagster.ended(campaign_id) == ["CANCELED", "CANCELED"]
        assert_cancelled_between_agents(dagster, campaign_id)
    dagster.launch(campaign_id)
    assert until(lambda: dagster.ended(campaign_id), every_s=0.25) == ["CANCELED", "CANCELED", "SUCCESS"]
    assert_all_is_settled(dagster)


def assert_all_is_settled(dagster: Dagster) -> None:
    """Nothing is in flight or in doubt; what is settled is the vendors' bill, and nothing is on it twice."""
    assert dagster.books.number("provider_calls WHERE state <> 'settled' OR unknown_usd > 0") == 0
    assert dagster.books.settled == Decimal(dagster.vendors.read("bill")["total_usd"])
    assert set(dagster.vendors.times_billed().values()) == {1}
