"""What `celery -A phase3_assets.celery_worker worker` serves: the runs of the instance in $DAGSTER_HOME.

Broker, queue and all else come from its dagster.yaml, so that launcher and workers cannot differ.
"""

import dagster as dg

from phase3_assets.celery_launcher import served

app = served(dg.DagsterInstance.get()).celery
