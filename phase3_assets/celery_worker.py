"""What `celery -A phase3_assets.celery_worker worker` serves: the runs of the instance in $DAGSTER_HOME.

Broker, queue and all else come from its dagster.yaml, so that launcher and workers cannot differ.
A worker that is stopped waits for its tasks, so it tells them: they settle what is in flight and end, and
Dagster starts each again elsewhere.
"""

import os
import signal
from contextlib import suppress
from typing import Any

import dagster as dg
from celery import signals
from celery.worker.state import active_requests

from phase3_assets.celery_launcher import served
from phase3_assets.heeding import hear, hear_later

app = served(dg.DagsterInstance.get()).celery


def _before_a_run(**_: Any) -> None:
    hear_later()


def _after_a_run(**_: Any) -> None:
    hear()


def _tell_the_runs(**_: Any) -> None:
    for request in list(active_requests):
        with suppress(ProcessLookupError):
            os.kill(request.worker_pid, signal.SIGTERM)


signals.task_prerun.connect(_before_a_run)
signals.task_postrun.connect(_after_a_run)
signals.worker_shutting_down.connect(_tell_the_runs)
