"""Apollo's bulk forms: at most ten in a request, each billed as by itself (docs.apollo.io/reference)."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from resources.providers.enrichers.apollo_matching import Found, domain_of, is_person, joined, of_domain
from resources.providers.reading import dig
from resources.providers.request import Request, post
from resources.providers.response import Response
from resources.providers.spec import Pack

HIDDEN = {"reveal_personal_emails": "false", "reveal_phone_number": "false"}


def organizations(asked: Sequence[Request]) -> Request:
    return post("/organizations/bulk_enrich?" + urlencode([("domains[]", domain_of(one)) for one in asked]))


def people(asked: Sequence[Request]) -> Request:
    details = [{name: value for name, value in one.body.items() if name not in HIDDEN} for one in asked]
    return post("/people/bulk_match?" + urlencode(HIDDEN), details=details)


def person_of(asked: Request) -> str:
    return json.dumps(asked.body, sort_keys=True)


def organization_parts(response: Response, asked: Sequence[Request]) -> list[Response]:
    """Only those found are told, to be joined on their domain."""
    found = _objects(response, "organizations")
    return [_part(response, "organization", one) for one in joined(found, asked, of_domain)]


def people_parts(response: Response, asked: Sequence[Request]) -> list[Response]:
    """In the order asked where as many are told, unless somebody stands in another's place."""
    found = _objects(response, "matches")
    astray = [person for person, one in zip(found or (), asked, strict=False) if not is_person(person, one)]
    swapped = any(is_person(person, one) for person in astray for one in asked)
    if found is not None and len(found) == len(asked) and not swapped:
        return [_part(response, "person", person) for person in found]
    return [_part(response, "person", one) for one in joined(found, asked, is_person)]


def _objects(response: Response, name: str) -> list[Found] | None:
    """None where the answer has no such list."""
    told = dig(response.body, name)
    return [one if isinstance(one, dict) else {} for one in told] if isinstance(told, list) else None


def _part(response: Response, name: str, found: Found | None) -> Response:
    """What cannot be told is no JSON object, and so no answer."""
    body = None if found is None else {name: found} if found else {}
    return Response(response.status, json.dumps(body), response.headers)


ORGANIZATIONS = Pack(organizations, organization_parts, domain_of)
PEOPLE = Pack(people, people_parts, person_of)
