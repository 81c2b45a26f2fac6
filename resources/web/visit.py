"""One visit to a site: where it goes, what it was told, and how it stops."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from resources.web.addresses import Host
from resources.web.facts import PageFacts
from resources.web.outcome import FetchOutcome, Outcome

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    scheme: str
    host: Host
    path: str = "/"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host.name}"

    @property
    def url(self) -> URL:
        return URL(f"{self.origin}{self.path}")

    @property
    def port(self) -> int:
        return 443 if self.scheme == "https" else 80


@dataclass(frozen=True, slots=True)
class Answer:
    target: Target
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    complete: bool = True


class StoppedError(Exception):
    """The fetch, or this attempt at it, is over; nobody outside the fetch sees it."""

    def __init__(self, outcome: Outcome, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Visit:
    """The state of one fetch. Names are resolved at most once in it, so no answer can change midway."""

    host: Host
    left_s: float
    addresses: dict[str, tuple[str, ...] | StoppedError] = field(default_factory=dict)
    url: str | None = None
    status: int | None = None
    address: str | None = None
    raw_bytes: int = 0
    request_sent: bool = False

    def ended(
        self,
        outcome: Outcome,
        detail: str = "",
        *,
        facts: PageFacts | None = None,
        retry_after_s: float | None = None,
    ) -> FetchOutcome:
        _log.info(
            "web fetch: %s %s address=%s status=%s bytes=%d",
            self.host.name,
            outcome,
            self.address,
            self.status,
            self.raw_bytes,
        )
        return FetchOutcome(
            outcome,
            self.host.name,
            self.url,
            self.status,
            self.address,
            self.raw_bytes,
            facts,
            self.request_sent,
            retry_after_s,
            detail,
        )
