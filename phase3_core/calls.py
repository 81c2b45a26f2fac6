"""Calls to providers as values: what an answer says, what it costs, what to do when it never came."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from phase3_core.money import ZERO, Money, usd
from phase3_core.statuses import Reason, Verdict


class Role(StrEnum):
    FINDER = "finder"
    VERIFIER = "verifier"
    ENRICHER = "enricher"


class Billing(StrEnum):
    """When a vendor charges."""

    FREE = "free"
    PER_CALL = "per_call"
    PER_HIT = "per_hit"
    PER_CREDIT = "per_credit"  # the answer says how many credits


class ReplayClass(StrEnum):
    """What a vendor does when the same question is sent again (design: unknown outcome)."""

    FREE = "free_replay"
    ON_HIT = "billed_on_hit"
    PER_CALL = "billed_per_call"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Hit:
    """A finder's address."""

    email: str
    confidence: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verifier's verdict on one address."""

    verdict: Verdict
    reason: Reason = Reason.NONE
    score: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """An enricher's fields, named as in `leads` where there is a column; values are JSON.

    `at` is when the vendor said so: the settling of the call, also where the ledger answers it again.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """The provider answered and knows nothing; an answer, not a failure."""

    why: str = ""


class Gap(StrEnum):
    """Why a provider gave no answer, named for what it means for the lead."""

    NO_INPUT = "no_input"  # the lead lacks what the provider asks for
    PARKED = "parked"  # bad key, out of credits or broken: skipped for this run
    DOWN = "down"  # this call failed; another may not
    LOST = "lost"  # it may have been billed; asking again is not allowed
    CAPPED = "capped"  # with what earlier runs paid, it might take the lead beyond its cap
    SUPPRESSED = "suppressed"  # nobody may be asked about the lead
    LATER = "later"  # it may not be asked now: the lead waits for it (see `waiting.py`)


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """`until`: when a provider may be asked again, where it is asked `LATER` and that is known.

    `briefly`: its service fails, not for long yet, so that it may be worth waiting for.
    """

    gap: Gap
    detail: str = ""
    until: datetime | None = None
    briefly: bool = False


FinderReply = Hit | Miss | NoAnswer
VerifierReply = Judgement | NoAnswer
EnricherReply = Facts | Miss | NoAnswer
Reply = Hit | Judgement | Facts | Miss


@dataclass(frozen=True, slots=True)
class Price:
    """A vendor's price: USD for one credit, and the most credits that one call can take."""

    per_credit: Money
    billing: Billing
    worst_credits: int = 1

    @property
    def ceiling(self) -> Money:
        """USD to reserve before the call leaves."""
        return ZERO if self.billing is Billing.FREE else self.per_credit * self.worst_credits

    def at(self, ceiling: Money) -> "Price":
        """As it was when a call could take so much, USD."""
        return replace(self, per_credit=usd(ceiling / self.worst_credits))

    def charge(self, reply: Reply, credits_told: Money | None = None) -> Money:
        """USD that the vendor takes for this answer; `credits_told` is the count the answer names."""
        if self.billing is Billing.FREE:
            return ZERO
        if self.billing is Billing.PER_CREDIT and credits_told is not None:
            return usd(self.per_credit * credits_told)
        if self.billing is Billing.PER_HIT and isinstance(reply, Miss):
            return ZERO
        return self.per_credit


class AfterLoss(StrEnum):
    """What may be done about a call whose answer never came."""

    ASK_AGAIN = "ask_again"
    READ_JOB = "read_job"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class LostCall:
    """A call that left and never came back. `losses` counts the attempts so far that were lost."""

    asked_at: datetime
    losses: int
    has_job: bool = False


MOST_LOSSES = 2  # a lost call is asked once more at most


def after_loss(lost: LostCall, replay: ReplayClass, window: timedelta | None, now: datetime) -> AfterLoss:
    """Rules 6 to 9: a repeat is allowed once, where it is free or only a hit costs; else never."""
    if lost.has_job:
        return AfterLoss.READ_JOB
    over = replay is ReplayClass.FREE and window is not None and now - lost.asked_at >= window
    if over or replay is ReplayClass.PER_CALL or lost.losses >= MOST_LOSSES:
        return AfterLoss.LEAVE
    return AfterLoss.ASK_AGAIN


def replay_within(
    replay: ReplayClass, price: Price, billed_share: float, tolerated: Money | None
) -> ReplayClass:
    """Rule 7: where only a hit costs, a lost call is not repeated if that may be expected to cost too much.

    It is then asked at most once, as where every call costs. `billed_share`: of the vendor's answers, 0 to 1.
    `tolerated`: USD that a repeat may be expected to pay in vain; None: any amount.
    """
    expected = price.ceiling * Decimal(str(billed_share))
    too_dear = replay is ReplayClass.ON_HIT and tolerated is not None and expected > tolerated
    return ReplayClass.PER_CALL if too_dear else replay
