"""How a fetch ended."""

from dataclasses import dataclass
from enum import StrEnum, auto

from resources.web.facts import PageFacts


class Outcome(StrEnum):
    """How a fetch ended; `FetchOutcome` knows what that means for a retry."""

    OK = auto()
    EMPTY = auto()
    BLOCKED_ADDRESS = auto()
    BLOCKED_HOST = auto()
    BLOCKED_REDIRECT = auto()
    DNS_FAILURE = auto()
    TIMEOUT = auto()
    CONNECT_ERROR = auto()
    SERVER_ERROR = auto()
    BOT_WALL = auto()
    TOO_LARGE = auto()
    WRONG_TYPE = auto()
    TLS_ERROR = auto()
    ROBOTS_REFUSED = auto()
    NOT_FOUND = auto()


_TRANSIENT = frozenset({Outcome.TIMEOUT, Outcome.CONNECT_ERROR, Outcome.SERVER_ERROR})
BLOCKED = frozenset({Outcome.BLOCKED_ADDRESS, Outcome.BLOCKED_HOST, Outcome.BLOCKED_REDIRECT})
# Nobody answered under this address, so the next one deserves a try. From least to most telling.
NOBODY_THERE = (Outcome.DNS_FAILURE, Outcome.CONNECT_ERROR, Outcome.TIMEOUT, Outcome.TLS_ERROR)


@dataclass(frozen=True, slots=True)
class FetchOutcome:
    """What is known after a fetch; `request_sent` is False only when provably nothing was asked."""

    outcome: Outcome
    domain: str
    url: str | None = None
    status: int | None = None
    address: str | None = None
    raw_bytes: int = 0
    facts: PageFacts | None = None
    request_sent: bool = False
    retry_after_s: float | None = None
    detail: str = ""

    @property
    def is_transient(self) -> bool:
        """Worth exactly one retry."""
        return self.outcome in _TRANSIENT

    @property
    def flags_lead(self) -> bool:
        """The name leads where no company's site can be: look at the lead, never retry."""
        return self.outcome in BLOCKED
