"""The one layer that repeats a call: after a failure that allows it, and after a wait."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

ATTEMPTS = 4
LONGEST_WAIT_S = 60.0

Result = TypeVar("Result")


class AskAgain(Exception):
    """This attempt gave no answer and another is allowed; `wait_s` where the vendor said how long."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


async def persistently(
    attempt: Callable[[], Awaitable[Result]], sleep: Callable[[float], Awaitable[None]]
) -> Result:
    """Raises the last AskAgain. Nearly every call answers at once, so the machinery is set up late."""
    try:
        return await attempt()
    except AskAgain as first:
        return await _again_and_again(first, attempt, sleep)


async def _again_and_again(
    first: AskAgain, attempt: Callable[[], Awaitable[Result]], sleep: Callable[[float], Awaitable[None]]
) -> Result:
    failed = [first]

    async def another() -> Result:
        if failed:
            raise failed.pop()
        return await attempt()

    attempts = AsyncRetrying(
        retry=retry_if_exception_type(AskAgain),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_wait,
        sleep=sleep,
        reraise=True,
    )
    return await attempts(another)


_BACKOFF = wait_random_exponential(multiplier=0.25, max=LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    """As long as the vendor said, else exponential backoff with full jitter."""
    failure = state.outcome.exception() if state.outcome else None
    told = failure.wait_s if isinstance(failure, AskAgain) else None
    return told if told is not None else _BACKOFF(state)
