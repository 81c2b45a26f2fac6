"""The call ledger as a port: intent before a request, outcome after, and the only way to a provider.

A question is known by its digest; a key is the digest and the freshness epoch, so that a planned refresh
is a new call and a retry is the same one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from phase3_core.calls import ReplayClass
from phase3_core.leads import Rank
from phase3_core.money import ZERO, Money
from phase3_core.tiers import Tier

DIGEST_BYTES = 20
EPOCH_BYTES = 4
FIRST_EPOCH, LAST_EPOCH = 0, 256**EPOCH_BYTES - 1

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest(provider: str, operation: str, request: Mapping[str, Any]) -> bytes:
    """The same question in any run or campaign has the same digest. `request` holds no secret."""
    encoded = _CANONICAL.encode([provider, operation, request]).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(encoded, digest_size=DIGEST_BYTES).digest()


def question_of(call: bytes) -> bytes:
    return call[:DIGEST_BYTES]


def key(question: bytes, epoch: int) -> bytes:
    """Epochs sort behind their question, so one index finds the newest."""
    return question + epoch.to_bytes(EPOCH_BYTES, "big")


@dataclass(frozen=True, slots=True)
class Intent:
    """A call about to be made. `reserved` USD at worst; `deadline_s` after which silence means lost.

    `keeps` USD must stay free beside it: what it would take to verify the address that it may find.
    `subjects`: whom it is about, in the words of the suppression list (see `suppression.py`). `rank`: that of
    its lead, among calls that wait.
    """

    question: bytes
    provider: str
    operation: str
    request: Mapping[str, Any]
    reserved: Money
    lead_id: UUID | None
    deadline_s: float
    replay: ReplayClass
    replay_window: timedelta | None = None
    tier: Tier | None = None
    keeps: Money = ZERO
    subjects: tuple[str, ...] = ()
    rank: Rank = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer was bought before and is fresh. `booked` USD that the lead who asks has paid for it."""

    key: bytes
    http_status: int
    response: Any
    settled_at: datetime
    booked: Money = ZERO


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may leave now. With a `job_id` it was submitted before: only its result is to be read.

    `booked` USD that earlier attempts have cost the lead who asks. `reserved`: what such a submission was
    to cost at worst, USD, whatever one costs by now.
    """

    key: bytes
    job_id: str | None = None
    booked: Money = ZERO
    reserved: Money | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """An earlier attempt was lost and may have been billed; its replay class forbids another in its epoch.

    `booked` USD at worst, where it was the lead's who asks.
    """

    key: bytes
    booked: Money = ZERO


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another campaign's run is asking this very question now; its answer will serve both."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The vendor works on it, or has done so: to read that costs nothing more, whatever forbids to ask."""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The budget `scope` has no room for the call's worst price.

    Not `for_good`: reservations in flight fill it, and many of them come back; ask again a little later.
    """

    scope: str
    for_good: bool


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One of the call's subjects is on the suppression list: nobody may be asked about it."""


Opened = Stored | Granted | Withheld | Elsewhere | OverBudget | Suppressed


@dataclass(frozen=True, slots=True)
class Paid:
    """What a lead has cost, USD at worst by call.

    `standing`: questions that are not asked anew, for what became of them is not stale.
    """

    calls: Mapping[bytes, Money]
    standing: frozenset[bytes]


class End(StrEnum):
    """How an attempt ended."""

    HIT = "hit"
    MISS = "miss"
    REFUSED = "refused"  # the vendor said no and does not bill
    NOT_SENT = "not_sent"  # nothing left this machine
    LOST = "lost"  # it left, and what became of it is unknown


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a granted call. `response` is the vendor's raw JSON text, or None.

    `told` is what the answer says in one word (the verdict of a verifier; else the end itself).
    `ends_doubt`: this answer settles the bill of lost attempts too (a free replay).
    """

    key: bytes
    end: End
    cost: Money
    told: str = ""
    http_status: int | None = None
    response: str | None = None
    error: str | None = None
    took_ms: int = 0
    ends_doubt: bool = False


class CallLedger(Protocol):
    async def find(self, intent: Intent) -> Stored | None:
        """A fresh answer, if there is one; changes nothing."""
        ...

    async def recall(self, intent: Intent) -> Stored | None:
        """As `find`, however old the answer is."""
        ...

    async def glance(self, intent: Intent) -> Stored | Elsewhere | Submitted | None:
        """What `open` would say, where that is no grant to ask, whatever it costs; changes nothing."""
        ...

    async def paid(self, leads: Sequence[UUID]) -> dict[UUID, Paid]:
        """What calls of this run's agent have cost each of the leads that have cost anything."""
        ...

    async def open(self, intent: Intent) -> Opened:
        """Commits the intent. Nobody else is granted the same question until this call has ended."""
        ...

    def spent_up(self, intent: Intent) -> OverBudget | None:
        """What this run was told before of such a call: over budget for good, or a moment ago."""
        ...

    def stop_buying(self, scope: str) -> None:
        """From now on as if that budget were spent: what was found is verified, nothing else is granted."""
        ...

    def done_with(self, lead_id: UUID) -> None:
        """Nothing is kept free any more for verifying what was found for this lead."""
        ...

    async def note_job(self, call: bytes, job_id: str) -> None:
        """The vendor took the job; from now on its result is read and it is never submitted again."""
        ...

    async def drop_job(self, call: bytes) -> bool:
        """The vendor has ended the job, or knows it no more: what is asked next is submitted anew.

        Unless it bills nothing for the job, the call is then settled as lost, before anything is submitted.
        False, and nothing is changed, where another attempt has the call by now.
        """
        ...

    async def settle(self, outcome: Outcome) -> None:
        """Commits the outcome. A late one is kept too: paid data is never thrown away."""
        ...
