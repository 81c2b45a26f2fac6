from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from resources.postgres.database import PostgresBooks, PostgresDatabase

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
