"""When a run heeds a signal: from the moment at which it can settle what it has begun.

Dagster takes a signal that comes while a run is being loaded for a crash, and starts it anew; a process of
Celery's ignores Ctrl-C and dies of SIGTERM. So a worker has signals wait until the run asks for them.
"""

import signal

import dagster as dg

SIGNALS = {signal.SIGINT, signal.SIGTERM}


def hear_later() -> None:
    """For the thread that is about to load a run."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def hear() -> None:
    """What came meanwhile comes now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def end_if_cancelled(instance: dg.DagsterInstance, run_id: str) -> None:
    """Raises DagsterExecutionInterruptedError where somebody cancelled the run before it began.

    By then its record may say STARTED again: Dagster writes that over the wish.
    """
    wished = instance.event_log_storage.get_logs_for_run(
        run_id, of_type=dg.DagsterEventType.RUN_CANCELING, limit=1
    )
    run = instance.get_run_by_id(run_id) if wished else None
    if run is None:
        return
    if run.status is dg.DagsterRunStatus.STARTED:
        instance.report_run_canceling(run)
    raise dg.DagsterExecutionInterruptedError
