"""Questions about an address are known by its lower case: those that were asked in another are, too.

A call in flight keeps its key until it ends; one whose other spelling was asked as well keeps it for good.
"""

import hashlib
import json
from typing import Any

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

DIGEST_BYTES = 20

SPELLED = """
SELECT key, provider, operation, request FROM provider_calls
WHERE state <> 'intent' AND request::text ~ '"email[A-Za-z]*": "[^"]*[[:upper:]]'
"""
RESPELL = """
UPDATE provider_calls SET key = %(new)s, request = %(request)s::jsonb
WHERE key = %(old)s AND NOT EXISTS (SELECT FROM provider_calls WHERE key = %(new)s)
"""


def upgrade() -> None:
    connection = op.get_bind()
    for key, provider, operation, request in connection.exec_driver_sql(SPELLED).all():
        if key[:DIGEST_BYTES] == _digest(provider, operation, request):
            lower = _in_lower_case(request)
            new = _digest(provider, operation, lower) + key[DIGEST_BYTES:]
            connection.exec_driver_sql(RESPELL, {"old": key, "new": new, "request": json.dumps(lower)})


def _in_lower_case(part: Any, name: str = "") -> Any:
    match part:
        case dict():
            return {inner: _in_lower_case(value, inner) for inner, value in part.items()}
        case list():
            return [_in_lower_case(value, name) for value in part]
        case str() if name.startswith("email"):
            return part.lower()
        case _:
            return part


def _digest(provider: str, operation: str, request: Any) -> bytes:
    """As the ledger made it when this was written."""
    asked = [provider, operation, request]
    encoded = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
