"""Many machines: whole runs as Celery tasks, watched by their hold on the campaign.

Celery's own health check believes the broker, which never hears of a worker that was killed.
"""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task

from phase3_assets.launcher import LeaseHealth
from phase3_core.errors import BadInput


class LeaseCeleryRunLauncher(LeaseHealth, CeleryRunLauncher):
    """Takes the config of `CeleryRunLauncher`, which the workers read too."""

    def terminate(self, run_id: str) -> bool:
        """As Ctrl-C does: what is in flight is settled, and the run ends CANCELED.

        One whose task has no name yet, or is not taken yet, reads the wish when it begins.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if task := self._task_of(run_id):
            self.celery.control.revoke(task, terminate=True, signal="SIGINT")
        return True

    def _task_of(self, run_id: str) -> str | None:
        """Read after the wish is written, so that a run that begins meanwhile misses one of both at most."""
        run = self._instance.get_run_by_id(run_id)
        return run.tags.get(DAGSTER_CELERY_TASK_ID_TAG) if run else None


def served(instance: dg.DagsterInstance) -> LeaseCeleryRunLauncher:
    """Its Celery app takes the launcher's runs; raises BadInput where runs are launched otherwise."""
    launcher = instance.run_launcher
    if not isinstance(launcher, LeaseCeleryRunLauncher):
        raise BadInput("This instance launches no runs by Celery: see deploy/celery/dagster.yaml.")
    create_execute_job_task(launcher.celery)
    launcher.celery.select_queues([launcher.default_queue])  # Dagster's app takes from `dagster` alone
    return launcher
