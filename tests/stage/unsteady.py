"""A PostgreSQL of one's own that keeps going away: stopped, or crashed, and started again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

from resources.postgres.embedded.programs import programs_for
from resources.postgres.embedded.server import EmbeddedPostgres

MODES = ("immediate", "fast")  # `immediate` is a crash: no session is told, and the log is recovered from


@dataclass
class Unsteady:
    """`steady`: waits for its next outage; `away_s`: seconds that each lasts."""

    server: EmbeddedPostgres
    steady: Callable[[], Awaitable[None]]
    away_s: float = 0.2
    outages: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def restarting(self) -> AsyncIterator[None]:
        """For as long as the block lasts; then it is up."""
        restarting = asyncio.create_task(self._again_and_again())
        try:
            yield
        finally:
            restarting.cancel()
            with suppress(asyncio.CancelledError):
                await restarting

    async def _again_and_again(self) -> None:
        for mode in cycle(MODES):
            await self.steady()
            outage = asyncio.ensure_future(asyncio.to_thread(self._go_away, mode))
            try:
                await asyncio.shield(outage)
            finally:
                await outage

    def _go_away(self, mode: str) -> None:
        with gone(self.server, mode):
            time.sleep(self.away_s)
        self.outages.append(mode)


@contextmanager
def gone(server: EmbeddedPostgres, mode: str) -> Iterator[None]:
    """For as long as the block lasts."""
    cluster = server._cluster
    pg_ctl = programs_for(cluster.home) / "pg_ctl"
    cluster.home.account.run(pg_ctl, "stop", "-D", cluster.data, "-W", "-m", mode)
    assert cluster.has_ended()
    try:
        yield
    finally:
        cluster.launch(durable=True)
