"""JSON as PostgreSQL takes it."""

import json
import re
from typing import Any

_PLAIN = json.JSONEncoder(default=str, ensure_ascii=False)
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def json_text(value: Any) -> str:
    """JSON as PostgreSQL takes it: exact amounts as text, without what vendors send and jsonb refuses."""
    written = _PLAIN.encode(value)
    if "\\u0000" in written:
        written = _NUL.sub(r"\1", written)
    return written if written.isascii() else written.encode("utf-8", "replace").decode()
