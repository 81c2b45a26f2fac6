"""What ZoomInfo is asked: inputs and wishes out of either envelope, and a question in canonical words."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.vendor import asked
from sandbox.wire import Ask, word

COMPANY_KEYS = ("companyId", "companyWebsite", "companyName")
PERSON_KEYS = (
    "personId",
    "emailAddress",
    "firstName",
    "lastName",
    "fullName",
    "companyName",
    "companyId",
    "externalURL",
)


def attributes_of(ask: Ask) -> dict[str, Any]:
    data = ask.data.get("data")
    attributes = data.get("attributes") if isinstance(data, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def fields_of(given: Any, names: Sequence[str]) -> dict[str, str]:
    """The named fields that are set, numbers as text."""
    fields = given if isinstance(given, dict) else {}
    return {name: str(fields[name]).strip() for name in names if isinstance(fields.get(name), str | int)}


def inputs_of(attributes: Mapping[str, Any], key: str) -> list[dict[str, str]]:
    given = attributes.get(key)
    names = COMPANY_KEYS if key == "matchCompanyInput" else PERSON_KEYS
    return [fields_of(one, names) for one in given] if isinstance(given, list) else []


def output_fields(attributes: Mapping[str, Any]) -> list[str]:
    return texts(attributes.get("outputFields"))


def texts(given: Any) -> list[str]:
    return [word(one) for one in given if word(one)] if isinstance(given, list) else []


def companies_asked(ask: Ask) -> str:
    attributes = attributes_of(ask) or ask.data
    inputs = inputs_of(attributes, "matchCompanyInput") or [fields_of(attributes, COMPANY_KEYS)]
    return "; ".join(asked(*one.values()) for one in inputs)


def people_asked(ask: Ask) -> str:
    inputs = inputs_of(attributes_of(ask) or ask.data, "matchPersonInput")
    return "; ".join(asked(*one.values()) for one in inputs)


def topics_asked(ask: Ask) -> str:
    attributes = attributes_of(ask) or ask.data
    return asked(*fields_of(attributes, COMPANY_KEYS).values(), *texts(attributes.get("topics")))
