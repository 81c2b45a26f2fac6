"""ZoomInfo: a person at work.

Numbers not to be called are dropped; of people in the EU only the role is kept.
"""

from typing import Any

from phase3_core.leads import Lead
from phase3_core.tiers import Topic
from resources.providers.enrichers import zoominfo
from resources.providers.enrichers.contact import contact
from resources.providers.enrichers.zoominfo_matching import first_text, new_record, reading, texts
from resources.providers.reading import dig, items_at, text_at
from resources.providers.request import Question, Request
from resources.providers.spec import Operation

WANTED = (
    "jobTitle",
    "managementLevel",
    "jobFunction",
    "phone",
    "mobilePhone",
    "directPhoneDoNotCall",
    "mobilePhoneDoNotCall",
    "externalUrls",
    "employmentHistory",
    "withinEu",
)
ALLOWED = (False, None, "", "false", "False", "no", "No", 0)
PHONES = {"phone": "directPhoneDoNotCall", "mobilePhone": "mobilePhoneDoNotCall"}


def by_person(question: Question) -> Request | None:
    person = identity(question.lead)
    wanted = list(WANTED)
    return (
        zoominfo.enrich("contacts", "ContactEnrich", matchPersonInput=[person], outputFields=wanted)
        if person
        else None
    )


def identity(lead: Lead) -> dict[str, str]:
    """The strongest key that the lead has: address, profile, or name and company."""
    if lead.email:
        return {"emailAddress": lead.email}
    if lead.linkedin_url:
        return {"externalURL": lead.linkedin_url}
    named = {"firstName": lead.first_name, "lastName": lead.last_name, "companyName": lead.company_name}
    return named if all(named.values()) else {}


def fields(person: Any) -> dict[str, Any]:
    in_eu = person.get("withinEu") not in ALLOWED
    profiles = (text_at(one, "url") for one in items_at(person, "externalUrls"))
    return contact(
        title=text_at(person, "jobTitle"),
        linkedin_url=next((url for url in profiles if "linkedin.com/" in url), ""),
        phones=() if in_eu else _phones(person),
        seniority=first_text(person.get("managementLevel")),
        departments=texts(person.get("jobFunction"), "name"),
        employment_history=() if in_eu else map(_position, items_at(person, "employmentHistory")),
    )


def _phones(person: Any) -> list[str]:
    return [text_at(person, number) for number, refused in PHONES.items() if dig(person, refused) in ALLOWED]


def _position(row: dict[str, Any]) -> dict[str, str]:
    return {
        "title": text_at(row, "jobTitle"),
        "company": text_at(row, "company", "companyName"),
        "from": text_at(row, "fromDate"),
        "to": text_at(row, "toDate"),
    }


read = reading(fields, new_record, "data")
SPEC = zoominfo.spec(frozenset({Topic.CONTACT}), "contact", Operation("contacts-enrich", by_person, read))
