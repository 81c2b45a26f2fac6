"""Who keeps how far an agent is, and who is told."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from phase3_core.runs import Advance, Run
from phase3_core.waiting import Waiting


class Checkpoints(Protocol):
    async def save(self, run: Run, step: str, status: str, advance: Advance, data: Mapping[str, Any]) -> None:
        """One row per (run, agent, step), rewritten as the step goes on."""
        ...

    async def earlier_runs(self, run: Run) -> int:
        """How many runs before this one worked on this agent's part of the campaign."""
        ...

    async def waiting(self, campaign_id: UUID) -> list[Waiting]:
        """Whom leads wait for, as each agent's newest run left it (`waiting` in its data)."""
        ...


class Observer(Protocol):
    """Who is told of progress: Dagster, a progress bar, nobody."""

    def __call__(self, advance: Advance) -> None: ...
