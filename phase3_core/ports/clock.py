"""Where time comes from."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time comes from here, never from the operating system directly."""

    def now(self) -> datetime:
        """The time in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds for measuring durations."""
        ...
