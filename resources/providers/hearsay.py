"""A vendor's words about a failure, without whom it was asked about.

They become the reason why a provider rests: kept with its breaker, shown in the Dagster UI and logged, where
`phase3 forget` has no way to take anybody out. The ledger has the whole answer.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from resources.providers.request import Request

SOMEBODY = "[somebody]"

_READ = 4_000  # characters; nobody is shown so many, and none ends in the middle of a name
_ADDRESS = re.compile(r"[\w.+'-]{1,64}(?:@|%40)[\w.-]{1,255}")
_PROFILE = re.compile(r"linkedin\.com/(?:in|pub)/[^\s\"'<>\\]+", re.IGNORECASE)
_ABOUT_SOMEBODY = re.compile(
    r"[A-Z]|\S*[\s@/]|.*[^\x00-\x7f]", re.DOTALL
)  # parameters of the API look otherwise


def impersonal(said: str, asked: Request | None) -> str:
    """Without addresses, profiles, and names and the like that stand in the request."""
    words = _PROFILE.sub(SOMEBODY, _ADDRESS.sub(SOMEBODY, said[:_READ]))
    named = sorted(set(_told(asked.as_json())) if asked else (), key=lambda one: (-len(one), one))
    if not named:
        return words
    return re.sub(
        rf"(?<!\w)(?:{'|'.join(map(re.escape, named))})(?!\w)", SOMEBODY, words, flags=re.IGNORECASE
    )


def _told(value: Any) -> Iterator[str]:
    """What may be about somebody; the first words of the request are its method and path."""
    if isinstance(value, dict):
        yield from chain.from_iterable(
            _told(one) for name, one in value.items() if name not in {"method", "path"}
        )
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_told, value))
    elif isinstance(value, str) and len(value) > 1 and _ABOUT_SOMEBODY.match(value):
        yield value
