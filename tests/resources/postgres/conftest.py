from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from resources.postgres.database import PostgresBooks, PostgresDatabase, driver_url
from tests.resources.postgres.runs import Runs

Query = Callable[..., list[dict[str, Any]]]


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[PostgresBooks]:
    async with PostgresDatabase(database_url).reading() as opened:
        yield opened


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(driver_url(database_url), pool_size=40)
    yield engine
    await engine.dispose()


@pytest.fixture
async def runs(engine: AsyncEngine) -> AsyncIterator[Runs]:
    runs = Runs(engine)
    yield runs
    for book in runs.books:
        await book.close()
