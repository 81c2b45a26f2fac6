"""A run at work, and how far it is."""

from dataclasses import dataclass, field
from uuid import UUID

from phase3_core.money import Money
from phase3_core.statuses import Agent

MOST_STEPS = 100  # of a run's progress, by leads
QUIET_S = 60.0
QUIET_SHARE = 0.02  # of a run's time


@dataclass(frozen=True, slots=True)
class Run:
    """Who works: one agent of one Dagster run on one campaign."""

    id: str
    campaign_id: UUID
    agent: Agent


@dataclass(frozen=True, slots=True)
class Advance:
    """How far an agent is; `spent` is USD of this agent on this campaign so far, all runs.

    `alerts`: budgets that have just come near their caps, in words for the user.
    """

    agent: Agent
    done: int
    total: int
    spent: Money
    alerts: tuple[str, ...] = ()


@dataclass
class Milestones:
    """Which advances are events to be kept for good: a hundredth of the leads, or a minute without any.

    The minute grows once a run has lasted an hour, so that neither many leads nor slow ones make many events.
    `began` is a moment of a monotonic clock, in seconds.
    """

    began: float
    done: int = 0
    told_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.told_at = self.began

    def passed(self, advance: Advance, now: float) -> bool:
        quiet = now - self.told_at >= max(QUIET_S, QUIET_SHARE * (now - self.began))
        further = advance.done - self.done >= advance.total / MOST_STEPS
        if not (further or quiet or advance.alerts):
            return False
        self.done, self.told_at = advance.done, now
        return True
