"""The campaign's leads as CSV: as phase 2 hands them over, and with what is true of them."""

import csv
import io
from collections.abc import Iterable

from sandbox.companies import ENRICHERS, NEWS
from sandbox.people import Person
from sandbox.world import World

_LEAD_COLUMNS = (
    "first_name",
    "last_name",
    "email",
    "linkedin_url",
    "title",
    "company_name",
    "company_domain",
    "lead_score",
    "lead_tier",
)
_TRUTH_COLUMNS = (
    "row",
    "name",
    "company_domain",
    "email",
    "fate",
    "accepted",
    "catch_all",
    "mailbox_exists",
    "reoon",
    "mailverify",
    "first_finder",
    "finders",
    "site",
    "enrichers",
    "lead_tier",
)


def delivered(world: World) -> str:
    """No lead brings an address."""
    return _csv(_LEAD_COLUMNS, map(_lead, world.people))


def truth(world: World) -> str:
    """What is true of each lead, in the order of the campaign."""
    return _csv(_TRUTH_COLUMNS, (_fact(world, row, one) for row, one in enumerate(world.people, start=1)))


def _lead(person: Person) -> tuple[object, ...]:
    company = person.company
    return (
        person.first,
        person.last,
        "",
        person.linkedin,
        person.title,
        company.name,
        company.domain,
        person.score,
        person.tier,
    )


def _fact(world: World, row: int, person: Person) -> tuple[object, ...]:
    company, email = person.company, person.email
    return (
        row,
        person.name,
        company.domain,
        email,
        person.fate.value,
        _yes(value=person.fate.accepted),
        _yes(value=company.catch_all),
        _yes(value=person.mailbox),
        world.reoon(email) if email else "",
        world.second_opinion(email) if email else "",
        person.finders[0] if person.finders else "",
        " ".join(person.finders),
        company.site.value,
        " ".join(name for name in (*ENRICHERS, NEWS) if name in company.known_to),
        person.tier,
    )


def _csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return page.getvalue()


def _yes(*, value: bool) -> str:
    return "true" if value else "false"
