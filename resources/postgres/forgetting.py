"""A person is forgotten: listed first, so that nothing more is asked, then erased in one transaction.

Reading the whole ledger takes seconds and locks nothing. The transaction then holds the ledger's table for
some milliseconds: nobody writes calls meanwhile, so that none of theirs is missed and none half erased. What
was in flight at that moment is settled without its answer (see `erasing.py`). It may be broken off anywhere
and done again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.errors import BadInput
from phase3_core.exports import Export
from phase3_core.forgetting import Pseudonyms, identities_to_list, lead_subject
from phase3_core.money import Money
from phase3_core.saga import StepKind
from phase3_core.suppression import normalised
from resources.postgres.approval_requests import withdraw_pending
from resources.postgres.erasing import ERASED_CALL, erase_leads
from resources.postgres.lease import standing
from resources.postgres.lists import withdraw_lists
from resources.postgres.mentions import Mention, colleagues, mentions, reword, reword_calls
from resources.postgres.person import Person, person_named
from resources.postgres.suppression import recognise

SOURCE = "phase3 forget"
NO_KEY = (
    "Set PHASE3_FORGET_KEY to a long random secret (`openssl rand -hex 32`) and keep it as long as the list: "
    "by it alone whoever is forgotten is recognised and never asked about again."
)
NOT_YOURS = "Forgetting also changes the audit log, which this role may not: use that of `phase3 db upgrade`."
WITHDRAWN = "a person of this campaign was forgotten"
Operation = tuple[str, str]  # provider and operation
_MAY = text("SELECT has_table_privilege('campaign_audit_log', 'UPDATE')")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a provider was asked about the person."""

    provider: str
    calls: int
    cost: Money
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Campaign:
    """Where the person was a lead."""

    id: UUID
    name: str
    status: str
    worked_on: bool


@dataclass
class Erased:
    """What was done, in rows; `requests`: campaigns whose pending request for approval is withdrawn."""

    asked: Sequence[Asked] = ()
    campaigns: Sequence[Campaign] = ()
    listed: int = 0
    leads: int = 0
    calls: int = 0
    in_flight: int = 0
    mentions: int = 0
    requests: list[UUID] = field(default_factory=list)
    undo: list[str] = field(default_factory=list)  # names of the saga steps that withdraw exports


class PostgresForgetting:
    """`about_companies`: operations whose answers are about a company, and serve its other leads."""

    def __init__(
        self, engine: AsyncEngine, known: Pseudonyms, about_companies: Collection[Operation]
    ) -> None:
        self._engine = engine
        self._known = known
        self._about_companies = frozenset(about_companies)

    async def person(self, who: str) -> Person:
        """By address or by a lead's id; raises BadInput where there is no such lead, or no key."""
        if not self._known.key:
            raise BadInput(NO_KEY)
        async with self._engine.connect() as connection:
            await recognise(connection, self._known)
            if not await connection.scalar(_MAY):
                raise BadInput(NOT_YOURS)
            return await person_named(connection, who, self._known)

    async def forget(self, person: Person, written: Mapping[UUID, Sequence[Export]]) -> Erased:
        """`written`: exports of each campaign that no row tells of."""
        erased = Erased()
        async with self._engine.begin() as connection:
            erased.listed = await _list(connection, person, self._known)
        async with self._engine.connect() as connection:
            mentioned, known = await mentions(connection, person), await colleagues(connection, person)
        async with self._engine.begin() as connection:
            await connection.execute(_HOLD)
            erased.asked = await self._asked(connection, person, mentioned)
            erased.campaigns = await _campaigns(connection, person.ids)
            await self._erase(connection, person, mentioned, erased)
            erased.mentions += await reword(connection, person, [one.id for one in erased.campaigns], known)
            await _withdraw(connection, erased, written)
        return erased

    async def _asked(
        self, connection: AsyncConnection, person: Person, mentioned: Sequence[Mention]
    ) -> list[Asked]:
        keys = [mention.key for mention in mentioned if mention.asked]
        values = {"leads": person.ids, "keys": keys, **self._company_calls}
        return [Asked(*row) for row in await connection.execute(_ASKED, values)]

    async def _erase(
        self, connection: AsyncConnection, person: Person, mentioned: Sequence[Mention], erased: Erased
    ) -> None:
        keys = [mention.key for mention in mentioned if mention.asked]
        values = {"leads": person.ids, "keys": keys, **self._company_calls}
        states = [row.state for row in await connection.execute(_ERASE_CALLS, values)]
        erased.calls, erased.in_flight = len(states), states.count("intent")
        on_rolls = await connection.scalars(_ON_ROLLS, {"leads": person.ids})
        rolls = sorted(on_rolls)
        erased.leads = await erase_leads(connection, person.ids)
        erased.mentions = await reword_calls(connection, mentioned)
        for campaign_id in rolls:
            if await withdraw_pending(connection, campaign_id, WITHDRAWN):
                erased.requests.append(campaign_id)

    @property
    def _company_calls(self) -> dict[str, list[str]]:
        pairs = sorted(self._about_companies)
        return {"company_calls": [f"{provider} {operation}" for provider, operation in pairs]}


