"""What is kept no longer: old answers, and the people of campaigns in which nothing happens any more.

In small batches, each a transaction of its own, so that nobody waits long. Amounts and counts stay.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.exports import Export
from phase3_core.saga import StepKind
from phase3_core.statuses import DECIDED, CampaignStatus
from resources.postgres.approval_requests import withdraw_pending
from resources.postgres.erasing import ERASED_CALL, UNLINKED, erase_leads
from resources.postgres.lease import standing
from resources.postgres.lists import withdraw_lists

CALLS_AT_ONCE = 2_000
LEADS_AT_ONCE = 500
MOST_DAYS_IN_DOUBT = 365  # that a call in doubt waits for its campaign to go on
ERASED_BY_POLICY = "its people are no longer kept"

# No call is answered before it was made, and an index holds in this order whatever is not erased.
_MADE_LONG_AGO = "c.erased_at IS NULL AND c.created_at < now() - make_interval(days => :days)"
# Without its row a call in doubt would be made again, and paid again, or its job submitted again: so it stays
# for as long as its answer would have been fresh for other campaigns, and its own may still ask.
_NOT_IN_DOUBT = """
    c.state = 'settled'
    OR coalesce(c.asked_at, c.created_at) < now() - CAST(:fresh AS interval) AND (
        coalesce(c.settled_at, c.asked_at, c.created_at) < now() - make_interval(days => :most_in_doubt)
        OR NOT EXISTS (
            SELECT FROM campaigns WHERE id = c.campaign_id AND (status::text = ANY (:decided)) IS NOT TRUE
                AND EXISTS (SELECT FROM leads WHERE campaign_id = c.campaign_id AND erased_at IS NULL)))
"""
# A dead run left it in flight, and nobody came back for it.
_GIVEN_UP = "c.state = 'intent' AND c.lost_after < now() - make_interval(days => :most_in_doubt)"
# Neither in flight, nor in doubt, nor fresh, nor free to ask again.
_OLD = f"""
    c.erased_at IS NULL AND (c.state <> 'intent' OR {_GIVEN_UP}) AND ({_NOT_IN_DOUBT})
    AND coalesce(c.settled_at, c.asked_at, c.created_at) < now() - make_interval(days => :days)
    AND coalesce(c.expires_at <= now(), true)
    AND coalesce(c.asked_at, c.created_at)
        + make_interval(secs => coalesce((CAST(:windows AS jsonb) ->> c.provider)::float8, 0)) <= now()
"""
_COUNT_CALLS = text(f"SELECT count(*) FROM provider_calls AS c WHERE {_MADE_LONG_AGO} AND {_OLD}")  # noqa: S608 - made of constants of the code; every value is bound
# Keys go on as arrays: to join 2,000 of them the server would read a ledger of 100,000 from end to end.
_ERASE_CALLS = text(f"""
    WITH page AS MATERIALIZED (
        SELECT c.created_at, c.key FROM provider_calls AS c
        WHERE {_MADE_LONG_AGO} AND (c.created_at, c.key) > (:since, :after)
        ORDER BY c.created_at, c.key LIMIT :most
    ), old AS MATERIALIZED (
        SELECT c.key FROM provider_calls AS c
        WHERE c.key = ANY (ARRAY(SELECT key FROM page)) AND c.state <> 'intent' AND {_OLD}
        FOR UPDATE SKIP LOCKED
    ), erased AS (
        UPDATE provider_calls AS c SET {ERASED_CALL} WHERE c.key = ANY (ARRAY(SELECT key FROM old))
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM erased) AS erased, created_at, key FROM page
    ORDER BY created_at DESC, key DESC LIMIT 1
""")  # noqa: S608 - made of constants of the code; every value is bound
# Booked at its worst price, as whoever asks again would; then it is erased as any call in doubt.
_GIVE_UP = text(f"""
    WITH given_up AS MATERIALIZED (SELECT c.key FROM provider_calls AS c WHERE {_GIVEN_UP})
    UPDATE provider_calls AS c
    SET state = 'unknown', outcome = 'error', losses = losses + 1, unknown_usd = unknown_usd + reserved_usd,
        {UNLINKED}
    WHERE (SELECT phase3_hold_budgets(ARRAY(SELECT key FROM given_up))) >= 0
        AND c.key = ANY (ARRAY(SELECT key FROM given_up)) AND {_GIVEN_UP}
""")  # noqa: S608 - made of constants of the code; every value is bound
_BEFORE_ALL: Mapping[str, Any] = {"since": datetime.min.replace(tzinfo=UTC), "after": b""}

# A status may stand while a run works for days, and leads may wait for a quota that comes back in a month.
_ENDED = """
    campaign.status::text = ANY (:statuses) AND campaign.updated_at < now() - make_interval(days => :days)
    AND NOT EXISTS (
        SELECT FROM workflow_checkpoints WHERE campaign_id = campaign.id
            AND greatest(updated_at, (output_data ->> 'waiting_until')::timestamptz)
                >= now() - make_interval(days => :days))
    AND EXISTS (SELECT FROM leads WHERE campaign_id = campaign.id AND erased_at IS NULL)
"""
_CAMPAIGNS = text(f"""
    SELECT campaign.id, (
        SELECT count(*) FROM leads WHERE campaign_id = campaign.id AND erased_at IS NULL) AS people
    FROM campaigns AS campaign WHERE {_ENDED} ORDER BY campaign.id
