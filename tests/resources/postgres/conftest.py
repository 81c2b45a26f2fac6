from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

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
def book_call(query: Query) -> Callable[..., None]:
    """A call in the ledger, as if it had been made."""

    def book(campaign_id: UUID, lead_id: UUID | None = None, **columns: Any) -> None:
        usual = {
            "key": uuid4().bytes,
            "provider": "tomba",
            "operation": "find",
            "request": "{}",
            "state": "settled",
            "outcome": "hit",
            "agent": "email_verification",
            "campaign_id": campaign_id,
            "lead_id": lead_id,
            "day": datetime.now(UTC).date(),
        }
        row = {**usual, **columns}
        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        query(f"INSERT INTO provider_calls ({names}) VALUES ({values})", **row)

    return book


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
