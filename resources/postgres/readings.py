"""Balances that vendors told, beside what the ledger held at that moment."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.reconciliation import Agreement, BalanceReading, Booked, Drift, Reconciled
from resources.postgres.tables import balance_readings

BOOKED = text("""
SELECT provider, sum(settled) AS settled, sum(in_doubt) AS in_doubt
FROM (
    SELECT provider, cost_usd AS settled, unknown_usd AS in_doubt FROM provider_spend
    UNION ALL
    SELECT provider, 0, reserved_usd FROM provider_calls WHERE state = 'intent'
) AS amounts
GROUP BY provider
""")

_TABLE = balance_readings.c


class PostgresReadings:
    """Implements `ReadingBook`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def booked(self) -> Mapping[str, Booked]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(BOOKED)
            return {row.provider: Booked(row.settled, row.in_doubt) for row in rows}

    async def since_accepted(self, provider: str, account: str) -> list[BalanceReading]:
        mine = (_TABLE.provider == provider, _TABLE.account == account)
        accepted = select(func.max(_TABLE.taken_at)).where(*mine, _TABLE.agreement == Agreement.ACCEPTED)
        since = _TABLE.taken_at >= func.coalesce(accepted.scalar_subquery(), text("'-infinity'"))
        readings = select(balance_readings).where(*mine, since).order_by(_TABLE.taken_at)
        async with self._engine.connect() as connection:
            return [_reading(row) for row in await connection.execute(readings)]

    async def newest(self) -> list[Reconciled]:
        account = (_TABLE.provider, _TABLE.account)
        newest = select(balance_readings).distinct(*account).order_by(*account, _TABLE.taken_at.desc())
        async with self._engine.connect() as connection:
            return [_reconciled(row) for row in await connection.execute(newest)]

    async def add(self, reconciled: Sequence[Reconciled]) -> None:
        if reconciled:
            async with self._engine.begin() as connection:
                await connection.execute(insert(balance_readings), [_row(one) for one in reconciled])

    async def accept(self, provider: str) -> int:
        newest = [one for one in await self.newest() if one.provider == provider]
        async with self._engine.begin() as connection:
            for one in newest:
                mine = (_TABLE.provider == provider, _TABLE.account == one.account)
                this = update(balance_readings).where(*mine, _TABLE.taken_at == one.reading.taken_at)
                await connection.execute(this.values(agreement=Agreement.ACCEPTED.value))
        return len(newest)


def _row(one: Reconciled) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "account": one.account,
        "taken_at": one.reading.taken_at,
        "credits": one.reading.credits,
        "booked_usd": one.reading.booked.settled,
        "in_doubt_usd": one.reading.booked.in_doubt,
        "price_usd": one.drift.price,
        "since": one.drift.since,
        "span_taken_usd": one.drift.taken,
        "span_booked_usd": one.drift.booked,
        "drift_usd": one.drift.unexplained,
        "agreement": one.agreement.value,
    }


def _reading(row: Row[Any]) -> BalanceReading:
    return BalanceReading(row.taken_at, row.credits, Booked(row.booked_usd, row.in_doubt_usd))


def _reconciled(row: Row[Any]) -> Reconciled:
    drift = Drift(row.price_usd, row.since, row.span_taken_usd, row.span_booked_usd, row.drift_usd)
    return Reconciled(row.provider, row.account, _reading(row), drift, Agreement(row.agreement))
