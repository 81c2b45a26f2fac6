"""What docs/deploying.md says of connections, counted by the server while a campaign runs and is watched."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from rich.console import Console

from phase3_assets import following, progress
from phase3_assets.looking import look
from phase3_assets.workplace import project_root
from resources.postgres.database import driver_url
from sandbox.app import serve
from sandbox.options import Options
from tests.polling import until
from tests.stage.stage import everyone_is_needed, staged

Query = Callable[..., list[dict[str, Any]]]

OF_A_RUN, OF_A_WATCHER = 7, 1
OPEN = """
SELECT count(*) FILTER (WHERE application_name LIKE 'phase3:%'),
       count(*) FILTER (WHERE application_name = 'phase3')
FROM pg_stat_activity WHERE datname = current_database()
"""
WATCHING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'phase3'"
EVERY_S = 0.005


@asynccontextmanager
async def counted(url: str) -> AsyncIterator[list[tuple[int, int]]]:
    """Connections to this database of its run, and of whoever watches it, again and again."""
    counts: list[tuple[int, int]] = []
    address = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as line:

        async def count() -> None:
            while True:
                counts.append(await (await line.execute(OPEN)).fetchone() or (0, 0))
                await asyncio.sleep(EVERY_S)

        counting = asyncio.create_task(count())
        try:
            yield counts
        finally:
            counting.cancel()
            await asyncio.wait([counting])


def one_after_another(url: str, work: Callable[..., Any], gone: Callable[[], bool]) -> Any:
    """A look, and the time that the server takes to notice that it is over: less than lies between two."""
    result = look(url, work)
    asyncio.run(until(gone))
    return result


async def test_a_run_and_whoever_watches_it_have_no_more_connections_than_they_say(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", EVERY_S)
    calmly = partial(one_after_another, gone=lambda: not query(WATCHING))
    for module in (progress, following):
        monkeypatch.setattr(module, "look", calmly)
    screen = Console(file=StringIO(), force_terminal=True)
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        campaign = stage.play.campaign_id
        async with counted(database_url) as counts:
            with progress.shown_progress(database_url, campaign, screen):
                assert (await stage.perform()).why_not == ""
        async with counted(database_url) as again:
            with progress.watched(following.Follower(database_url, campaign, None)):
                assert (await stage.perform()).why_not == ""
    assert 3 < max(of_run for of_run, _ in counts) <= OF_A_RUN
    assert max(watching for _, watching in counts) == OF_A_WATCHER
    assert max(watching for _, watching in again) == OF_A_WATCHER
    page = (project_root() / "docs" / "deploying.md").read_text(encoding="utf-8")
    assert f"save | {OF_A_RUN} |" in page
    assert f"asks, and closes again | {OF_A_WATCHER} |" in page
