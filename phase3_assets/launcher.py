"""Dagster's usual run launcher, which also notices that a run is dead.

Dagster's own has no health check, and Celery's believes the broker: after a reboot their runs stay STARTED
for ever and hold their place in the queue. A run of ours holds its campaign's lock for as long as it lives,
so a lock that is free tells, whatever machine it ran on.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, RunLauncher, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from phase3_assets.looking import look
from phase3_assets.workplace import DATABASE_URL
from phase3_core.errors import Phase3Error
from resources.postgres.lease import Standing

LOCATION = "phase3"
# A live run lets go of its campaign between two assets. Whoever takes it again raises the fence, so this is
# how long it may take from one asset to the next, and the longer one from a run's start to its first asset.
BETWEEN_ASSETS_S = 10.0
BEFORE_THE_FIRST_S = 40.0


@dataclass(frozen=True, slots=True)
class Absence:
    """Since when, on our clock, a run has not held its campaign, and the fence at that time."""

    since: float
    fence: int


class LeaseHealth(RunLauncher):
    """For any launcher, before it among the bases: a run is as alive as its hold on the campaign."""

    @cached_property
    def _absent(self) -> dict[str, Absence]:
        return {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Of other people's runs, and without a database to ask, nothing is known: they count as alive."""
        url, campaign_id = os.environ.get(DATABASE_URL), _campaign(run)
        if url is None or campaign_id is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            found = look(url, lambda books: books.standing(campaign_id))
        except Phase3Error as failure:
            return CheckRunHealthResult(WorkerStatus.RUNNING, str(failure))
        if self.seems_dead(run.run_id, found, time.monotonic()):
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process no longer holds its campaign")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def seems_dead(self, run_id: str, found: Standing | None, now: float) -> bool:
        """At the second look at the earliest: the lock was free all the time in between."""
        its_own = found is not None and found.run_id == run_id
        if found is not None and its_own and found.held:
            self._absent.pop(run_id, None)
            return False
        fence = found.fence if found else 0
        absence = self._absent.setdefault(run_id, Absence(now, fence))
        if absence.fence != fence:
            self._absent[run_id] = Absence(now, fence)
            return False
        return now - absence.since >= (BETWEEN_ASSETS_S if its_own else BEFORE_THE_FIRST_S)


class LeaseRunLauncher(LeaseHealth, DefaultRunLauncher):
    """One machine: runs are processes beside the code server."""


def _campaign(run: dg.DagsterRun) -> UUID | None:
    origin = run.remote_job_origin
    if origin is not None and origin.location_name != LOCATION:
        return None
    return _as_uuid(run.tags)


def _as_uuid(tags: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID(tags["dagster/partition"])
    except (KeyError, ValueError):
        return None
