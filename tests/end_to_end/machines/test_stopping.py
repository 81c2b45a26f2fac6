"""Runs that are cancelled or told to end settle what is in flight, wherever deploy/ puts them."""

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from phase3_assets.workplace import project_root
from tests.end_to_end.dagster_ui import RUNS, TERMINATE, Dagster
from tests.end_to_end.machines.deployment import Deployment, at_work, deployed, seen, started_code
from tests.end_to_end.machines.loss import IN_FLIGHT, imported
from tests.end_to_end.shell import FINDERS, WAIT_S, kill_group, until

pytestmark = pytest.mark.soak

SCALE = 0.01  # some 420 leads
SLOWLY_MS, QUICKLY_MS = 3_000, 20  # a finder's answer: some are on their way at any moment, or hardly any
AT_WORK = "provider_calls WHERE state = 'settled' AND campaign_id = %s"
UNDER_WAY = f"{IN_FLIGHT} AND campaign_id = %s"
LEFT_OPEN = "provider_calls WHERE state <> 'settled'"
CANCELLED = "campaigns WHERE status = 'phase3_failed' AND status_reason LIKE 'cancelled%%' AND id = %s"


def answering(deployment: Deployment, ms: int) -> None:
    for finder in FINDERS:
        deployment.vendors.slow_down(finder, ms)


def with_calls_on_their_way(dagster: Dagster, campaign: str) -> None:
    until(lambda: dagster.books.number(AT_WORK, campaign) > 30)
    until(lambda: dagster.books.number(UNDER_WAY, campaign) > 3)


def assert_all_is_settled(dagster: Dagster) -> None:
    """To the cent: an answer that was cut off would be booked at its worst, or not at all."""
    assert dagster.books.number(LEFT_OPEN) == 0
    assert dagster.books.settled == Decimal(dagster.vendors.read("bill")["total_usd"])


def assert_told_to_end(dagster: Dagster, campaign: str) -> None:
    """What the run had asked is answered."""
    assert dagster.runs(campaign)[0] == "FAILURE"
    assert_all_is_settled(dagster)


def assert_resumed(dagster: Dagster, campaign: str) -> None:
    until(lambda: dagster.runs(campaign) == ["FAILURE", "SUCCESS"], every_s=0.5)
    assert_all_is_settled(dagster)


def test_a_celery_worker_settles_what_it_is_told_to_cancel_or_to_leave(folder: Path) -> None:
    with deployed(folder, machines=1, scale=SCALE, rate_factor=200) as deployment:
        (machine,) = deployment.network.machines
        answering(deployment, SLOWLY_MS)
        with at_work(deployment) as dagster:
            with deployment.started("worker", machine) as worker:
                unwanted, interrupted = imported(deployment, campaigns=2, shared=0)
                with_calls_on_their_way(dagster, unwanted)
                cancel(dagster, unwanted)
                with_calls_on_their_way(dagster, interrupted)
                worker.send_signal(signal.SIGTERM)
                worker.wait(WAIT_S)
                assert_told_to_end(dagster, interrupted)
            answering(deployment, QUICKLY_MS)
            with deployment.started("worker", machine):
                assert_resumed(dagster, interrupted)
            assert dagster.runs(unwanted) == ["CANCELED"]


def cancel(dagster: Dagster, campaign: str) -> None:
    """In the UI."""
    (run,) = dagster.books.query(RUNS, campaign)
    told = dagster.ask(TERMINATE, run=run["run_id"])["terminateRun"]["__typename"]
    assert told == "TerminateRunSuccess"
    until(lambda: dagster.runs(campaign) == ["CANCELED"])
    until(lambda: dagster.books.number(CANCELLED, campaign) == 1, every_s=0.25)
    assert dagster.books.number(UNDER_WAY, campaign) == 0


def test_a_code_location_that_is_stopped_lets_its_runs_settle(folder: Path) -> None:
    """Its whole process group is told, as docker-init does with `TINI_KILL_PROCESS_GROUP`."""
    one_machine = project_root() / "dagster.yaml"
    with deployed(folder, 0, SCALE, rate_factor=200, instance=one_machine) as deployment:
        answering(deployment, SLOWLY_MS)
        dagster = seen(deployment)
        with deployment.started("code") as code, deployment.started("daemon") as daemon:
            (campaign,) = imported(deployment, campaigns=1, shared=0)
            with_calls_on_their_way(dagster, campaign)
            for service in (daemon, code):
                kill_group(service, signal.SIGTERM)
                service.wait(WAIT_S)
            assert_told_to_end(dagster, campaign)
        answering(deployment, QUICKLY_MS)
        with started_code(deployment), deployment.started("daemon"):
            assert_resumed(dagster, campaign)
