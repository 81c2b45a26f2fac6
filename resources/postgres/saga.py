"""The steps of runs and their undo. Rows move

done -> kept                                the agent has completed
        kept -> compensated                 its exports, once those of a newer report stand
done -> compensating -> compensated         taken back
                     -> failed -> compensating -> ...    tried again, until it is
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, TextClause, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.ports.saga import Released
from phase3_core.runs import Run
from phase3_core.saga import OPEN, Step, StepKind, StepState, Successor
from phase3_core.statuses import UNDER_WAY, Agent
from resources.postgres.audit import Actor
from resources.postgres.erasing import UNLINKED
from resources.postgres.lead_rows import among
from resources.postgres.lease import Begin, standing
from resources.postgres.outage import Outage, repeatable
from resources.postgres.tables import campaigns, saga_steps

_OUTLIVE = text("""
UPDATE campaign_leases SET fence = fence + 1 WHERE campaign_id = :campaign_id AND run_id = :run_id
""")


def _releasing(whose: str, overdue: str) -> tuple[TextClause, ...]:
    """The table, the budgets, the calls: everybody who changes calls takes them in this order, in one
    statement or in several. Whoever opens budgets holds the table while it waits for them.

    As the ledger books a lost call: what it may have cost stays booked until somebody knows.
    """
    will_write = "LOCK TABLE provider_calls IN ROW EXCLUSIVE MODE"
    hold_budgets = f"""
        SELECT phase3_hold_budgets(array_agg(key)) FROM provider_calls WHERE {whose} AND state = 'intent'
    """  # noqa: S608 - made of constants of the code; every value is bound
    release = f"""
        WITH left_over AS MATERIALIZED (
            SELECT key, {overdue} AS overdue FROM provider_calls
            WHERE {whose} AND state = 'intent'
            ORDER BY key FOR UPDATE
        ), lost AS (
            UPDATE provider_calls AS c
            SET state = 'unknown', outcome = 'error', losses = losses + 1,
                unknown_usd = unknown_usd + reserved_usd, {UNLINKED}
            FROM left_over WHERE c.key = left_over.key AND left_over.overdue
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM lost) AS lost,
               (SELECT count(*) FROM left_over WHERE NOT overdue) AS in_time
    """  # noqa: S608 - made of constants of the code; every value is bound
    return text(will_write), text(hold_budgets), text(release)


_RELEASE = _releasing(
    "campaign_id = :campaign_id AND agent = :agent AND run_id = :run_id",
    "coalesce(lost_after < now(), true)",
)
# Nobody can wait for these: whoever holds the campaign is alone at work on it.
_RELEASE_EARLIER = _releasing("campaign_id = :campaign_id AND run_id <> :run_id", "true")
_JOBS = text("""
SELECT provider, count(DISTINCT job_id) AS jobs FROM provider_calls
WHERE campaign_id = :campaign_id AND agent = :agent AND run_id = :run_id
    AND job_id IS NOT NULL AND state <> 'settled'
