"""What a run does that a later failure must take back, and what taking it back means.

An agent notes the undo of a step before it takes the step. When the agent completes, its steps are kept
for good, also when a later agent of the same run fails. When it fails, its open steps are compensated in
reverse, and tried again until each is. Money spent is not compensable: answers, the leads' results and
checkpoints stay, because a resumed run builds on them.

| step | taking it back means |
|---|---|
| campaign_status | `phase3_failed` with the reason; a campaign that had been complete is complete again |
| reservations | calls in flight count as lost, at their worst price, once their deadline has passed |
| vendor_jobs | no vendor documents how to cancel one: they run on, a resumed run reads them |
| exports | deleted, and off the campaign's row; those of a completed report once a newer one stands |
| forgotten_lists | exports from before somebody was forgotten: deleted, once no run may be writing them |
| approval_request | withdrawn, and said so where it was announced |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from phase3_core.statuses import Agent, CampaignStatus

FIRST_PAUSE_S = 15.0
LONGEST_PAUSE_S = 3600.0


class StepKind(StrEnum):
    """The column `saga_steps.step`."""

    STATUS = "campaign_status"
    RESERVATIONS = "reservations"
    JOBS = "vendor_jobs"
    EXPORTS = "exports"
    APPROVAL = "approval_request"
    LISTS = "forgotten_lists"  # noted by whoever forgets a person, for no run


class StepState(StrEnum):
    """The column `saga_steps.state`. `done`: taken or about to be; `kept`: its agent has completed."""

    DONE = "done"
    KEPT = "kept"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    FAILED = "failed"


OPEN = frozenset({StepState.DONE, StepState.COMPENSATING, StepState.FAILED})


@dataclass(frozen=True, slots=True)
class Step:
    """A row of `saga_steps`. `place`: their order; `undo`: what the compensation needs.

    `age_s` is counted from the step itself, `idle_s` from the last try.
    """

    place: int
    run_id: str
    campaign_id: UUID
    agent: Agent
    kind: StepKind
    state: StepState
    undo: Mapping[str, Any]
    attempts: int = 0
    age_s: float = 0.0
    idle_s: float = 0.0
    error: str = ""

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def due(self) -> bool:
        return self.open and self.idle_s >= pause_s(self.attempts)


@dataclass(frozen=True, slots=True)
class Undone:
    """The step is taken back; `told` goes to the audit log."""

    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet; `why` is for whoever looks."""

    why: str


class Successor(Enum):
    """Whether another run has taken the campaign since."""

    NONE = "none"
    AT_WORK = "at work"
    ENDED = "ended"


def pause_s(attempts: int) -> float:
    """Seconds until the next try: none before the first one, then doubling up to an hour."""
    if attempts == 0:
        return 0.0
    return min(FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 16), LONGEST_PAUSE_S)


def to_undo(steps: Sequence[Step]) -> list[Step]:
    """Those that are open and due, the last taken first."""
    return [step for step in sorted(steps, key=lambda step: -step.place) if step.due]


def status_afterwards(steps: Sequence[Step]) -> CampaignStatus:
    """What the campaign is when a run has been taken back.

    The report of a complete campaign still stands when a further run over it fails.
    """
    befores = {step.undo.get("before") for step in steps if step.kind is StepKind.STATUS}
    complete = CampaignStatus.VERIFICATION_COMPLETE
    return complete if complete in befores else CampaignStatus.FAILED
