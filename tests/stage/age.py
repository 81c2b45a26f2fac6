"""A ledger that has grown older: every time that matters to it lies further back."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from psycopg.errors import DeadlockDetected
from sqlalchemy import NullPool, create_engine, text
from tenacity import retry, retry_if_exception_cause_type

from resources.postgres import tables
from resources.postgres.columns import TIME
from resources.postgres.database import driver_url

DAY_S = 86_400
AGEING = (
    tables.provider_calls,
    tables.budgets,
    tables.breakers,
    tables.leads,
    tables.suppression_list,
    tables.rate_limits,
)
# In the order in which a share of a limit takes them.
NOBODY_WRITES = """
LOCK TABLE breakers, provider_calls, rate_limit_places, rate_limits IN EXCLUSIVE MODE
"""
# What breakers remember of single calls is out of their window by then.
FORGET = "UPDATE breakers SET calls = '[]', probes = '[]'"
# Who lives has said so again and again meanwhile.
UNSEEN = """
UPDATE rate_limit_places SET changed_at = changed_at - interval '{seconds:.6f} seconds',
    seen_at = CASE WHEN process = ANY (CAST(:living AS uuid[])) THEN seen_at
        ELSE seen_at - interval '{seconds:.6f} seconds' END
"""
# The day of a budget is in its name; that of today is made when it is needed.
ANOTHER_DAY = (
    "DELETE FROM budgets WHERE day IS NOT NULL",
    "UPDATE provider_calls SET day = day - {days}",
    "UPDATE rate_limits SET day = day - {days}",
)


@dataclass
class Age:
    """How much older a stage was made than it is."""

    seconds: float = 0.0
    days: int = 0

    def now(self) -> float:
        return time.time() + self.seconds

    def today(self) -> tuple[int, date]:
        return self.days, datetime.now(UTC).date()

    def add(self, seconds: float) -> None:
        self.seconds += seconds
        self.days += int(seconds // DAY_S)


@retry(retry=retry_if_exception_cause_type(DeadlockDetected))
def grow_old(url: str, seconds: float, age: Age, living: Collection[UUID] = ()) -> None:
    """By whole days, or within a day. Waits for the statements of others: not for their event loop.

    Whoever writes several leads takes them in another order, and may be the one who goes on first.

    `living`: campaigns that are being worked on.
    """
    with create_engine(driver_url(url), poolclass=NullPool).begin() as connection:
        for statement in (NOBODY_WRITES, *_ageing(seconds)):
            connection.execute(text(statement))
        connection.execute(text(UNSEEN.format(seconds=seconds)), {"living": list(living)})
        age.add(seconds)


def _ageing(seconds: float) -> Iterator[str]:
    for table in AGEING:
        times = [column.name for column in table.c if column.type is TIME]
        moved = ", ".join(f"{name} = {name} - interval '{seconds:.6f} seconds'" for name in times)
        yield f"UPDATE {table.name} SET {moved}"
    yield FORGET
    if seconds >= DAY_S:
        yield from (statement.format(days=int(seconds // DAY_S)) for statement in ANOTHER_DAY)
