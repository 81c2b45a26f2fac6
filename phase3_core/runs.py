"""A run at work, and how far it is."""

from dataclasses import dataclass
from uuid import UUID

from phase3_core.money import Money
from phase3_core.statuses import Agent


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
