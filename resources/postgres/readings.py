"""Balances that vendors told, beside what the ledger held at that moment."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, insert, select, text, update
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

SINCE_ACCEPTED = text("""
WITH accepted AS (
    SELECT provider, account, max(taken_at) AS accepted_at FROM balance_readings
    WHERE provider = ANY(:providers) AND agreement = 'accepted' GROUP BY provider, account
)
SELECT provider, account, taken_at, credits, booked_usd, in_doubt_usd
FROM balance_readings LEFT JOIN accepted USING (provider, account)
WHERE provider = ANY(:providers) AND (accepted_at IS NULL OR taken_at >= accepted_at)
ORDER BY taken_at
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

    async def since_accepted(
        self, providers: Collection[str]
    ) -> Mapping[tuple[str, str], Sequence[BalanceReading]]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(SINCE_ACCEPTED, {"providers": list(providers)})
            readings: defaultdict[tuple[str, str], list[BalanceReading]] = defaultdict(list)
            for row in rows:
                readings[row.provider, row.account].append(_reading(row))
            return readings

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