# --- the list

_ADD = text("""
    INSERT INTO suppression_list (forgotten, reason, source)
    SELECT entry, 'forgotten', :source FROM unnest(CAST(:entries AS text[])) AS entry
    WHERE NOT EXISTS (SELECT FROM suppression_list WHERE forgotten = entry)
""")
# Whoever was listed by address is known by its hash now.
_NAMELESS = text("DELETE FROM suppression_list WHERE phase3_mailbox(email) = ANY (:addresses)")
_SERIALLY = text("LOCK TABLE suppression_list IN SHARE ROW EXCLUSIVE MODE")


async def _list(connection: AsyncConnection, person: Person, known: Pseudonyms) -> int:
    """How many entries are new. One forgetting's entries share their source."""
    hashes = known.of(identities_to_list(person.leads, person.addresses))
    entries = [*hashes, *map(lead_subject, person.ids)]
    await connection.execute(_SERIALLY)
    added = await connection.execute(_ADD, {"entries": entries, "source": f"{SOURCE} {uuid4()}"})
    addresses = [*filter(None, map(normalised, person.addresses))]
    await connection.execute(_NAMELESS, {"addresses": addresses})
    return added.rowcount


# --- the ledger

_HOLD = text("LOCK TABLE provider_calls IN SHARE ROW EXCLUSIVE MODE")
_ABOUT_THEM = """
    (c.lead_id = ANY (:leads) AND c.provider || ' ' || c.operation <> ALL (:company_calls)
     OR c.key = ANY (:keys))
"""
_ASKED = text(f"""
    SELECT c.provider, count(*), sum(c.cost_usd + c.unknown_usd), max(coalesce(c.asked_at, c.created_at))
    FROM provider_calls AS c WHERE {_ABOUT_THEM} GROUP BY c.provider ORDER BY c.provider
""")  # noqa: S608 - made of constants of the code; every value is bound
_ERASE_CALLS = text(f"""
    UPDATE provider_calls AS c SET {ERASED_CALL}
    WHERE {_ABOUT_THEM} AND c.erased_at IS NULL RETURNING c.state
""")  # noqa: S608 - made of constants of the code; every value is bound


# --- campaigns and what was written of them

_ON_ROLLS = text("""
    SELECT DISTINCT campaign_id FROM leads WHERE id = ANY (:leads) AND suppressed_at IS NULL
""")
_CAMPAIGNS = text("""
    SELECT id, coalesce(name, '') AS name, coalesce(status::text, '') AS status FROM campaigns
    WHERE id IN (SELECT campaign_id FROM leads WHERE id = ANY (:leads)) ORDER BY id FOR UPDATE
""")
# Whoever asks again does not wait until the next try is due.
_OPEN = text("""
    UPDATE saga_steps SET attempts = 0
    WHERE campaign_id = ANY (:ids) AND step = :step AND state <> 'compensated' RETURNING run_id
""")
_NOTE = text("""
    INSERT INTO campaign_audit_log (campaign_id, action, actor, actor_type, details)
    VALUES (:campaign_id, 'person_forgotten', 'phase3', 'human', :details)
""").bindparams(bindparam("details", type_=JSONB))


async def _campaigns(connection: AsyncConnection, ids: Sequence[UUID]) -> list[Campaign]:
    rows = (await connection.execute(_CAMPAIGNS, {"leads": list(ids)})).all()
    return [Campaign(row.id, row.name, row.status, await _worked_on(connection, row.id)) for row in rows]


async def _worked_on(connection: AsyncConnection, campaign_id: UUID) -> bool:
    found = await standing(connection, campaign_id)
    return found is not None and found.held


async def _withdraw(
    connection: AsyncConnection, erased: Erased, written: Mapping[UUID, Sequence[Export]]
) -> None:
    """Noted as steps to be taken back: a disk or a Google that fails is tried again until it is done."""
    if erased.leads:
        for campaign in erased.campaigns:
            await withdraw_lists(connection, campaign.id, written.get(campaign.id, ()))
            told = {"campaign_id": campaign.id, "details": {"calls": erased.calls}}
            await connection.execute(_NOTE, told)
    ids = [campaign.id for campaign in erased.campaigns]
    erased.undo = [
        row.run_id for row in await connection.execute(_OPEN, {"ids": ids, "step": StepKind.LISTS})
    ]
