"""Who runs when, by the word of Dagster's own queue under the configurations that are shipped."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from phase3_assets.launcher import LOCATION
from phase3_assets.workplace import DAGSTER_URL, STATE_DIR, project_root, with_schema

ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), "__repository__"), "phase3"
)
QUEUED, AT_WORK = dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTED


@pytest.fixture(params=[".", "deploy/celery"], ids=["one machine", "celery"])
def instance(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv(DAGSTER_URL, with_schema(database_url, "public"))
    monkeypatch.setenv(STATE_DIR, str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("PHASE3_CELERY_URL", "redis://nowhere.example:6379/0")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(project_root() / request.param))) as instance:
        yield instance


def ask_for(
    instance: dg.DagsterInstance, campaign: str, status: dg.DagsterRunStatus = QUEUED, **tags: str
) -> str:
    tags = {"dagster/partition": campaign, **{f"dagster/{name}": value for name, value in tags.items()}}
    run = dg.DagsterRun("phase3", status=status, tags=tags, remote_job_origin=ORIGIN)
    return instance.add_run(run).run_id


def next_to_start(instance: dg.DagsterInstance) -> list[str]:
    queue = QueuedRunCoordinatorDaemon(interval_seconds=1)
    taken = queue._get_runs_to_dequeue(instance, instance.get_concurrency_config(), None)
    return [run.run_id for run in taken]


def test_a_campaign_at_work_is_passed_over_and_the_others_come_in_their_order(
    instance: dg.DagsterInstance,
) -> None:
    ask_for(instance, "spring", AT_WORK)
    ask_for(instance, "spring")
    summer = ask_for(instance, "summer")
    ask_for(instance, "summer")
    autumn = ask_for(instance, "autumn")
    assert next_to_start(instance) == [summer, autumn]


def places_of(instance: dg.DagsterInstance) -> int:
    return instance.get_concurrency_config().run_queue_config.max_concurrent_runs  # type: ignore[union-attr] # both files have a queue


def test_places_go_to_whoever_waits_longest(instance: dg.DagsterInstance) -> None:
    places = places_of(instance)
    ask_for(instance, "at work", AT_WORK)
    waiting = [ask_for(instance, f"campaign {n}") for n in range(places + 3)]
    assert next_to_start(instance) == waiting[: places - 1]


def test_a_backfill_of_many_campaigns_leaves_a_place_for_others(instance: dg.DagsterInstance) -> None:
    places = places_of(instance)
    many = [ask_for(instance, f"campaign {n}", backfill="many") for n in range(50)]
    assert next_to_start(instance) == many[: places - 1]
    alone = ask_for(instance, "spring")
    ask_for(instance, "summer", backfill="few")
    assert next_to_start(instance) == [*many[: places - 1], alone]
    for n in range(places - 1):
        ask_for(instance, f"at work {n}", AT_WORK, backfill="many")
    assert next_to_start(instance) == [alone], "those under way count, too"


def test_a_run_of_higher_priority_comes_first(instance: dg.DagsterInstance) -> None:
    waiting = [ask_for(instance, f"campaign {n}") for n in range(50)]
    urgent = ask_for(instance, "spring", priority="1")
    assert next_to_start(instance) == [urgent, *waiting[: places_of(instance) - 1]]
