"""What a vendor is asked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from phase3_core.leads import Lead


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about: a lead, and for a verifier the address; `options` as the spec declares them."""

    lead: Lead
    email: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def canonical(self) -> "Question":
        """An address is asked about in lower case, so that it is one question however it is spelled."""
        lead = replace(self.lead, email=self.lead.email.lower())
        return replace(self, lead=lead, email=self.email.lower())


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request below the vendor's base URL, without its secrets."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    form: Mapping[str, str] | None = None

    def as_json(self) -> dict[str, Any]:
        """What the ledger keeps, and what makes a question the same question."""
        parts = {"query": dict(self.query), "body": self.body, "form": dict(self.form or {})}
        return {"method": self.method, "path": self.path} | {k: v for k, v in parts.items() if v}


def get(path: str, **query: str) -> Request:
    return Request("GET", path, query)


def post(path: str, **body: Any) -> Request:
    return Request("POST", path, body=body)


def post_form(path: str, **form: str) -> Request:
    return Request("POST", path, form=form)


def filled(**fields: str) -> dict[str, str]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value}


def own_id(asked: Mapping[str, str]) -> str:
    """Our name for a question at the vendor: the same fields, the same id."""
    return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).hexdigest()
