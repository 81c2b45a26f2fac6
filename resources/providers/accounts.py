"""Empty accounts, asked for their balance until they hold enough for a call again.

After a minute, then ever more rarely, at most every ten minutes; at once when a run finds an account that
was empty. A vendor that tells no balance is tried by a call instead (see `health.py`): at once too, since
nobody else may have looked since it was topped up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from resources.providers.beats import beating

FIRST_AFTER_S = 60.0
AT_MOST_EVERY_S = 600.0
LOOK_EVERY_S = 1.0


class Emptiable(Protocol):
    @property
    def out_of_credits(self) -> bool: ...

    def refilled(self) -> None: ...

    def try_at_once(self) -> None: ...


@dataclass
class Account:
    """One vendor's. `enough`: credits for one call; `balance` tells credits left, None where it does not."""

    health: Emptiable
    enough: int
    balance: Callable[[], Awaitable[Decimal | None]]
    _asked: int = 0
    _ask_at: float | None = None

    async def begin(self, now: float) -> None:
        """What another run was told may be long ago."""
        if self.health.out_of_credits and await self.ask(now) is None:
            self.health.try_at_once()

    async def look(self, now: float) -> None:
        """The waits grow for the whole run: a vendor whose balance misleads is not asked for ever."""
        if not self.health.out_of_credits:
            self._ask_at = None
        elif self._ask_at is None:
            self._ask_at = now + self._wait_s
        elif now >= self._ask_at:
            await self.ask(now)

    async def ask(self, now: float) -> Decimal | None:
        self._asked += 1
        self._ask_at = now + self._wait_s
        left = await self.balance()
        if left is not None and left >= self.enough:
            self.health.refilled()
        return left

    @property
    def _wait_s(self) -> float:
        doubled: float = FIRST_AFTER_S * 2**self._asked
        return min(doubled, AT_MOST_EVERY_S)


@asynccontextmanager
async def watched(accounts: Sequence[Account], monotonic: Callable[[], float]) -> AsyncIterator[None]:
    """Those that are known to be empty are asked before anything is bought."""
    await asyncio.gather(*(account.begin(monotonic()) for account in accounts))

    async def look() -> None:
        await asyncio.gather(*(account.look(monotonic()) for account in accounts))

    async with beating(LOOK_EVERY_S, look):
        yield
