"""A connection for statements that are each their own commit."""

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from resources.postgres.outage import Outage, is_away


class Line:
    """A connection on which every statement is its own commit; a broken one is replaced."""

    def __init__(self, engine: AsyncEngine, outage: Outage) -> None:
        self._engine = engine
        self._outage = outage
        self._pooled: AsyncConnection | None = None
        self._driver: psycopg.AsyncConnection[Any] | None = None
        self._free = asyncio.Lock()

    async def rows(
        self, statement: str, values: Mapping[str, Any], factory: Any = tuple_row, *, told_by: str = ""
    ) -> list[Any]:
        """Repeated while the database is away; then `told_by`, if given, tells what all tries granted.

        What the last one refused it tells itself: a row with a reason behind its key.
        """

        async def again() -> list[Any]:
            rows = await self._rows(statement, values, factory)
            if not told_by:
                return rows
            return [*await self._rows(told_by, values, factory), *(row for row in rows if any(row[1:]))]

        async with self._free:
            return await self._outage.outlast(lambda: self._rows(statement, values, factory), again)

    async def _rows(self, statement: str, values: Mapping[str, Any], factory: Any) -> list[Any]:
        """The driver's own cursor: building rows and parameters is most of what a call costs here.

        A lost connection looks as everywhere else; the statement and its values are nobody's business.
        """
        try:
            driver = await self._connected()
            async with driver.cursor(row_factory=factory, binary=True) as cursor:
                await cursor.execute(statement.encode(), values)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, DBAPIError) as failure:
            if not is_away(failure):
                raise
            await self._drop()
            raise OperationalError("the call ledger", None, failure) from failure

    async def _connected(self) -> psycopg.AsyncConnection[Any]:
        if self._driver is None or self._driver.closed:
            await self.close()
            self._pooled = await self._engine.connect()
            await self._pooled.execution_options(isolation_level="AUTOCOMMIT")
            self._driver = (await self._pooled.get_raw_connection()).driver_connection
        if self._driver is None:
            raise AssertionError("the pool gave an empty connection")
        return self._driver

    async def _drop(self) -> None:
        """Whatever became of it, it is not used again."""
        pooled, self._pooled, self._driver = self._pooled, None, None
        if pooled is not None:
            await pooled.invalidate()
            await pooled.close()

    async def close(self) -> None:
        if self._driver is None or self._driver.closed:
            await self._drop()
        elif self._pooled is not None:
            await self._pooled.close()
            self._pooled = self._driver = None


def is_refusal(failure: Exception) -> bool:
    """The server said no to this statement, so nothing of it is written; a lost connection says nothing."""
    if isinstance(failure, psycopg.Error) and failure.sqlstate:
        return not is_away(failure)
    return isinstance(failure, psycopg.DataError | UnicodeError)
