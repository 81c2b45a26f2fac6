"""What docs/deploying.md says of connections, counted by the server while a campaign runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg

from phase3_assets.workplace import project_root
from resources.postgres.database import driver_url
from sandbox.app import serve
from sandbox.options import Options
from tests.stage.stage import everyone_is_needed, staged

OF_A_RUN = 7
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
EVERY_S = 0.005


@asynccontextmanager
async def counted(url: str) -> AsyncIterator[list[int]]:
    """The connections of everybody else to this database, again and again."""
    counts: list[int] = []
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as line:

        async def count() -> None:
            while True:
                row = await (await line.execute(OPEN)).fetchone()
                counts.append(row[0] if row else 0)
                await asyncio.sleep(EVERY_S)

        counting = asyncio.create_task(count())
        try:
            yield counts
        finally:
            counting.cancel()
            await asyncio.wait([counting])


async def test_a_run_has_no_more_connections_than_it_says(database_url: str, tmp_path: Path) -> None:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox, counted(database_url) as counts:
        people = everyone_is_needed(sandbox.parts.world.people)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        assert (await stage.perform()).why_not == ""
    assert 3 < max(counts) <= OF_A_RUN
    page = (project_root() / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert f"save | {OF_A_RUN} |" in page
