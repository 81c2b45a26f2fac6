"""Where else a person is named: in answers about their company, in words of people and programs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from phase3_core.forgetting import Marks, without
from resources.postgres.person import Person

# --- calls

_MENTIONED = text("""
    SELECT c.key, c.lead_id, c.request, c.response, c.error
    FROM provider_calls AS c
    CROSS JOIN LATERAL (SELECT lower(concat_ws(' ', c.request, c.response, c.error)) AS words OFFSET 0) AS it
    WHERE c.erased_at IS NULL AND (
        EXISTS (SELECT FROM unnest(CAST(:phrases AS text[])) AS mark WHERE strpos(it.words, lower(mark)) > 0)
        OR EXISTS (
            SELECT FROM unnest(CAST(:firsts AS text[]), CAST(:lasts AS text[])) AS name (first, last)
            WHERE strpos(it.words, lower(first)) > 0 AND strpos(it.words, lower(last)) > 0
                AND EXISTS (SELECT FROM unnest(CAST(:companies AS text[])) AS company
                            WHERE strpos(it.words, company) > 0)))
""")
_REWRITE_CALL = text("""
    UPDATE provider_calls SET response = :response, error = :error WHERE key = :key
""").bindparams(bindparam("response", type_=JSONB(none_as_null=True)))


@dataclass(frozen=True, slots=True)
class Mention:
    """A call that names the person: was it `asked` about them, or does only its answer tell of them?"""

    key: bytes
    asked: bool
    response: Any = None
    error: str | None = None

    @property
    def rewritten(self) -> dict[str, Any]:
        return {"key": self.key, "response": self.response, "error": self.error}


def _prefilter(person: Person) -> dict[str, list[str]]:
    marks = person.marks
    return {
        "phrases": list(marks.phrases),
        "firsts": [first for first, _ in marks.names],
        "lasts": [last for _, last in marks.names],
        "companies": list(marks.companies),
    }


def _mention(row: RowMapping, marks: Marks, ids: Collection[UUID]) -> Mention | None:
    words = f"{row['request']} {row['response']}".lower()
    theirs = row["lead_id"] in ids or any(company in words for company in marks.companies)
    if without(row["request"], marks, at_their_company=theirs) != row["request"]:
        return Mention(row["key"], asked=True)
    response = without(row["response"], marks, at_their_company=theirs)
    error = without(row["error"], marks, at_their_company=theirs)
    if (response, error) == (row["response"], row["error"]):
        return None
    return Mention(row["key"], asked=False, response=response, error=error)


async def mentions(connection: AsyncConnection, person: Person) -> list[Mention]:
    """Calls that were not made for their leads, and name them all the same. Reads the whole ledger."""
    marks = person.marks
    if not marks.phrases:
        return []
    rows = (await connection.execute(_MENTIONED, _prefilter(person))).mappings()
    return [mention for row in rows if (mention := _mention(row, marks, person.ids)) is not None]


async def reword_calls(connection: AsyncConnection, found: Sequence[Mention]) -> int:
    """Answers that serve others stay, without the person."""
    told = [mention.rewritten for mention in found if not mention.asked]
    for one in told:
        await connection.execute(_REWRITE_CALL, one)
    return len(told)


# --- whatever else may name them

# Of a campaign they were a lead of: which row it is, and the columns that hold words of people and vendors.
_WORDS: Mapping[str, tuple[str, Sequence[str]]] = {
    "campaigns": ("id", ("description", "status_reason", "import_summary", "verification_summary")),
    "workflow_checkpoints": ("campaign_id", ("output_data", "error_message")),
    "saga_steps": ("campaign_id", ("undo", "error")),
    "approval_requests": ("campaign_id", ("summary", "feedback", "channel")),
    "outbox": ("campaign_id", ("payload", "error")),
    "campaign_audit_log": ("campaign_id", ("details",)),
    "leads": ("campaign_id", ("company_description", "company_keywords", "enrichment_data")),
}
_JSON = {"import_summary", "verification_summary", "output_data", "undo", "summary", "channel", "payload"} | {
    *("details", "company_keywords", "enrichment_data"),
}
_FORGETTING = text("SELECT set_config('phase3.forgetting', 'on', true)")


async def reword(connection: AsyncConnection, person: Person, campaigns: Sequence[UUID]) -> int:
    """Rows in which they were named."""
    await connection.execute(_FORGETTING)
    found = 0
    for table, (campaign, columns) in _WORDS.items():
        naming = text(f"""
            SELECT id, {", ".join(columns)} FROM {table} AS t
            WHERE {campaign} = ANY (:campaigns) AND EXISTS (
                SELECT FROM unnest(CAST(:phrases AS text[])) AS mark
                WHERE strpos(lower(concat_ws(' ', {", ".join(columns)})), lower(mark)) > 0)
        """)  # noqa: S608 - made of constants of the code; every value is bound
        values = {"campaigns": list(campaigns), "phrases": list(person.marks.phrases)}
        for row in (await connection.execute(naming, values)).mappings().all():
            await _rewrite(connection, table, row, person.marks)
            found += 1
    return found


async def _rewrite(connection: AsyncConnection, table: str, row: RowMapping, marks: Marks) -> None:
    columns = [name for name in row if name != "id"]
    rewrite = text(f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in columns)} WHERE id = :id")  # noqa: S608 - made of constants of the code; every value is bound
    typed = rewrite.bindparams(
        *(bindparam(name, type_=JSONB(none_as_null=True)) for name in columns if name in _JSON)
    )
    news = {name: without(row[name], marks, at_their_company=True) for name in columns}
    await connection.execute(typed, {"id": row["id"], **news})
