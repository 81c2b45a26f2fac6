"""The one place that knows that the database is away, and how long that may last.

A connection that breaks leaves open whether its statement was written. So what goes through here is safe
to repeat, and it is repeated until the database answers. Meanwhile whoever asked waits, so that nothing
new is begun and no more is kept in memory than was on its way.
"""

import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from time import monotonic
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import psycopg
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from tenacity import AsyncRetrying, RetryError, retry_if_exception, stop_after_delay
from tenacity.wait import wait_random_exponential

from phase3_core.errors import OutsideFailure

Result = TypeVar("Result")
Params = ParamSpec("Params")

LONGEST_S = 300.0
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
# Connection lost, shutting down or starting up, no room on its disk, in its memory or for one more of us, a
# standby not promoted yet. Room is made while answers that were paid for wait to be written down.
AWAY = ("08", "57P", "53100", "53200", "53300", "25006")

_log = logging.getLogger(__name__)


def _cause(failure: BaseException | None) -> BaseException | None:
    """What the driver raised."""
    while isinstance(failure, DBAPIError):
        failure = failure.orig
    return failure


def is_away(failure: BaseException) -> bool:
    """Whether the database may be back soon; nobody knows whether the statement was written."""
    if isinstance(failure, NoFreeConnection):
        return True
    cause = _cause(failure)
    if not isinstance(cause, psycopg.Error):
        return False
    lost = isinstance(cause, psycopg.OperationalError) and not cause.sqlstate
    return lost or (cause.sqlstate or "").startswith(AWAY)


@dataclass
class Outage:
    """`longest_s`: seconds for which a statement is repeated; 0: not at all, and the failure is raised."""

    longest_s: float = LONGEST_S
    first_pause_s: float = FIRST_PAUSE_S
    monotonic: Callable[[], float] = monotonic
    waiting: int = 0  # statements, now
    last_seen: float = -math.inf
    given_up: str = ""  # in words, once it has been away for too long

    async def outlast(
        self,
        work: Callable[[], Awaitable[Result]],
        again: Callable[[], Awaitable[Result]] | None = None,
    ) -> Result:
        """The result of `work`; once that may have been written, of `again`, if there is one.

        Raises OutsideFailure when the database has been away for too long. From then on the run is ending,
        and everything is tried once: what fails on the way out hides nothing, for it says the same.
        """
        try:
            return await self._tried(work)
        except (psycopg.Error, DBAPIError, NoFreeConnection) as failure:
            if not self.longest_s or not is_away(failure):
                raise
            if self.given_up:
                raise OutsideFailure(self.given_up) from failure
            with self._told(failure):
                return await self._repeated(again or work)

    async def _tried(self, work: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await _unentangled(work)
        except (psycopg.Error, DBAPIError) as failure:
            if is_away(failure):
                self.last_seen = self.monotonic()
            raise

    async def _repeated(self, work: Callable[[], Awaitable[Result]]) -> Result:
        async def attempt() -> Result:
            return await self._tried(work)

        attempts = AsyncRetrying(
            retry=retry_if_exception(is_away),
            wait=wait_random_exponential(multiplier=self.first_pause_s, max=LONGEST_PAUSE_S),
            stop=stop_after_delay(self.longest_s),
        )
        try:
            return await attempts(attempt)
        except RetryError as last:
            why = _why(last.last_attempt.exception())
            self.given_up = (
                f"The database has been away for {self.longest_s:.0f} s ({why}). "
                "Check the server and run again: the run goes on where it stopped."
            )
            raise OutsideFailure(self.given_up) from last

    @contextmanager
    def _told(self, failure: Exception) -> Iterator[None]:
        """Once, however many wait."""
        if not self.waiting:
            _log.warning("The database is away: %s. No call is made until it is back.", _why(failure))
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


async def _unentangled(work: Callable[[], Awaitable[Result]]) -> Result:
    """Whom the server picks to end a deadlock has written nothing, and the other one goes on: once more."""
    while True:
        try:
            return await work()
        except (psycopg.Error, DBAPIError) as failure:
            if not isinstance(_cause(failure), DeadlockDetected):
                raise


def _why(failure: BaseException | None) -> str:
    """What the driver said, without statement and values."""
    return str(_cause(failure)).strip().partition("\n")[0]


class Outlasting(Protocol):
    """A repository that goes on when the database is back."""

    @property
    def outage(self) -> Outage: ...


Owner = TypeVar("Owner", bound=Outlasting)


def repeatable(
    method: Callable[Concatenate[Owner, Params], Awaitable[Result]],
) -> Callable[Concatenate[Owner, Params], Coroutine[Any, Any, Result]]:
    """For a method that reads, or that leaves the same behind however often it is done."""

    @wraps(method)
    async def outlasting(owner: Owner, /, *args: Params.args, **named: Params.kwargs) -> Result:
        return await owner.outage.outlast(lambda: method(owner, *args, **named))

    return outlasting
