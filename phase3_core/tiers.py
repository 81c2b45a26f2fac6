"""Tiers A, B, C and the enrichment profile that each one buys (seed rule)."""

from dataclasses import dataclass
from enum import StrEnum

from phase3_core.money import Money, usd


class Tier(StrEnum):
    A = "A"
    B = "B"
    C = "C"


class Topic(StrEnum):
    """What can be asked about a lead or its company."""

    NEWS = "news"
    FUNDING = "funding"
    HIRING = "hiring"
    WEBSITE = "website"
    COMPANY = "company"
    CONTACT = "contact"
    INTENT = "intent"
    TECH_STACK = "tech_stack"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a tier's leads are enriched with.

    `required` are the fields without which a lead is `partial`; `cap` is USD for one lead.
    """

    name: str
    topics: frozenset[Topic]
    required: frozenset[str]
    cap: Money


_BASIC = frozenset({Topic.NEWS, Topic.WEBSITE})
_STANDARD = _BASIC | {Topic.COMPANY, Topic.CONTACT}

PROFILES: dict[Tier, Profile] = {
    Tier.A: Profile(
        "full",
        frozenset(Topic),
        frozenset({"company_description", "company_industry", "company_employee_count"}),
        usd("0.50"),
    ),
    Tier.B: Profile(
        "standard", _STANDARD, frozenset({"company_description", "company_industry"}), usd("0.20")
    ),
    Tier.C: Profile("basic", _BASIC, frozenset({"company_description"}), usd("0.05")),
}
