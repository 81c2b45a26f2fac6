"""What a failed run must take back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from phase3_core.runs import Run
from phase3_core.saga import Step, StepKind, StepState, Successor


@dataclass(frozen=True, slots=True)
class Released:
    """Calls of a run that nobody waits for any more: `lost` booked so now, `in_time` not overdue yet."""

    lost: int
    in_time: int


class Saga(Protocol):
    async def note(self, run: Run, undo: Mapping[StepKind, Mapping[str, Any]]) -> None:
        """Before the steps themselves, so that nothing is done whose undo is not known."""
        ...

    async def steps(self, run_id: str) -> list[Step]:
        """All steps of a run, those of agents that completed too."""
        ...

    async def open_steps(self) -> list[Step]:
        """Of every run: those that are neither kept nor compensated, oldest first."""
        ...

    async def last_moves(self) -> list[Step]:
        """Of each campaign that is under way the last move, whatever became of that step."""
        ...

    async def outlived(self, run_id: str, campaign_id: UUID) -> bool:
        """Whether the run is dead; a zombie of it writes nothing from then on."""
        ...

    async def successor(self, step: Step) -> Successor: ...

    async def trying(self, step: Step) -> None: ...

    async def ended(self, step: Step, state: StepState, told: Mapping[str, Any]) -> None:
        """How a try ended, with a line in the audit log when it is over or fails for the first time."""
        ...

    async def kept_exports(self, campaign_id: UUID) -> list[Step]:
        """What completed reports of the campaign left, oldest first, until it is `retired`."""
        ...

    async def retired(self, step: Step, told: Mapping[str, Any]) -> None:
        """A step that was kept is taken back after all, with a line in the audit log."""
        ...

    async def release(self, step: Step) -> Released:
        """The run's calls in flight whose deadline has passed are lost from now on."""
        ...

    async def release_earlier(self, run: Run) -> None:
        """Calls that earlier runs of the campaign left in flight are lost from now on, overdue or not."""
        ...

    async def jobs(self, step: Step) -> Mapping[str, int]:
        """How many of the run's jobs each vendor may still be working on."""
        ...
