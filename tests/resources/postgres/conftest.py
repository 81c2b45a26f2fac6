from collections.abc import AsyncIterator

import pytest

from resources.postgres.database import PostgresBooks, PostgresDatabase


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[PostgresBooks]:
    async with PostgresDatabase(database_url).reading() as opened:
        yield opened
