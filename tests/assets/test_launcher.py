"""Dagster's monitoring asks the launcher whether a run is dead; time passes by hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import WorkerStatus
from dagster._core.test_utils import create_run_for_test

from phase3_assets import launcher
from phase3_assets.definitions import defs
from phase3_assets.executing import LivingExecutor
from phase3_assets.launcher import LeaseRunLauncher
from phase3_assets.workplace import project_root, state_dir
from phase3_core.errors import OutsideFailure
from resources.postgres.database import _SERVER_PATIENCE
from resources.postgres.lease import Sighting, Standing
from tests.fakes.clock import NOON, FakeClock

AWAKE_EVERY_S = 0.5  # Dagster's daemon, which then sees whether it is time for the next look
INSTANCES = [project_root() / "dagster.yaml", project_root() / "deploy" / "celery" / "dagster.yaml"]
RUN = "c6a1b7f6-6b0c-4f4e-9a54-0d8e2f6d9f11"
FREE = Sighting(Standing(RUN, 1, held=False), "1", NOON)
HELD = Sighting(Standing(RUN, 1, held=True), "1", NOON)
NOBODY_YET = Sighting(None, None, NOON)


def monitoring(file: Path) -> dict[str, Any]:
    """How often a shipped instance looks, and what else it says of that."""
    return dict(yaml.safe_load(file.read_text(encoding="utf-8"))["run_monitoring"])


@dataclass
class Watched:
    """A run, its launcher, and what a look at its campaign finds."""

    instance: dg.DagsterInstance
    run: dg.DagsterRun
    found: Sighting | OutsideFailure = HELD
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.launcher = LeaseRunLauncher()
        self.launcher.register_instance(self.instance)

    def look(self, *_: Any) -> Sighting:
        if isinstance(self.found, OutsideFailure):
            raise self.found
        return self.found

    def is_dead(self, at: float, found: Sighting | OutsideFailure) -> bool:
        self.clock.seconds, self.found = at, found
        return self.launcher.check_run_worker_health(self.run).status is WorkerStatus.FAILED


@pytest.fixture
def settings() -> dict[str, Any]:
    return monitoring(INSTANCES[0])


@pytest.fixture
def instance(settings: dict[str, Any]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(settings={"run_monitoring": settings}) as instance:
        yield instance


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, tmp_path: Path) -> Watched:
    tags = {"dagster/partition": str(uuid4())}
    watched = Watched(instance, create_run_for_test(instance, job_name="phase3", run_id=RUN, tags=tags))
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(launcher, "look", watched.look)
    monkeypatch.setattr(launcher, "monotonic", watched.clock.monotonic)
    return watched


def unheard_of_s() -> float:
    """How long the server keeps the lock of a machine that vanished."""
    idle, interval, count = (
        float(_SERVER_PATIENCE[f"tcp_keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    return idle + interval * count


def noticed_at(watched: Watched, first_look: float, every_s: float, freed: float, left: Sighting) -> float:
    """Seconds from a run's death until a look tells it."""
    at = first_look
    while not watched.is_dead(at, HELD if at < freed else left):
        at += every_s
    return at


@pytest.mark.parametrize("settings", [monitoring(file) for file in INSTANCES], ids=["one machine", "Celery"])
@pytest.mark.parametrize(
    ("freed", "left"),
    [(0.0, FREE), (unheard_of_s(), FREE), (0.0, NOBODY_YET)],
    ids=["killed", "its machine vanished", "killed before its first asset"],
)
@pytest.mark.parametrize("phase", [0.0, 0.01, 0.5, 0.99])
def test_a_dead_run_is_noticed_within_a_minute(
    watched: Watched, settings: dict[str, Any], freed: float, left: Sighting, phase: float
) -> None:
    """Also after a reboot: the first look may be that of a daemon that has just started."""
    every_s = settings["poll_interval_seconds"] + AWAKE_EVERY_S
    assert noticed_at(watched, phase * every_s, every_s, freed, left) < 60.0


def test_a_failed_look_begins_the_time_anew(watched: Watched) -> None:
    away = OutsideFailure("The database does not answer.")
    looks = [FREE] * 5 + [away] + [FREE] * 6
    assert not any(watched.is_dead(5.0 * n, found) for n, found in enumerate(looks))
    assert watched.is_dead(60.0, FREE)


def test_a_look_that_dagster_had_no_records_for_begins_the_time_anew(watched: Watched) -> None:
    assert not any(watched.is_dead(at, FREE) for at in (0.0, 5.0, 10.0, 15.0, 20.0, 35.0, 40.0))
    assert not any(watched.is_dead(at, FREE) for at in (45.0, 50.0, 55.0, 60.0))
    assert watched.is_dead(65.0, FREE)


@pytest.mark.parametrize("settings", [{"enabled": True, "poll_interval_seconds": 120}])
def test_an_instance_that_looks_rarely_notices_too(watched: Watched) -> None:
    assert not watched.is_dead(0.0, FREE)
    assert watched.is_dead(120.5, FREE)


@dg.op
def marked(context: dg.OpExecutionContext) -> bool:
    return (state_dir() / "runs" / context.run_id).exists()


@dg.job(executor_def=dg.ExecutorDefinition.hardcoded_executor(LivingExecutor()))
def lives() -> None:
    marked()


def test_a_run_is_marked_while_it_is_executed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    assert isinstance(defs.executor, LivingExecutor)
    with dg.execute_job(dg.reconstructable(lives), instance) as done:
        assert done.output_for_node("marked") is True
    assert not list((tmp_path / "runs").iterdir())


def test_a_run_that_was_killed_on_this_machine_is_noticed_at_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "is_gone_here", lambda run_id: run_id == RUN)
    assert watched.is_dead(0.0, FREE)


@pytest.mark.parametrize("key", [{}, {"dagster/partition": "2026-11-22"}])
def test_nothing_is_known_of_other_peoples_runs(
    watched: Watched, instance: dg.DagsterInstance, key: dict[str, str]
) -> None:
    watched.run = create_run_for_test(instance, job_name="another", tags=key)
    assert not any(watched.is_dead(at, FREE) for at in (0.0, 5.0, 100.0))


def test_without_a_database_to_ask_nobody_is_declared_dead(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    told = watched.launcher.check_run_worker_health(watched.run)
    assert told.status is WorkerStatus.RUNNING
    assert "nowhere" in str(told.msg)
