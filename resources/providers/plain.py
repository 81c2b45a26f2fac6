"""A vendor's JSON without what PostgreSQL refuses: NUL, lone surrogates, numbers beyond all measure."""

import json
import math
import re
from typing import Any

from resources.providers.response import Response

RAW_KEPT = 20_000  # characters of an answer that is no JSON
# Each alternative begins with a character of its own, so that the search skips all others.
UNSTORABLE = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|\x00|e[+-]?\d{4,}|E[+-]?\d{4,}|NaN|Infinity")


def plain(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        case float() if not math.isfinite(value):
            return None
        case list():
            return [plain(item) for item in value]
        case dict():
            return {plain(name): plain(item) for name, item in value.items()}
        case _:
            return value


def plain_json(response: Response) -> str:
    """The raw answer as JSON that can be stored; what is no JSON becomes a JSON string."""
    if response.body is None:
        return json.dumps(plain(response.text[:RAW_KEPT]))
    if UNSTORABLE.search(response.text):
        return json.dumps(plain(response.body))
    return response.text
