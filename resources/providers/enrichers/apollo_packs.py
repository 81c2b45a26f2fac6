"""Apollo's bulk forms: at most ten in a request, each billed as by itself (docs.apollo.io/reference)."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from resources.providers.reading import bare_domain, dig, text_at
from resources.providers.request import Request, post
from resources.providers.response import Response
from resources.providers.spec import Pack

HIDDEN = {"reveal_personal_emails": "false", "reveal_phone_number": "false"}
Found = Mapping[str, Any]


def organizations(asked: Sequence[Request]) -> Request:
    return post("/organizations/bulk_enrich?" + urlencode([("domains[]", domain_of(one)) for one in asked]))


def people(asked: Sequence[Request]) -> Request:
    details = [{name: value for name, value in one.body.items() if name not in HIDDEN} for one in asked]
    return post("/people/bulk_match?" + urlencode(HIDDEN), details=details)


def domain_of(asked: Request) -> str:
    return asked.query["domain"]


def person_of(asked: Request) -> str:
    return json.dumps(asked.body, sort_keys=True)


def organization_parts(response: Response, asked: Sequence[Request]) -> list[Response]:
    """Only those found are told, to be joined on their domain."""
    found = _objects(response, "organizations")
    return [_part(response, "organization", one) for one in _joined(found, asked, _of_domain)]


def people_parts(response: Response, asked: Sequence[Request]) -> list[Response]:
    """In the order asked where as many are told, unless somebody stands in another's place."""
    found = _objects(response, "matches")
    astray = [person for person, one in zip(found or (), asked, strict=False) if not _is_person(person, one)]
    swapped = any(_is_person(person, one) for person in astray for one in asked)
    if found is not None and len(found) == len(asked) and not swapped:
        return [_part(response, "person", person) for person in found]
    return [_part(response, "person", one) for one in _joined(found, asked, _is_person)]


def _objects(response: Response, name: str) -> list[Found] | None:
    """None where the answer has no such list."""
    told = dig(response.body, name)
    return [one if isinstance(one, dict) else {} for one in told] if isinstance(told, list) else None


def _joined(
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


def _of_domain(organization: Found, asked: Request) -> bool:
    told = text_at(organization, "primary_domain") or text_at(organization, "website_url")
    return bare_domain(told) == domain_of(asked)


def _is_person(person: Found, asked: Request) -> bool:
    by_mail = text_at(person, "email").casefold() == asked.body.get("email", "").casefold() != ""
    name = f"{asked.body.get('first_name', '')} {asked.body.get('last_name', '')}".strip()
    return by_mail or text_at(person, "name").casefold() == name.casefold() != ""


def _part(response: Response, name: str, found: Found | None) -> Response:
    """What cannot be told is no JSON object, and so no answer."""
    body = None if found is None else {name: found} if found else {}
    return Response(response.status, json.dumps(body), response.headers)


ORGANIZATIONS = Pack(organizations, organization_parts, domain_of)
PEOPLE = Pack(people, people_parts, person_of)
