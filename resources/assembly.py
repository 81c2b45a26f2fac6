"""Adapters put together that live beside one another in the database of a run's books. Knows no Dagster:
commands that only look do without it.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from phase3_core.breaker import BreakerBook
from phase3_core.budget import Caps
from phase3_core.ledger import CallLedger
from phase3_core.ports.books import Books
from phase3_core.reconciliation import ReadingBook
from phase3_core.runs import Run
from resources.postgres.breakers import PostgresBreakers, WatchedBreakers
from resources.postgres.database import PostgresBooks, PostgresDatabase
from resources.postgres.ledger import ledger
from resources.postgres.rate_limits import SharedRateLimits, shared_rate_limits
from resources.postgres.readings import PostgresReadings
from resources.providers.source import LedgerOpener
from resources.relay import OutboxRelay, slack_terms, webhook_terms
from resources.settings import Settings


def outbox_relay(url: str, settings: Settings) -> OutboxRelay:
    return OutboxRelay(
        PostgresDatabase(url),
        slack_terms(settings.approval, os.environ),
        webhook_terms(settings.webhook, os.environ),
    )


def postgres_limits(books: Books, run: Run) -> AbstractAsyncContextManager[SharedRateLimits]:
    """The rate limits that all runs over one database share."""
    if not isinstance(books, PostgresBooks):
        raise TypeError("rate limits are shared in the database of the books")
    return shared_rate_limits(books.engine, run.campaign_id, books.outage)


def postgres_ledger(ttl_s: float, caps: Callable[[Caps], Caps] | None = None) -> LedgerOpener:
    """The ledger beside the books of the same database; answers are fresh for `ttl_s` seconds.

    `caps` that hold for a campaign, from its own; without it nothing is capped.
    """

    @asynccontextmanager
    async def opened(books: Books, run: Run) -> AsyncIterator[CallLedger]:
        if not isinstance(books, PostgresBooks):
            raise TypeError("the ledger lives in the database of the books")
        holding = caps(await books.budgets.own(run.campaign_id)) if caps else None
        async with ledger(books.engine, run, ttl_s, books.fence, books.outage, holding) as book:
            yield book

    return opened


def postgres_breakers(books: Books) -> BreakerBook:
    """Breakers shared by all runs on the database of the books."""
    if not isinstance(books, PostgresBooks):
        raise TypeError("breakers are shared in the database of the books")
    return PostgresBreakers(books.engine, books.outage)


def watched_breakers(books: Books) -> BreakerBook:
    """The same, for whoever asks nobody and may only read."""
    if not isinstance(books, PostgresBooks):
        raise TypeError("breakers are shared in the database of the books")
    return WatchedBreakers(books.engine, books.outage)


def postgres_readings(books: Books) -> ReadingBook:
    """Readings of balances in the database of the books."""
    if not isinstance(books, PostgresBooks):
        raise TypeError("readings are kept in the database of the books")
    return PostgresReadings(books.engine)
