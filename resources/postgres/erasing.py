"""What stays of a person's rows: who paid what for how many, and nothing about anybody.

A key is a digest of the question, which could be found by hashing guesses: it is replaced by a random one. So
the answer serves nobody any more, and amounts stay where they were booked. A call in flight keeps its key
until it ends, so that its price is booked.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# What every statement sets that ends a call: 16 bytes at random are no question's key, which has 24.
UNLINKED = """key = CASE WHEN c.erased_at IS NULL THEN c.key ELSE uuid_send(gen_random_uuid()) END,
    job_id = CASE WHEN c.erased_at IS NULL THEN c.job_id END"""

_SPOKEN_OF = "request = '{}', response = NULL, error = NULL, erased_at = now()"
ERASED_CALL = f"""{_SPOKEN_OF},
    key = CASE WHEN c.state = 'intent' THEN c.key ELSE uuid_send(gen_random_uuid()) END,
    job_id = CASE WHEN c.state = 'intent' THEN c.job_id END"""

# All else in `leads` may be about the person, also columns that we know nothing of.
KEPT_OF_A_LEAD = (
    *("id", "campaign_id", "status", "lead_score", "lead_tier", "created_at", "updated_at"),
    *("email_status", "email_provider", "email_verifier", "email_confidence", "email_verified_at"),
    *("email_cost", "enrichment_status", "enrichment_cost", "enrichment_completed_at", "enriched_as"),
    *("suppressed_at", "suppressed_by", "erased_at"),
)

# Where phase 2 wants something, a text says what happened and is nobody else's, as far as it fits; documents
# and lists are empty. Numbers and dates that must be there stay.
_EMPTIED = text("""
    SELECT string_agg(format(
        CASE
            WHEN NOT attnotnull THEN '%1$I = NULL'
            WHEN typcategory = 'S' AND atttypmod > 4 THEN '%1$I = left(''forgotten '' || id, %2$s)'
            WHEN typcategory = 'S' THEN '%1$I = ''forgotten '' || id'
            ELSE '%1$I = ''{}''' END, attname, atttypmod - 4), ', ')
    FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid
    WHERE attrelid = 'leads'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attname <> ALL (:kept)
        AND (NOT attnotnull OR typcategory IN ('S', 'A') OR typname IN ('json', 'jsonb'))
""")


async def erase_leads(connection: AsyncConnection, ids: Sequence[UUID]) -> int:
    """How many were not erased before; nobody works on them from then on."""
    emptied = await connection.scalar(_EMPTIED, {"kept": list(KEPT_OF_A_LEAD)})
    erase = text(f"""
        UPDATE leads SET {emptied}, erased_at = now(), suppressed_by = NULL,
            suppressed_at = coalesce(suppressed_at, now()), updated_at = now()
        WHERE id = ANY (:ids) AND erased_at IS NULL
    """)  # noqa: S608 - names of columns, quoted by the server
    return (await connection.execute(erase, {"ids": list(ids)})).rowcount
