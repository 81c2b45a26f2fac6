"""A few queries from synchronous code, beside whatever run holds a campaign."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from resources.postgres.database import PostgresBooks, PostgresDatabase

Result = TypeVar("Result")


def look(url: str, work: Callable[[PostgresBooks], Awaitable[Result]]) -> Result:
    """Opens and closes its own connections."""

    async def looking() -> Result:
        async with PostgresDatabase(url, longest_outage_s=0).reading() as books:
            return await work(books)

    return asyncio.run(looking())
