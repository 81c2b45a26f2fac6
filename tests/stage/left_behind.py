"""What a run that died has left behind, without what the clock or chance has in it.

Where two have left the same, the next run finds the same: that one goes on from rows, bills and files alone.
"""

import re
from hashlib import sha256

from resources.postgres.tables import metadata
from tests.polling import until
from tests.stage.stage import Stage

# Ids of leads are numbers, and stay; those of campaigns, runs and requests are random.
BY_CHANCE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# What is made of those: digests, and the names of files.
DERIVED = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{12})\b")
SECONDS = re.compile(r"\b1\d{9}(?:\.\d+)?\b")  # since 1970, as vendors tell the time
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::\d\d)?)?")
MEASURED = re.compile(r'"(?:response_time_ms|duration_s|grant_id)": [^,}]+')
PORT = re.compile(r"127\.0\.0\.1:\d+")
OTHERS = """
SELECT count(*) AS others FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
TABLES = [f"SELECT to_jsonb(row)::text AS row FROM {name} AS row" for name in sorted(metadata.tables)]


async def left_behind(stage: Stage) -> bytes:
    """Once the server has ended what the run had begun, and the vendors have heard all that it sent."""

    async def over() -> bool:
        return not stage.sandbox.connected and not stage.query(OTHERS)[0]["others"]

    await until(over, every_s=0.002)
    tables = [sorted(_lasting(row["row"]) for row in rows) for rows in stage.query_all(*TABLES)]
    bill = stage.sandbox.parts.bill
    charges = [(one.vendor, one.operation, one.question, one.amount_usd) for one in bill.charges]
    names = sorted(
        _lasting(str(path)) for path in stage.play.folder.rglob(f"*{stage.play.campaign_id.hex[:8]}*")
    )
    return sha256(repr([tables, charges, sorted(bill.asked.items()), names]).encode()).digest()


def _lasting(text: str) -> str:
    for varies in (BY_CHANCE, DERIVED, MOMENT, SECONDS, MEASURED, PORT):
        text = varies.sub("", text)
    return text