""")  # noqa: S608 - made of constants of the code; every value is bound
_HOLD = text(f"SELECT id FROM campaigns AS campaign WHERE id = :id AND {_ENDED} FOR UPDATE")  # noqa: S608 - made of constants of the code; every value is bound
_PAGE = text("""
    SELECT id FROM leads WHERE campaign_id = :id AND erased_at IS NULL ORDER BY id LIMIT :most FOR UPDATE
""")
_NOTE = text("""
    INSERT INTO campaign_audit_log (campaign_id, action, actor, actor_type, details)
    VALUES (:id, 'people_erased', 'phase3', 'system', :details)
""").bindparams(bindparam("details", type_=JSONB))
_OPEN = text(
    "SELECT run_id FROM saga_steps WHERE step = :step AND campaign_id = ANY (:ids) AND state = 'done'"
)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept what; None: for ever. `fresh`: how long an answer is used again for nothing.

    `windows`: of providers who repeat an answer for nothing.
    """

    answers_days: int | None
    leads_days: int | None
    fresh: timedelta = timedelta()
    windows: Mapping[str, timedelta] = field(default_factory=dict)

    @property
    def of_calls(self) -> dict[str, Any]:
        seconds = {provider: window.total_seconds() for provider, window in self.windows.items()}
        return {
            "days": self.answers_days,
            "windows": json.dumps(seconds),
            "fresh": self.fresh,
            "most_in_doubt": MOST_DAYS_IN_DOUBT,
            "decided": list(DECIDED),
        }

    @property
    def of_campaigns(self) -> dict[str, Any]:
        return {"days": self.leads_days, "statuses": list(CampaignStatus)}


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many were erased, or would be. `undo`: names of the saga steps that delete exports."""

    calls: int
    leads: int
    campaigns: int
    undo: Sequence[str] = ()


class PostgresRetention:
    def __init__(self, engine: AsyncEngine, retention: Retention) -> None:
        self._engine = engine
        self._retention = retention

    async def due(self) -> Pruned:
        """What `prune` would erase now."""
        calls, ended = 0, await self._ended()
        if self._retention.answers_days is not None:
            async with self._engine.connect() as connection:
                calls = await connection.scalar(_COUNT_CALLS, self._retention.of_calls) or 0
        return Pruned(calls, sum(ended.values()), len(ended))

    async def prune(self, written: Callable[[UUID], Sequence[Export]]) -> Pruned:
        """`written`: a campaign's exports that no row tells of. May be broken off at any time."""
        calls = await self._prune_calls() if self._retention.answers_days is not None else 0
        leads = {campaign: await self._prune_leads(campaign, written) for campaign in await self._ended()}
        erased = [campaign for campaign, count in leads.items() if count]
        async with self._engine.connect() as connection:
            open_ = await connection.scalars(_OPEN, {"step": StepKind.LISTS, "ids": erased})
            return Pruned(calls, sum(leads.values()), len(erased), tuple(open_))

    async def _ended(self) -> dict[UUID, int]:
        """Campaigns with the number of their people."""
        if self._retention.leads_days is None:
            return {}
        async with self._engine.connect() as connection:
            rows = await connection.execute(_CAMPAIGNS, self._retention.of_campaigns)
            return {row.id: row.people for row in rows}

    async def _prune_calls(self) -> int:
        erased, last = 0, _BEFORE_ALL
        async with self._engine.begin() as connection:
            await connection.execute(_GIVE_UP, {"most_in_doubt": MOST_DAYS_IN_DOUBT})
        while True:
            page = {**self._retention.of_calls, **last, "most": CALLS_AT_ONCE}
            async with self._engine.begin() as connection:
                row = (await connection.execute(_ERASE_CALLS, page)).one_or_none()
            if row is None:
                return erased
            erased, last = erased + row.erased, {"since": row.created_at, "after": row.key}

    async def _prune_leads(self, campaign_id: UUID, written: Callable[[UUID], Sequence[Export]]) -> int:
        erased = 0
        while batch := await self._prune_page(campaign_id, written):
            erased += batch
        return erased

    async def _prune_page(self, campaign_id: UUID, written: Callable[[UUID], Sequence[Export]]) -> int:
        """None of a campaign that a run has taken up meanwhile."""
        async with self._engine.begin() as connection:
            if not await _held(connection, self._retention.of_campaigns | {"id": campaign_id}):
                return 0
            of = {"id": campaign_id, "most": LEADS_AT_ONCE}
            ids = list(await connection.scalars(_PAGE, of))
            erased = await erase_leads(connection, ids)
            await withdraw_pending(connection, campaign_id, ERASED_BY_POLICY)
            if len(ids) < LEADS_AT_ONCE:
                await withdraw_lists(connection, campaign_id, written(campaign_id))
                await connection.execute(_NOTE, {"id": campaign_id, "details": {"why": ERASED_BY_POLICY}})
            return erased


async def _held(connection: AsyncConnection, campaign: Mapping[str, Any]) -> bool:
    """Whether the campaign has still ended; then nobody begins on it until this transaction does."""
    if await connection.scalar(_HOLD, campaign) is None:
        return False
    run = await standing(connection, campaign["id"])
    return run is None or not run.held
