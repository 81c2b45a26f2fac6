"""The system's clock behind the port; everything else asks the port."""

from datetime import UTC, datetime
from time import monotonic


class SystemClock:
    """Implements `Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return monotonic()
