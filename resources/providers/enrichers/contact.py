"""A person at work, in one shape for all sources: never a private address."""

from collections.abc import Iterable
from typing import Any

MOST_POSITIONS = 5


def contact(
    *,
    title: str = "",
    linkedin_url: str = "",
    phones: Iterable[str] = (),
    seniority: str = "",
    departments: Iterable[str] = (),
    employment_history: Iterable[dict[str, str]] = (),
) -> dict[str, Any]:
    """The field `contact`; no field at all where nothing is known of the person."""
    known = {
        "title": title,
        "linkedin_url": linkedin_url,
        "phones": list(dict.fromkeys(phone for phone in phones if phone)),
        "seniority": seniority,
        "departments": list(departments),
        "employment_history": [row for row in employment_history if any(row.values())][:MOST_POSITIONS],
    }
    return {"contact": known} if any(known.values()) else {}
