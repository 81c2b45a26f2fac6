"""Dagster's usual run launcher, which also notices that a run is dead.

Dagster's own has no health check, and Celery's believes the broker: after a reboot their runs stay STARTED
for ever and hold their place in the queue. A run of ours holds its campaign's lock for as long as it lives,
so a lock that stays free tells, whatever machine it ran on. Of one that was killed on this machine its mark
tells at once.
"""

import os
from collections.abc import Callable
from functools import cached_property, lru_cache
from time import monotonic
from uuid import UUID

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, RunLauncher, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from phase3_assets.living import is_gone_here, unmark
from phase3_assets.looking import look
from phase3_assets.partitions import campaign_of
from phase3_assets.workplace import DATABASE_URL
from phase3_core.errors import Phase3Error
from resources.postgres.signs_of_life import SignsOfLife

LOCATION = "phase3"
LATE_S = 5.0  # Dagster looks at no run while its records are away: a look so late has missed one
REMEMBERED = 1_000  # runs; those at work are few


class LeaseHealth(RunLauncher):
    """For any launcher, before it among the bases: a run is as alive as its hold on the campaign."""

    @cached_property
    def _signs_of(self) -> Callable[[str], SignsOfLife]:
        longest_gap_s = self._instance.run_monitoring_poll_interval_seconds + LATE_S
        return lru_cache(REMEMBERED)(lambda _run_id: SignsOfLife(longest_gap_s=longest_gap_s))

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Of other people's runs, and without a database to ask, nothing is known: they count as alive."""
        url, campaign_id = os.environ.get(DATABASE_URL), _campaign(run)
        if url is None or campaign_id is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        signs = self._signs_of(run.run_id)
        try:
            signs.seen(look(url, lambda books: books.sighting(campaign_id)), monotonic())
        except Phase3Error as failure:
            signs.look_failed()
            return CheckRunHealthResult(WorkerStatus.RUNNING, str(failure))
        if is_gone_here(run.run_id) or signs.is_dead(run.run_id):
            unmark(run.run_id)
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process no longer holds its campaign")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


class LeaseRunLauncher(LeaseHealth, DefaultRunLauncher):
    """One machine: runs are processes beside the code server."""


def _campaign(run: dg.DagsterRun) -> UUID | None:
    origin = run.remote_job_origin
    if origin is not None and origin.location_name != LOCATION:
        return None
    return campaign_of(run)
