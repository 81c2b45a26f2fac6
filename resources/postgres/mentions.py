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

# More than name the person, of rows with their `words` in lower case: what `without` finds in them counts.
_MAY_NAME = """(
    EXISTS (SELECT FROM unnest(CAST(:profiles AS text[])) AS profile WHERE strpos(it.words, profile) > 0)
    OR EXISTS (SELECT FROM unnest(CAST(:boxes AS text[]), CAST(:hosts AS text[])) AS mail (box, host)
               WHERE strpos(it.words, box) > 0 AND strpos(it.words, host) > 0)
    OR EXISTS (
        SELECT FROM unnest(CAST(:firsts AS text[]), CAST(:lasts AS text[])) AS name (first, last)
        WHERE strpos(it.words, lower(first)) > 0 AND strpos(it.words, lower(last)) > 0
            AND (:wherever OR EXISTS (SELECT FROM unnest(CAST(:companies AS text[])) AS company
                                      WHERE strpos(it.words, company) > 0))))
"""


def _sought(marks: Marks, *, wherever: bool) -> dict[str, Any]:
    """Names count `wherever` they stand, or only beside their company."""
    boxes, hosts = _columns(marks.mailboxes)
    firsts, lasts = _columns(marks.names)
    pairs = {"boxes": boxes, "hosts": hosts, "firsts": firsts, "lasts": lasts}
    alone = {"profiles": list(marks.profiles), "companies": list(marks.companies)}
    return {**pairs, **alone, "wherever": wherever}


def _columns(pairs: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


# --- calls

_MENTIONED = text(f"""
    SELECT c.key, c.lead_id, c.request, c.response, c.error
    FROM provider_calls AS c
    CROSS JOIN LATERAL (SELECT lower(concat_ws(' ', c.request, c.response, c.error)) AS words OFFSET 0) AS it
    WHERE c.erased_at IS NULL AND {_MAY_NAME}
""")  # noqa: S608 - made of constants of the code; every value is bound
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
    if not marks:
        return []
    rows = (await connection.execute(_MENTIONED, _sought(marks, wherever=False))).mappings()
    return [mention for row in rows if (mention := _mention(row, marks, person.ids)) is not None]


async def reword_calls(connection: AsyncConnection, found: Sequence[Mention]) -> int:
    """Answers that serve others stay, without the person."""
    told = [mention.rewritten for mention in found if not mention.asked]
    for one in told:
        await connection.execute(_REWRITE_CALL, one)
    return len(told)


# --- whatever else may name them

_OF_COMPANY = ("company_description", "company_keywords", "enrichment_data")
_THEIRS = "campaign_id = ANY (:campaigns)"
# Which rows may name them, and the columns that hold words of people and vendors.
_WORDS: Mapping[str, tuple[str, Sequence[str]]] = {
    "campaigns": (
        "id = ANY (:campaigns)",
        ("description", "status_reason", "import_summary", "verification_summary"),
    ),
    "workflow_checkpoints": (_THEIRS, ("output_data", "error_message")),
    "saga_steps": (_THEIRS, ("undo", "error")),
    "approval_requests": (_THEIRS, ("summary", "feedback", "channel")),
    "outbox": (_THEIRS, ("payload", "error")),
    "campaign_audit_log": (_THEIRS, ("details",)),
    "leads": (f"({_THEIRS} OR id = ANY (:colleagues))", _OF_COMPANY),
}
_JSON = {"import_summary", "verification_summary", "output_data", "undo", "summary", "channel", "payload"} | {
    *("details", "company_keywords", "enrichment_data"),
}
_FORGETTING = text("SELECT set_config('phase3.forgetting', 'on', true)")


_COLLEAGUES = text(f"""
    SELECT id FROM leads
    CROSS JOIN LATERAL (
        SELECT lower(concat_ws(' ', company_domain, {", ".join(_OF_COMPANY)})) AS words OFFSET 0
    ) AS it
    WHERE {_MAY_NAME}
""")  # noqa: S608 - made of constants of the code; every value is bound


async def colleagues(connection: AsyncConnection, person: Person) -> list[UUID]:
    """Leads of any campaign whose company data may name them. Reads all leads."""
    marks = person.marks
    return list(await connection.scalars(_COLLEAGUES, _sought(marks, wherever=False))) if marks else []


async def reword(
    connection: AsyncConnection, person: Person, campaigns: Sequence[UUID], known: Sequence[UUID]
) -> int:
    """Rows in which they were named. `known`: the leads that `colleagues` found."""
    await connection.execute(_FORGETTING)
    of = {"campaigns": list(campaigns), "colleagues": list(known), **_sought(person.marks, wherever=True)}
    return sum([await _reword_table(connection, table, of, person.marks) for table in _WORDS])


async def _reword_table(connection: AsyncConnection, table: str, of: Mapping[str, Any], marks: Marks) -> int:
    where, columns = _WORDS[table]
    naming = text(f"""
        SELECT id, {", ".join(columns)} FROM {table}
        CROSS JOIN LATERAL (SELECT lower(concat_ws(' ', {", ".join(columns)})) AS words OFFSET 0) AS it
        WHERE {where} AND {_MAY_NAME}
    """)  # noqa: S608 - made of constants of the code; every value is bound
    bound = {name: of[name] for name in of if f":{name}" in naming.text}
    rows = (await connection.execute(naming, bound)).mappings().all()
    return sum([await _rewrite(connection, table, row, marks) for row in rows])


async def _rewrite(connection: AsyncConnection, table: str, row: RowMapping, marks: Marks) -> bool:
    """Whether the row named them."""
    columns = [name for name in row if name != "id"]
    news = {name: without(row[name], marks, at_their_company=True) for name in columns}
    if all(news[name] == row[name] for name in columns):
        return False
    rewrite = text(f"UPDATE {table} SET {', '.join(f'{name} = :{name}' for name in columns)} WHERE id = :id")  # noqa: S608 - made of constants of the code; every value is bound
    typed = rewrite.bindparams(
        *(bindparam(name, type_=JSONB(none_as_null=True)) for name in columns if name in _JSON)
    )
    await connection.execute(typed, {"id": row["id"], **news})
    return True
