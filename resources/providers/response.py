"""What came back from a vendor, and what its headers say about waiting."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from resources.providers.request import Request

_MOST_LEVELS = 64  # of lists and objects in one another; whoever writes JSON needs a stack for each
_LEAST_TOLD_S = 1.0
_EPOCH_FROM = 1_000_000_000  # a reset header above this is a time, below it seconds to wait


@dataclass(frozen=True)
class Response:
    """An answer as it came, and what it answers.

    `body` is None where the text is no JSON or nests absurdly; header names are lower-case.
    """

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    request: Request | None = None

    @cached_property
    def body(self) -> Any:
        try:
            body = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        brackets = self.text.count("[") + self.text.count("{")
        return None if brackets > _MOST_LEVELS and _levels(body) > _MOST_LEVELS else body


def _levels(value: Any) -> int:
    """How deep lists and objects nest, counted only as far as it matters."""
    level, depth = [value], 0
    while level and depth <= _MOST_LEVELS:
        holders = [item for item in level if isinstance(item, dict | list)]
        level = [child for one in holders for child in (one.values() if isinstance(one, dict) else one)]
        depth += bool(holders)
    return depth


def told_to_reset(response: Response) -> float | None:
    """Seconds until `X-RateLimit-Reset`: told in seconds, as an epoch or in ISO form, several by comma.

    A time is measured from the answer's own `Date`, so that only the vendor's clock counts.
    """
    value = response.headers.get("x-ratelimit-reset", "").partition(",")[0].strip()
    try:
        if not value.isdecimal():
            return _seconds_until(datetime.fromisoformat(value), response)
        number = int(value)
        at_a_time = number >= _EPOCH_FROM
        return _seconds_until(datetime.fromtimestamp(number, UTC), response) if at_a_time else float(number)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def told_to_pause(response: Response) -> float | None:
    """Seconds until the reset, where an answer's `X-RateLimit-Remaining` says that nothing is left.

    None for a second or less: it is told in whole ones, and to who goes at an even pace there is room before.
    """
    left = response.headers.get("x-ratelimit-remaining", "").partition(",")[0].strip()
    wait_s = told_to_reset(response) if left == "0" else None
    return wait_s if wait_s and wait_s > _LEAST_TOLD_S else None


def _seconds_until(at: datetime, response: Response) -> float:
    now = parsedate_to_datetime(response.headers.get("date", ""))
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


def told_to_wait(response: Response) -> float | None:
    """Seconds of `Retry-After`, told as a number or as a time, which is measured as that of a reset."""
    value = response.headers.get("retry-after", "").strip()
    try:
        return float(value) if value.isdecimal() else _seconds_until(parsedate_to_datetime(value), response)
    except (ValueError, TypeError, OverflowError):
        return None
