"""The suppression list: entries put on and taken off, known by what they mean and not as written."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from phase3_core.errors import BadInput
from phase3_core.forgetting import Pseudonyms

SOURCE = "phase3 suppress"

_ADD = text("""
    INSERT INTO suppression_list (email, domain, reason, source)
    SELECT CASE WHEN entry LIKE '%@%' THEN entry END, CASE WHEN entry NOT LIKE '%@%' THEN entry END,
        nullif(:reason, ''), :source
    FROM unnest(CAST(:entries AS text[])) AS entry
    WHERE NOT EXISTS (SELECT FROM suppressed_subjects AS listed WHERE listed.subject = entry)
""")

_REMOVE = text("""
    DELETE FROM suppression_list
    WHERE phase3_mailbox(email) = ANY (:entries) OR phase3_listed_domain(domain) = ANY (:entries)
""")

_SERIALLY = text("LOCK TABLE suppression_list IN SHARE ROW EXCLUSIVE MODE")  # reading goes on


_STRANGE = text("""
    SELECT EXISTS (
        SELECT FROM suppression_list
        WHERE forgotten NOT LIKE 'lead-%' AND split_part(forgotten, '-', 1) <> :fingerprint)
""")


async def recognise(connection: AsyncConnection, known: Pseudonyms) -> None:
    """Raises BadInput where people were forgotten under another key than this one, or this is none."""
    if await connection.scalar(_STRANGE, {"fingerprint": known.fingerprint}):
        raise BadInput(
            "There are forgotten people on the suppression list whom this process cannot recognise: set "
            "PHASE3_FORGET_KEY to the key under which they were forgotten."
        )


class PostgresSuppressions:
    """`entries` are subjects: normalised addresses and bare domains."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, entries: Sequence[str], reason: str = "") -> int:
        """How many are new; the others stay as they are."""
        values = {"entries": list(entries), "reason": reason, "source": SOURCE}
        async with self._engine.begin() as connection:
            await connection.execute(_SERIALLY)
            return (await connection.execute(_ADD, values)).rowcount

    async def remove(self, entries: Sequence[str]) -> int:
        """How many rows are gone."""
        async with self._engine.begin() as connection:
            await connection.execute(_SERIALLY)
            return (await connection.execute(_REMOVE, {"entries": list(entries)})).rowcount
