"""Which item of a ZoomInfo answer is ours: told by the input that it repeats, never by its position."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from phase3_core.calls import Facts, Miss
from resources.providers.answers import Answer, Problem, Remedy
from resources.providers.reading import dig, items_at, text_at
from resources.providers.response import Response

Fields = Callable[[Any], Mapping[str, Any]]
Record = Callable[[dict[str, Any]], dict[str, Any] | None]


def reading(fields: Fields, record: Record, *where: str) -> Callable[[Response], Answer]:
    """A reader for answers whose items lie at `where`; `record` is an item's data, None for no match."""

    def read(response: Response) -> Answer:
        if not isinstance(dig(response.body, *where), list):
            return Problem(Remedy.NONSENSE, "no list of items in the answer")
        ours = [item for item in items_at(response.body, *where) if _is_ours(item, _asked(response))]
        if not ours:
            return Problem(Remedy.NONSENSE, "no item answers the input")
        found = record(ours[0])
        return Facts(fields(found)) if found else Miss()

    return read


def new_record(item: dict[str, Any]) -> dict[str, Any] | None:
    """As the GTM API sends it."""
    missed = text_at(item, "type") == "NoMatch" or text_at(item, "meta", "matchStatus") == "NO_MATCH"
    attributes = dig(item, "attributes")
    return attributes if isinstance(attributes, dict) and not missed else None


def old_record(item: dict[str, Any]) -> dict[str, Any] | None:
    """As the legacy API sends it: no match is an empty list."""
    return next(iter(items_at(item, "data")), None)


def _asked(response: Response) -> dict[str, Any]:
    """Our input: one per call."""
    body = response.request.body if response.request else None
    asked = dig(body, "data", "attributes") or body
    names = ("matchCompanyInput", "matchPersonInput")
    return next((one for name in names for one in items_at(asked, name)), {})


def _is_ours(item: dict[str, Any], asked: Mapping[str, Any]) -> bool:
    """Keys come back in lower case, addresses perhaps in another form."""
    told = dig(item, "meta", "input") or dig(item, "input")
    given = {key.lower(): _plain(value) for key, value in told.items()} if isinstance(told, dict) else {}
    return bool(asked) and all(given.get(key.lower()) == _plain(value) for key, value in asked.items())


def _plain(value: Any) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    return text.rpartition("://")[2].removeprefix("www.").rstrip("/")


def first_text(values: Any) -> str:
    """Text, or the first text of a list."""
    return text_at(values) or next((text_at(one) for one in _listed(values) if text_at(one)), "")


def texts(values: Any, name: str) -> list[str]:
    """The texts of a list, also where each stands in an object under `name`."""
    found = (text_at(one) or text_at(one, name) for one in _listed(values))
    return [text for text in found if text]


def _listed(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list) else [values]
