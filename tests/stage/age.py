"""A ledger that has grown older: every time that matters to it lies further back."""

from collections.abc import Iterator

from sqlalchemy import NullPool, create_engine, text

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
)
NOBODY_WRITES = "LOCK TABLE breakers, provider_calls IN EXCLUSIVE MODE"
# What breakers remember of single calls is out of their window by then.
FORGET = "UPDATE breakers SET calls = '[]', probes = '[]'"
# The day of a budget is in its name; that of today is made when it is needed.
ANOTHER_DAY = (
    "DELETE FROM budgets WHERE day IS NOT NULL",
    "UPDATE provider_calls SET day = day - {days}",
)


def grow_old(url: str, seconds: int) -> None:
    """By whole days, or within a day. Waits for the statements of others: not for their event loop."""
    with create_engine(driver_url(url), poolclass=NullPool).begin() as connection:
        for statement in (NOBODY_WRITES, *_ageing(seconds)):
            connection.execute(text(statement))


def _ageing(seconds: int) -> Iterator[str]:
    for table in AGEING:
        times = [column.name for column in table.c if column.type is TIME]
        moved = ", ".join(f"{name} = {name} - interval '{seconds} seconds'" for name in times)
        yield f"UPDATE {table.name} SET {moved}"
    yield FORGET
    if seconds >= DAY_S:
        yield from (statement.format(days=seconds // DAY_S) for statement in ANOTHER_DAY)
