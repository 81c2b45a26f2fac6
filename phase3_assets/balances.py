"""The schedule that holds vendors' balances against the ledger every day, also while no campaign runs."""

import asyncio

import dagster as dg

from phase3_assets.failures import told_to_dagster
from phase3_assets.reconciling import Accounts, Wish, reconciled
from phase3_core.ports.books import Database
from phase3_core.ports.providers import ProviderSource
from resources.providers.source import VendorSource

EVERY_MORNING = "50 4 * * *"  # UTC


@dg.op
def read_balances(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[Database],
    providers: dg.ResourceParam[ProviderSource],
) -> None:
    """A case that is new goes to the audit log; `phase3 status` tells it until a person accepts it."""
    if not isinstance(providers, VendorSource):
        raise TypeError("only vendors have accounts")
    with told_to_dagster():
        accounts = asyncio.run(reconciled(database, providers, Wish()))
    for case in accounts.cases:
        context.log.warning(case.told)
    context.log.info(in_a_sentence(accounts))


def in_a_sentence(accounts: Accounts) -> str:
    read = ", ".join(one.provider for one in accounts.told) or "none"
    return f"Balances read: {read}. Accounts that tell none: {', '.join(accounts.untold) or 'none'}."


@dg.job(description="Holds every vendor's balance against the ledger.")
def balances() -> None:
    read_balances()


balances_daily = dg.ScheduleDefinition(
    name="balances_daily",
    job=balances,
    cron_schedule=EVERY_MORNING,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
