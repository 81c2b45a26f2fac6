"""What Apollo is asked, by query or body, and a question in canonical words."""

from collections.abc import Sequence

from sandbox.vendor import asked
from sandbox.wire import Ask, word

COMPANY_KEYS = ("domain", "linkedin_url", "name", "website")
PERSON_KEYS = (
    "email",
    "id",
    "linkedin_url",
    "name",
    "first_name",
    "last_name",
    "domain",
    "organization_name",
)


def fields_of(ask: Ask, names: Sequence[str]) -> dict[str, str]:
    return {name: ask.param(name) or ask.word(name) for name in names}


def words_of(item: object, names: Sequence[str]) -> dict[str, str]:
    fields = item if isinstance(item, dict) else {}
    return {name: word(fields.get(name)) for name in names}


def organization_inputs(ask: Ask) -> list[dict[str, str]]:
    """From `domains[]` in the query, `domains` in the body, or `details`."""
    details = ask.data.get("details")
    if isinstance(details, list):
        return [words_of(item, COMPANY_KEYS) for item in details]
    domains = ask.data.get("domains")
    listed = domains if isinstance(domains, list) else ask.params("domains[]")
    return [{"domain": word(domain)} for domain in listed]


def company_asked(ask: Ask) -> str:
    return asked(*fields_of(ask, COMPANY_KEYS).values())


def person_asked(ask: Ask) -> str:
    return asked(*fields_of(ask, PERSON_KEYS).values())


def batch_asked(ask: Ask) -> str:
    given = ask.data.get("details") or ask.data.get("domains") or ask.params("domains[]")
    return f"batch of {len(given) if isinstance(given, list) else 0}"


def ids_asked(ask: Ask) -> str:
    given = ask.data.get("organization_ids")
    return asked(*map(word, given)) if isinstance(given, list) else asked(*ask.params("organization_ids[]"))


def first_asked(ask: Ask) -> str:
    return ask.args[0]
