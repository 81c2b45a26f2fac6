"""A machine goes down in the midst of a run; what comes up again notices, and finishes the campaign."""

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from phase3_assets.workplace import project_root
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.dagster_ui import Dagster, prepared
from tests.end_to_end.shell import Shell, kill_group, until
from tests.end_to_end.test_interrupted_runs import assert_nobody_is_paid_twice

pytestmark = pytest.mark.slow

HELD = "pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = %s)"
TAKEN_BACK = """
SELECT s.step, s.state FROM saga_steps AS s JOIN dagster.runs AS r ON r.run_id = s.run_id
WHERE r.status = 'FAILURE' AND s.step <> 'reservations'
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Dagster's home with our configuration, monitored every second."""
    configuration = (project_root() / "dagster.yaml").read_text(encoding="utf-8")
    usual = "poll_interval_seconds: 5"
    assert usual in configuration
    directory = tmp_path / "home"
    directory.mkdir()
    quick = configuration.replace(usual, "poll_interval_seconds: 1")
    (directory / "dagster.yaml").write_text(quick, encoding="utf-8")
    return directory


def killed_at_work(dagster: Dagster) -> str:
    """The campaign whose run died with everything else."""
    dagster.vendors.slow_down("*", 1_000)
    with dagster.served() as process:
        campaign_id = dagster.campaign("struck")
        dagster.launch(campaign_id)
        until(lambda: dagster.books.number("provider_calls WHERE state = 'settled'") > 5)
        kill_group(process, signal.SIGKILL)
        until(lambda: not dagster.books.number(HELD, dagster.books.name))
    dagster.vendors.slow_down("*", 20)
    return campaign_id


def test_a_run_that_died_with_its_machine_is_found_and_its_campaign_finished(
    new_books: NewBooks, upgraded: str, shell: Shell, tmp_path: Path, home: Path
) -> None:
    with prepared(new_books(upgraded), shell.set(DAGSTER_HOME=str(home)), tmp_path) as dagster:
        campaign_id = killed_at_work(dagster)
        assert dagster.runs(campaign_id) == ["STARTED"]
        with dagster.served():
            until(lambda: dagster.runs(campaign_id)[0] == "FAILURE")
            until(lambda: {row["state"] for row in dagster.books.query(TAKEN_BACK)} == {"compensated"})
            until(lambda: len(dagster.runs(campaign_id)) == 2, every_s=0.25)
            assert until(lambda: dagster.ended(campaign_id), every_s=0.25) == ["FAILURE", "SUCCESS"]
        complete = "campaigns WHERE id = %s AND status = 'verification_complete'"
        assert dagster.books.number(complete, campaign_id) == 1
        assert_nobody_is_paid_twice(dagster.vendors)
        assert dagster.books.booked >= Decimal(dagster.vendors.read("bill")["total_usd"])
