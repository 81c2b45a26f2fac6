"""The composition root: what Dagster loads, also with an empty environment: a run reads keys."""

import dagster as dg

from phase3_assets.approval import approval
from phase3_assets.balances import balances, balances_daily
from phase3_assets.campaign_leads import campaign_leads
from phase3_assets.checks import CHECKS
from phase3_assets.compensating import cancelled_runs, failed_runs, open_compensations
from phase3_assets.estimates import estimates
from phase3_assets.executing import LivingExecutor
from phase3_assets.gate_sensors import approval_reminders, decisions, outbox, re_enrichment
from phase3_assets.jobs import ASSETS, phase2_completion, phase3, waiting_leads
from phase3_assets.pruning import retention, retention_nightly
from resources.configurable import (
    EstimatesResource,
    ExportsResource,
    PolicyResource,
    PostgresResource,
    RelayResource,
    VendorsResource,
)

STARTING = (phase2_completion, waiting_leads, re_enrichment)
TELLING = (estimates, approval_reminders, outbox, decisions)
TAKING_BACK = (failed_runs, cancelled_runs, open_compensations)

defs = dg.Definitions(
    assets=[campaign_leads, *ASSETS, approval],
    asset_checks=CHECKS,
    jobs=[phase3, retention, balances],
    schedules=[retention_nightly, balances_daily],
    sensors=[*STARTING, *TELLING, *TAKING_BACK],
    resources={
        "database": PostgresResource(),
        "providers": VendorsResource(),
        "policy": PolicyResource(),
        "foresight": EstimatesResource(),
        "exporter": ExportsResource(),
        "relay": RelayResource(),
    },
    # Also for materializations from the UI and for backfills: a killed multiprocess run leaves its step
    # running, and the lease of a campaign is held by the process that works.
    executor=LivingExecutor(),
)
