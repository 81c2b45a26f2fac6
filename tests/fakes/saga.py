"""The steps of runs in memory; the tables behind it know who holds which campaign."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from phase3_core.ports.saga import Released
from phase3_core.runs import Run
from phase3_core.saga import Step, StepKind, StepState, Successor

LONG_AGO_S = 1_000_000.0


@dataclass
class Steps:
    """Rows of `saga_steps` and of `campaign_leases`. `in_time`: calls in flight that may yet be answered."""

    rows: list[Step] = field(default_factory=list)
    taken_by: dict[UUID, str] = field(default_factory=dict)
    in_time: int = 0

    def change(self, place: int, **columns: Any) -> None:
        self.rows = [replace(row, **columns) if row.place == place and row.open else row for row in self.rows]

    def keep(self, run: Run) -> None:
        for row in self.rows:
            if (row.run_id, row.agent, row.state) == (run.id, run.agent, StepState.DONE):
                self.change(row.place, state=StepState.KEPT)

    def is_last_move(self, step: Step) -> bool:
        others = (
            row for row in self.rows if row.campaign_id == step.campaign_id and row.run_id != step.run_id
        )
        return not any(row.kind is StepKind.STATUS and row.place > step.place for row in others)

    @property
    def states(self) -> dict[StepKind, StepState]:
        """Of the newest step of each kind."""
        return {row.kind: row.state for row in self.rows}


@dataclass(frozen=True)
class FakeSaga:
    table: Steps
    audit: list[tuple[UUID, str, Mapping[str, Any]]]
    held: set[UUID]

    async def note(self, run: Run, undo: Mapping[StepKind, Mapping[str, Any]]) -> None:
        for kind, needed in undo.items():
            place = len(self.table.rows) + 1
            step = Step(place, run.id, run.campaign_id, run.agent, kind, StepState.DONE, needed)
            self.table.rows.append(step)

    async def steps(self, run_id: str) -> list[Step]:
        """Any try was long ago."""
        return [replace(row, idle_s=LONG_AGO_S) for row in self.table.rows if row.run_id == run_id]

    async def open_steps(self) -> list[Step]:
        return [replace(row, idle_s=LONG_AGO_S) for row in self.table.rows if row.open]

    async def last_moves(self) -> list[Step]:
        """What has become of the campaign is for `put_back` to see."""
        moves = (row for row in self.table.rows if row.kind is StepKind.STATUS)
        return list({row.campaign_id: row for row in moves}.values())

    async def outlived(self, run_id: str, campaign_id: UUID) -> bool:
        return self.table.taken_by.get(campaign_id) != run_id or campaign_id not in self.held

    async def successor(self, step: Step) -> Successor:
        if self.table.taken_by.get(step.campaign_id) == step.run_id:
            return Successor.NONE
        return Successor.AT_WORK if step.campaign_id in self.held else Successor.ENDED

    async def trying(self, step: Step) -> None:
        self.table.change(step.place, state=StepState.COMPENSATING, attempts=step.attempts + 1)

    async def ended(self, step: Step, state: StepState, told: Mapping[str, Any]) -> None:
        self.table.change(step.place, state=state, error=told.get("error", ""))
        if state is StepState.COMPENSATED:
            self.audit.append((step.campaign_id, "compensation_compensated", {"step": step.kind, **told}))

    async def kept_exports(self, campaign_id: UUID) -> list[Step]:
        kept = (StepKind.EXPORTS, StepState.KEPT, campaign_id)
        return [row for row in self.table.rows if (row.kind, row.state, row.campaign_id) == kept]

    async def retired(self, step: Step, told: Mapping[str, Any]) -> None:
        place = self.table.rows.index(step)
        self.table.rows[place] = replace(step, state=StepState.COMPENSATED)
        self.audit.append((step.campaign_id, "exports_superseded", told))

    async def release(self, step: Step) -> Released:
        del step
        return Released(0, self.table.in_time)

    async def release_earlier(self, run: Run) -> None:
        del run

    async def jobs(self, step: Step) -> Mapping[str, int]:
        del step
        return {}
