"""Ledgers of runs that a test begins."""

from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.budget import Caps
from phase3_core.runs import Run
from phase3_core.statuses import Agent
from resources.postgres.ledger import PostgresLedger

WEEK_S = 7 * 86_400.0


class Runs:
    """One that is not closed has died without a word."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.books: list[PostgresLedger] = []

    def begin(self, campaign: UUID | None = None, caps: Caps | None = None) -> PostgresLedger:
        run = Run(uuid4().hex, campaign or uuid4(), Agent.EMAIL_VERIFICATION)
        self.books.append(PostgresLedger(run, WEEK_S, self.engine, caps=caps))
        return self.books[-1]