GROUP BY provider
""")


class PostgresSaga:
    def __init__(self, engine: AsyncEngine, begin: Begin, outage: Outage, actor: Actor) -> None:
        self._engine = engine
        self._begin = begin
        self.outage = outage
        self._actor = actor

    @repeatable
    async def note(self, run: Run, undo: Mapping[StepKind, Mapping[str, Any]]) -> None:
        of = {"run_id": run.id, "campaign_id": run.campaign_id, "agent": run.agent}
        rows = [{**of, "step": kind, "state": StepState.DONE, "undo": dict(undo[kind])} for kind in undo]
        async with self._begin() as connection:
            noted = [(row.step, row.undo) for row in await connection.execute(_noted(run))]
            if missing := [row for row in rows if (row["step"], row["undo"]) not in noted]:
                await connection.execute(insert(saga_steps).values(missing))

    async def steps(self, run_id: str) -> list[Step]:
        return await self._read(_steps(saga_steps.c.run_id == run_id))

    async def open_steps(self) -> list[Step]:
        return await self._read(_steps(saga_steps.c.state.in_(OPEN)))

    async def last_moves(self) -> list[Step]:
        return await self._read(_steps(saga_steps.c.place.in_(_under_way())))

    @repeatable
    async def _read(self, query: Select[Any]) -> list[Step]:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings()
            return [_step(dict(row)) for row in rows]

    async def outlived(self, run_id: str, campaign_id: UUID) -> bool:
        """Needs no lock: whoever takes the campaign meanwhile is another run, whose lease is left alone."""
        async with self._begin() as connection:
            found = await standing(connection, campaign_id)
            if found is not None and found.run_id == run_id and found.held:
                return False
            await connection.execute(_OUTLIVE, {"campaign_id": campaign_id, "run_id": run_id})
        return True

    @repeatable
    async def successor(self, step: Step) -> Successor:
        async with self._engine.connect() as connection:
            found = await standing(connection, step.campaign_id)
        if found is None or found.run_id == step.run_id:
            return Successor.NONE
        return Successor.AT_WORK if found.held else Successor.ENDED

    async def trying(self, step: Step) -> None:
        attempt = {"state": StepState.COMPENSATING, "attempts": saga_steps.c.attempts + 1}
        async with self._begin() as connection:
            await connection.execute(_change(step).values(**attempt))

    async def ended(self, step: Step, state: StepState, told: Mapping[str, Any]) -> None:
        change = _change(step).values(state=state, error=told.get("error"))
        async with self._begin() as connection:
            attempts = await connection.scalar(change.returning(saga_steps.c.attempts))
            worth_a_line = state is StepState.COMPENSATED or (state is StepState.FAILED and attempts == 1)
            if attempts and worth_a_line:
                details = {"step": step.kind, "run": step.run_id, "agent": step.agent, **told}
                line = self._actor.line(step.campaign_id, f"compensation_{state}", details)
                await connection.execute(line)

    async def kept_exports(self, campaign_id: UUID) -> list[Step]:
        table = saga_steps.c
        kept = (table.step == StepKind.EXPORTS) & (table.state == StepState.KEPT)
        return await self._read(_steps(kept & (table.campaign_id == campaign_id)))

    async def retired(self, step: Step, told: Mapping[str, Any]) -> None:
        kept = (saga_steps.c.place == step.place) & (saga_steps.c.state == StepState.KEPT)
        change = update(saga_steps).where(kept).values(state=StepState.COMPENSATED, updated_at=func.now())
        async with self._begin() as connection:
            if (await connection.execute(change)).rowcount:
                line = self._actor.line(
                    step.campaign_id, f"{step.kind}_superseded", {"run": step.run_id, **told}
                )
                await connection.execute(line)

    async def release(self, step: Step) -> Released:
        return await self._release(_RELEASE, _run(step))

    @repeatable
    async def release_earlier(self, run: Run) -> None:
        await self._release(_RELEASE_EARLIER, {"campaign_id": run.campaign_id, "run_id": run.id})

    async def _release(self, releasing: Sequence[TextClause], of: Mapping[str, Any]) -> Released:
        async with self._begin() as connection:
            for statement in releasing:
                result = await connection.execute(statement, of)
            row = result.one()
        return Released(row.lost, row.in_time)

    @repeatable
    async def jobs(self, step: Step) -> Mapping[str, int]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_JOBS, _run(step))
            return {row.provider: row.jobs for row in rows}


def _noted(run: Run) -> Select[Any]:
    """What a first try has written, of which nobody heard."""
    table = saga_steps.c
    mine = (table.run_id == run.id) & (table.campaign_id == run.campaign_id) & (table.agent == run.agent)
    return select(table.step, table.undo).where(mine, table.state == StepState.DONE)


def _steps(wanted: ColumnElement[bool]) -> Select[Any]:
    return (
        select(
            saga_steps,
            _seconds_since(saga_steps.c.created_at).label("age_s"),
            _seconds_since(saga_steps.c.updated_at).label("idle_s"),
        )
        .where(wanted)
        .order_by(saga_steps.c.place)
    )


def _under_way() -> Select[Any]:
    """By campaign that a run has left on its way, the last move towards there."""
    moves = select(saga_steps.c.place).distinct(saga_steps.c.campaign_id)
    of = campaigns.c.id == saga_steps.c.campaign_id
    left = moves.join(campaigns, of & among(campaigns.c.status, UNDER_WAY))
    last_first = (saga_steps.c.campaign_id, saga_steps.c.place.desc())
    return left.where(saga_steps.c.step == StepKind.STATUS).order_by(*last_first)


def _seconds_since(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.extract("epoch", func.now() - moment)


def _step(row: Mapping[str, Any]) -> Step:
    return Step(
        place=row["place"],
        run_id=row["run_id"],
        campaign_id=row["campaign_id"],
        agent=Agent(row["agent"]),
        kind=StepKind(row["step"]),
        state=StepState(row["state"]),
        undo=row["undo"],
        attempts=row["attempts"],
        age_s=float(row["age_s"]),
        idle_s=float(row["idle_s"]),
        error=row["error"] or "",
    )


def _change(step: Step) -> Any:
    """What is compensated stays so, whoever comes late."""
    still_open = saga_steps.c.state.in_(OPEN)
    return (
        update(saga_steps).where(saga_steps.c.place == step.place, still_open).values(updated_at=func.now())
    )


def _run(step: Step) -> dict[str, Any]:
    return {"campaign_id": step.campaign_id, "agent": step.agent, "run_id": step.run_id}
