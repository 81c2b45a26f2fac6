"""The call ledger as it was at some moment: read only, every call that is looked up noted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, RowMapping, Uuid, any_, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from phase3_core.ledger import (
    FIRST_EPOCH,
    LAST_EPOCH,
    Intent,
    Opened,
    Outcome,
    OverBudget,
    Paid,
    Stored,
    Withheld,
    key,
    question_of,
)
from phase3_core.money import ZERO, Money
from phase3_core.trace import LedgerCall
from resources.postgres.tables import provider_calls

NOT_ASKED = OverBudget("", for_good=True)  # a replay reads no more into it than that
_CALLS = provider_calls.c
# From one provider to the next by the index: there are few, and many calls of each.
PROVIDERS_ASKED = text("""
WITH RECURSIVE asked AS (
    (SELECT provider FROM provider_calls ORDER BY provider LIMIT 1)
    UNION ALL
    SELECT (SELECT c.provider FROM provider_calls AS c WHERE c.provider > asked.provider
            ORDER BY c.provider LIMIT 1)
    FROM asked WHERE asked.provider IS NOT NULL
)
SELECT provider FROM asked WHERE provider IS NOT NULL
""")
_ASKED_AT = func.coalesce(_CALLS.asked_at, _CALLS.created_at)


@dataclass
class LedgerHistory:
    """Implements `CallLedger` for a replay: answers what is there, grants nothing, writes nothing.

    With `until`, what was asked or answered later is not there yet. `unasked`: who would have been asked what
    nobody ever asked. `loaded`: calls by question, read at once.
    """

    engine: AsyncEngine
    until: datetime | None = None
    noted: list[LedgerCall] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    loaded: dict[bytes, RowMapping] = field(default_factory=dict)

    def taken(self) -> tuple[LedgerCall, ...]:
        """What was looked up since the last time, each call once."""
        calls, self.noted = {call.key: call for call in self.noted}, []
        return tuple(calls.values())

    async def load(self, lead_ids: Sequence[UUID]) -> None:
        """The newest calls made for these leads, instead of those loaded before."""
        theirs = _CALLS.lead_id == any_(literal(list(lead_ids), ARRAY(Uuid)))
        query = select(provider_calls).where(theirs).order_by(_CALLS.key)
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query)).mappings()
            self.loaded = {question_of(row["key"]): row for row in rows}

    async def find(self, intent: Intent) -> Stored | None:
        row = await self._row(intent)
        if row is None:
            self.unasked.append(intent.provider)
        return _stored(row, intent) if row is not None and _answered(row, self.until) else None

    async def recall(self, intent: Intent) -> Stored | None:
        return await self.find(intent)

    async def glance(self, intent: Intent) -> Stored | None:
        return await self.find(intent)

    async def paid(self, leads: Sequence[UUID]) -> dict[UUID, Paid]:
        """Nothing is bought, so no cap is in danger."""
        del leads
        return {}

    async def open(self, intent: Intent) -> Opened:
        """An answer that came to this lead after all was lost until then."""
        row = await self._row(intent)
        if row is None:
            return NOT_ASKED
        if _answered(row, self.until):
            return _stored(row, intent)
        came_later = _answered(row) and _is_own(row, intent)
        if came_later or row["state"] != "settled":
            return Withheld(row["key"], _paid(row, intent))
        return NOT_ASKED

    async def _row(self, intent: Intent) -> RowMapping | None:
        """The newest epoch of the question that had begun by then."""
        row = self.loaded.get(intent.question) or await self._read(intent)
        if row is not None:
            self.noted.append(ledger_call(row, self.until))
        return row

    async def _read(self, intent: Intent) -> RowMapping | None:
        first, last = key(intent.question, FIRST_EPOCH), key(intent.question, LAST_EPOCH)
        query = select(provider_calls).where(_CALLS.key.between(first, last))
        if self.until is not None:
            query = query.where(_CALLS.created_at <= self.until)
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query.order_by(_CALLS.key.desc()).limit(1))).mappings()
            return rows.one_or_none()

    def spent_up(self, intent: Intent) -> OverBudget | None:
        del intent
        return None

    def stop_buying(self, scope: str) -> None:
        """Nothing is bought."""

    def done_with(self, lead_id: UUID) -> None:
        """Nothing was kept."""

    async def note_job(self, call: bytes, job_id: str) -> None:
        raise AssertionError(f"a replay submits nothing ({call!r}, {job_id})")

    async def drop_job(self, call: bytes) -> bool:
        raise AssertionError(f"a replay reads no job ({call!r})")

    async def settle(self, outcome: Outcome) -> None:
        raise AssertionError(f"a replay settles nothing ({outcome.key!r})")


async def calls_for(engine: AsyncEngine, lead_id: UUID) -> list[LedgerCall]:
    """Everything that was bought for the lead, oldest first."""
    query = select(provider_calls).where(_CALLS.lead_id == lead_id).order_by(_ASKED_AT, _CALLS.key)
    async with engine.connect() as connection:
        return [ledger_call(row) for row in (await connection.execute(query)).mappings()]


async def providers_asked(engine: AsyncEngine) -> Sequence[str]:
    """Whoever has a call in the ledger."""
    async with engine.connect() as connection:
        return (await connection.execute(PROVIDERS_ASKED)).scalars().all()


def ledger_call(row: RowMapping, until: datetime | None = None) -> LedgerCall:
    asked_at = row["asked_at"] or row["created_at"]
    return LedgerCall(
        key=row["key"],
        provider=row["provider"],
        operation=row["operation"],
        outcome=row["outcome"] or row["state"],
        cost=row["cost_usd"],
        unknown=row["unknown_usd"],
        asked_at=asked_at,
        ended_at=row["settled_at"] or asked_at,
        answered=_answered(row, until),
        attempts=row["attempt"],
        took_ms=row["response_time_ms"],
        error=row["error"] or "",
        lead_id=row["lead_id"],
        campaign_id=row["campaign_id"],
        agent=row["agent"] or "",
    )


def _answered(row: RowMapping, until: datetime | None = None) -> bool:
    if row["state"] != "settled" or row["outcome"] in {None, "error"}:
        return False
    return until is None or bool(row["settled_at"] <= until)


def _is_own(row: RowMapping, intent: Intent) -> bool:
    return row["lead_id"] is not None and bool(row["lead_id"] == intent.lead_id)


def _stored(row: RowMapping, intent: Intent) -> Stored:
    status = row["http_status"] or 200
    return Stored(row["key"], status, row["response"], row["settled_at"], _paid(row, intent))


def _paid(row: RowMapping, intent: Intent) -> Money:
    """USD that the call has cost the lead who asks."""
    return row["cost_usd"] + row["unknown_usd"] if _is_own(row, intent) else ZERO
