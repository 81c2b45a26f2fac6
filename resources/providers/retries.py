"""The one layer that repeats a call: after a failure that allows it, after a wait, within a budget."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

ATTEMPTS = 3
LONGEST_WAIT_S = 60.0
RETRY_COSTS = 10  # of what one answered call earns
MOST_RETRIES_SAVED = 10

Result = TypeVar("Result")


class AskAgain(Exception):
    """This attempt gave no answer and another is allowed; `wait_s` where the vendor said how long.

    `by`: the failure itself, one however many calls it ends; `counted` where the breaker knows of it.
    """

    def __init__(self, why: str, by: object, wait_s: float | None = None, *, counted: bool = False) -> None:
        super().__init__(why)
        self.by = by
        self.wait_s = wait_s
        self.counted = counted


@dataclass
class RetryBudget:
    """One provider's: retries are a tenth of what was answered, and ten more to begin with.

    So a hiccup is repeated away and an outage is not multiplied. A task's failure is one, and so is its
    repetition.
    """

    saved: int = MOST_RETRIES_SAVED * RETRY_COSTS
    _paid_for: object = field(default=None, repr=False)

    def earn(self) -> None:
        if self.saved < MOST_RETRIES_SAVED * RETRY_COSTS:
            self.saved += 1

    def spend(self, failure: object) -> bool:
        """Whether that failure may be followed by a retry; if so, it is paid for."""
        if failure is self._paid_for:
            return True
        if self.saved < RETRY_COSTS:
            return False
        self.saved -= RETRY_COSTS
        self._paid_for = failure
        return True


async def persistently(
    attempt: Callable[[], Awaitable[Result]],
    sleep: Callable[[float], Awaitable[None]],
    budget: RetryBudget,
) -> Result:
    """Raises the last AskAgain. Nearly every call answers at once, so the machinery is set up late."""
    try:
        return await attempt()
    except AskAgain as first:
        return await _again_and_again(first, attempt, sleep, budget)


async def _again_and_again(
    first: AskAgain,
    attempt: Callable[[], Awaitable[Result]],
    sleep: Callable[[float], Awaitable[None]],
    budget: RetryBudget,
) -> Result:
    failed = [first]

    async def another() -> Result:
        if failed:
            raise failed.pop()
        return await attempt()

    enough = stop_after_attempt(ATTEMPTS)
    attempts = AsyncRetrying(
        retry=retry_if_exception_type(AskAgain),
        stop=lambda state: enough(state) or not budget.spend(_failure(state).by),
        wait=_wait,
        sleep=sleep,
        reraise=True,
    )
    return await attempts(another)


_BACKOFF = wait_random_exponential(multiplier=0.25, max=LONGEST_WAIT_S)


def _wait(state: RetryCallState) -> float:
    """As long as the vendor said, else exponential backoff with full jitter."""
    told = _failure(state).wait_s
    return told if told is not None else _BACKOFF(state)


def _failure(state: RetryCallState) -> AskAgain:
    failure = state.outcome.exception() if state.outcome else None
    if not isinstance(failure, AskAgain):
        raise TypeError("only after AskAgain is anything asked again")
    return failure
