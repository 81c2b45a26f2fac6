"""Cancelled or told to end while it is being loaded, a run does no more than that."""

import signal
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.api import create_execution_plan, execute_run_iterator

from phase3_assets.executing import LivingExecutor
from phase3_assets.heeding import hear, hear_later


@dg.op
def buys() -> None: ...


@dg.job(executor_def=dg.ExecutorDefinition.hardcoded_executor(LivingExecutor()))
def shopping() -> None:
    buys()


def test_a_run_that_was_cancelled_before_it_began_buys_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though it has looked at its record for the last time, and writes STARTED over the wish."""
    monkeypatch.setenv("PHASE3_STATE_DIR", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(shopping, execution_plan=create_execution_plan(shopping))
        loaded = execute_run_iterator(dg.reconstructable(shopping), run, instance)
        instance.report_run_canceling(run)
        assert {event.event_type for event in loaded} >= {dg.DagsterEventType.RUN_START}
        assert [one.status for one in instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
        assert instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START) == []


def test_a_signal_waits_until_the_run_can_heed_it() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        hear_later()
        signal.raise_signal(signal.SIGTERM)
        assert heard == []
        hear()
        assert heard == [signal.SIGTERM]
    finally:
        hear()
        signal.signal(signal.SIGTERM, before)
