"""Lists of a campaign's people that were written: off its row at once, and noted to be deleted.

The note is a step of a saga, so that a disk or a Google that fails is tried again until it is done. What a
run writes at that moment is deleted when it has ended.
"""

from collections.abc import Iterable
from uuid import UUID, uuid4

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.exports import Export
from phase3_core.saga import StepKind
from phase3_core.statuses import Agent
from resources.postgres.lease import standing

_EXPORTED = text("""
    SELECT DISTINCT ON (export ->> 'url') export FROM (
        SELECT jsonb_array_elements(undo -> 'exports') AS export FROM saga_steps
        WHERE campaign_id = :campaign_id AND step = 'exports' AND state IN ('done', 'kept')
        UNION ALL
        SELECT jsonb_array_elements(verification_summary -> 'exports') FROM campaigns WHERE id = :campaign_id
    ) AS exports
""")
_UNPUBLISH = text("""
    UPDATE campaigns SET verified_lead_list_url = NULL,
        verification_summary = verification_summary - 'exports'
    WHERE id = :campaign_id
""")
_TO_WITHDRAW = text("""
    INSERT INTO saga_steps (run_id, campaign_id, step, state, undo, agent)
    VALUES (:run_id, :campaign_id, :step, 'done', :undo, :agent)
""").bindparams(bindparam("undo", type_=JSONB))


async def withdraw_lists(connection: AsyncConnection, campaign_id: UUID, written: Iterable[Export]) -> None:
    """Notes the step that deletes them; `written`: exports that no row tells of."""
    of = {"campaign_id": campaign_id}
    known = list(await connection.scalars(_EXPORTED, of))
    urls = {export["url"] for export in known}
    exports = [*known, *(export.as_json() for export in written if export.url not in urls)]
    await connection.execute(_UNPUBLISH, of)
    run = await standing(connection, campaign_id)
    undo = {"exports": exports, "run": run.run_id if run and run.held else ""}
    step = {"run_id": f"forget:{uuid4()}", "step": StepKind.LISTS, "undo": undo, "agent": Agent.FINALIZER}
    if exports or undo["run"]:
        await connection.execute(_TO_WITHDRAW, of | step)
