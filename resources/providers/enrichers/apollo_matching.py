"""Which of the things that Apollo found answers which question of a bulk form."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from resources.providers.reading import bare_domain, text_at
from resources.providers.request import Request

Found = Mapping[str, Any]


def domain_of(asked: Request) -> str:
    return asked.query["domain"]


def joined(
    found: Sequence[Found] | None, asked: Sequence[Request], same: Callable[[Found, Request], bool]
) -> list[Found | None]:
    """For each question what was found, `{}` for nothing, None where nobody can tell, as of two namesakes.

    One thing that goes by another name, as a company that has moved, answers the one question that is left.
    """
    things = [thing for thing in found or () if thing]
    fitting = [[place for place, one in enumerate(asked) if same(thing, one)] for thing in things]
    known = {fits[0]: thing for thing, fits in zip(things, fitting, strict=True) if len(fits) == 1}
    strays = [thing for thing, fits in zip(things, fitting, strict=True) if len(fits) != 1]
    left = [place for place in range(len(asked)) if place not in known]
    if len(strays) == len(left) == 1 and len(known) + 1 == len(things):
        known[left[0]] = strays[0]
    surely = found is not None and len(known) == len(things)
    return [known.get(place, {} if surely else None) for place in range(len(asked))]


def of_domain(organization: Found, asked: Request) -> bool:
    told = text_at(organization, "primary_domain") or text_at(organization, "website_url")
    return bare_domain(told) == domain_of(asked)


def is_person(person: Found, asked: Request) -> bool:
    by_mail = text_at(person, "email").casefold() == asked.body.get("email", "").casefold() != ""
    name = f"{asked.body.get('first_name', '')} {asked.body.get('last_name', '')}".strip()
    return by_mail or text_at(person, "name").casefold() == name.casefold() != ""
