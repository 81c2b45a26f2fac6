"""Taking back what a run left half done: in the process that failed, or after it by someone else.

Every undo is idempotent and asks first whether another run has moved on, so both may happen, in any order.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from phase3_core.errors import OutsideFailure, Phase3Error, UnknownCampaign
from phase3_core.exports import Export, Published
from phase3_core.ports.books import Books, Database
from phase3_core.ports.exporter import Exporter
from phase3_core.saga import Later, Step, StepKind, StepState, Successor, Undone, status_afterwards, to_undo
from phase3_core.statuses import BETWEEN_AGENTS, CANCELLED, UNDER_WAY

KEPT = "everything bought is kept, run again to resume"
NOT_BEGUN = f"{CANCELLED} before it began; run again to begin"
UNKNOWN_END = "the process ended before it could say why"


def reason(why: str) -> str:
    """The campaign's `status_reason` after a failure."""
    return f"{why.rstrip('.')}; {KEPT}"


async def compensate_dead(database: Database, exporter: Exporter, run_id: str, why: str) -> None:
    """For a run whose end is recorded; one that is alive all the same is left to itself."""
    async with database.reading() as books:
        steps = await books.saga.steps(run_id)
        if steps and await books.saga.outlived(run_id, steps[0].campaign_id):
            await Compensation(books, exporter, reason(why)).of(run_id)


async def called_off(database: Database, campaign_id: UUID, asked_for: datetime) -> None:
    """For a run that was `asked_for` then and cancelled before any agent began."""
    async with database.reading() as books:
        await books.campaigns.call_off(campaign_id, asked_for, NOT_BEGUN)


@dataclass(frozen=True, slots=True)
class Compensation:
    """`exporter` may be missing where nothing was exported; `why` becomes the campaign's reason."""

    books: Books
    exporter: Exporter | None
    why: str

    async def of(self, run_id: str) -> None:
        """One step that cannot be taken back does not keep the others."""
        steps = await self.books.saga.steps(run_id)
        undo = self._undo(steps)
        for step in to_undo(steps):
            await self._try(step, undo[step.kind])
        await self._leave(steps)

    async def _leave(self, steps: Sequence[Step]) -> None:
        """Where no campaign stays, though no step is open: between two agents all are kept, and the move
        was left to another run that ended before it made one. What is at rest was brought there for good.
        """
        moves = [step for step in steps if step.kind is StepKind.STATUS]
        if moves:
            await self.books.campaigns.put_back(moves[-1], UNDER_WAY, status_afterwards(steps), self.why)

    def _undo(self, steps: list[Step]) -> Mapping[StepKind, "Undo"]:
        afterwards = status_afterwards(steps)

        async def put_back(step: Step) -> Undone:
            left_at = BETWEEN_AGENTS | {step.undo["moved_to"]}
            moved = await self.books.campaigns.put_back(step, left_at, afterwards, self.why)
            return Undone({"status": afterwards if moved else "moved on"})

        return {
            StepKind.STATUS: put_back,
            StepKind.RESERVATIONS: self._release,
            StepKind.JOBS: self._leave_jobs,
            StepKind.EXPORTS: self._withdraw_exports,
            StepKind.APPROVAL: self._withdraw_request,
            StepKind.LISTS: self._withdraw_lists,
        }

    async def _try(self, step: Step, undo: "Undo") -> None:
        saga = self.books.saga
        await saga.trying(step)
        try:
            match await undo(step):
                case Undone(told):
                    await saga.ended(step, StepState.COMPENSATED, told)
                case Later(why):
                    await saga.ended(step, StepState.COMPENSATING, {"error": why})
        except UnknownCampaign:
            await saga.ended(step, StepState.COMPENSATED, {"campaign": "deleted"})
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is told and tried again
            await saga.ended(step, StepState.FAILED, {"error": in_a_line(failure)})

    async def _release(self, step: Step) -> Undone | Later:
        released = await self.books.saga.release(step)
        if released.in_time:
            return Later(f"{released.in_time} calls may still be answered")
        return Undone({"lost": released.lost})

    async def _leave_jobs(self, step: Step) -> Undone:
        return Undone({"left_running": dict(await self.books.saga.jobs(step))})

    async def _withdraw_exports(self, step: Step) -> Undone | Later:
        """Looked at anew before each: Google may take a minute over one, and a run needs no more."""
        withdrawn: list[str] = []
        for export in exports_of(step):
            match await self.books.saga.successor(step):
                case Successor.AT_WORK:
                    return Later("another run works on the campaign and may be writing the same files")
                case Successor.ENDED if export.url in await standing_exports(self.books, step.campaign_id):
                    continue
            await self._withdraw(step, export)
            withdrawn.append(export.url)
        return Undone({"withdrawn": withdrawn})

    async def _withdraw_lists(self, step: Step) -> Undone | Later:
        """With those that the run wrote which was at work at that moment."""
        if await self.books.saga.successor(step) is Successor.AT_WORK:
            return Later("a run works on the campaign and may be writing lists; they go when it has ended")
        of_run = await self.books.saga.steps(step.undo["run"]) if step.undo["run"] else []
        noted = [step, *(one for one in of_run if one.kind is StepKind.EXPORTS)]
        exports = {told["url"]: Export.from_json(told) for one in noted for told in one.undo["exports"]}
        for export in exports.values():
            await self._withdraw(step, export)
        return Undone({"withdrawn": list(exports)})

    async def _withdraw(self, step: Step, export: Export) -> None:
        """Off the campaign's row first: nobody is sent to a file that is gone."""
        if self.exporter is None:
            raise OutsideFailure("There is no exporter to withdraw the exports with.")
        await self.books.campaigns.unpublish(step.campaign_id, export.url, step.undo.get("before", ""))
        await self.exporter.withdraw(export)

    async def _withdraw_request(self, step: Step) -> Undone:
        withdrawn = await self.books.approvals.withdraw(step.campaign_id, step.run_id, self.why)
        return Undone({"withdrawn": withdrawn})


Undo = Callable[[Step], Awaitable[Undone | Later]]


async def standing_exports(books: Books, campaign_id: UUID) -> set[str]:
    """URLs of the report that the campaign points to: the same report made again has the same files."""
    summary = await books.campaigns.summary(campaign_id)
    urls = {export["url"] for export in summary.get("exports", ())}
    return urls if await books.campaigns.workbook(campaign_id) in urls else set()


def exports_of(step: Step) -> list[Export]:
    return [Export.from_json(told) for told in step.undo["exports"]]


async def withdraw_superseded(
    books: Books, exporter: Exporter, campaign_id: UUID, published: Published
) -> list[str]:
    """Exports of earlier reports go once a newer one stands; why some could not, in words for the reader.

    What could not go is tried again when the next report stands.
    """
    stands = {export.url for export in published.exports}
    why_not: list[str] = []
    for step in await books.saga.kept_exports(campaign_id):
        earlier = exports_of(step)
        going = [export for export in earlier if export.url not in stands]
        left = [why for export in going if (why := await _gone(exporter, export))]
        why_not += left
        if going == earlier and not left:
            await books.saga.retired(step, {"withdrawn": [export.url for export in going]})
    return why_not


async def _gone(exporter: Exporter, export: Export) -> str:
    """Empty where it is."""
    try:
        await exporter.withdraw(export)
    except OutsideFailure as failure:
        return str(failure)
    return ""


def in_a_line(failure: Exception) -> str:
    """Only our own errors are quoted: a foreign message may hold a secret."""
    return str(failure) if isinstance(failure, Phase3Error) else type(failure).__name__
