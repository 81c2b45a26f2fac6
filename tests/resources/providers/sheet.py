"""What vendors' documentation shows, word for word, and how tests read it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from phase3_core.calls import Facts, Hit, Judgement, Miss
from phase3_core.leads import Lead
from phase3_core.tiers import Tier
from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.request import Request
from resources.providers.response import Response
from resources.providers.spec import Operation, ProviderSpec

DANA = Lead(
    id=UUID(int=1),
    campaign_id=UUID(int=2),
    first_name="Dana",
    last_name="Reyes",
    company_name="Acme Example",
    company_domain="acme.example",
    tier=Tier.B,
    score=50,
    linkedin_url="https://www.linkedin.com/in/dana-reyes-example",
)
EMAIL = "dana.reyes@acme.example"
KEY = "key-that-nobody-may-see"

TOMBA: dict[str, Any] = {
    "data": {
        "website_url": "acme.example",
        "accept_all": False,
        "email": EMAIL,
        "first_name": "Dana",
        "last_name": "Reyes",
        "full_name": "Dana Reyes",
        "country": "US",
        "gender": "female",
        "phone_number": None,
        "position": "Head of Operations",
        "twitter": None,
        "linkedin": DANA.linkedin_url,
        "company": "Acme Example",
        "score": 94,
        "disposable": False,
        "webmail": False,
        "verification": {"date": "2026-05-04T00:00:00+00:00", "status": "valid"},
        "sources": [{"uri": "https://acme.example/team", "still_on_page": True}],
    }
}
MURAENA_CONTACT: dict[str, Any] = {
    "first_name": "Dana",
    "last_name": "Reyes",
    "email": EMAIL,
    "email_verified": True,
    "phone": None,
    "title": "Head of Operations",
    "company": "Acme Example",
    "linkedin_url": DANA.linkedin_url,
}
MURAENA: dict[str, Any] = {"results": [MURAENA_CONTACT]}
NORBERT_SEARCHING: dict[str, Any] = {
    "id": 5512,
    "name": "Dana Reyes",
    "email": None,
    "company": {"name": "Acme Example", "title": None, "url": "acme.example"},
    "created": 1777885200,
    "is_new": True,
    "lists": [],
    "searching": True,
    "status": "N",
}
NORBERT: dict[str, Any] = NORBERT_SEARCHING | {
    "email": {"email": EMAIL, "score": 100},
    "is_new": False,
    "searching": False,
    "messages": [],
    "owner": {},
}
NIMBLER: dict[str, Any] = {
    "contactFirstName": "Dana",
    "contactLastName": "Reyes",
    "contactFullName": "Dana Reyes",
    "contactEmail": EMAIL,
    "contactPersonalEmail": None,
    "contactLinkedinURL": DANA.linkedin_url,
    "contactTitle": "Head of Operations",
    "contactTitleLevel": "Head",
    "contactJobFunctions": ["Operations"],
    "companyName": "Acme Example",
    "companyDomain": "acme.example",
    "companyEmployees": "51-200",
}
ICYPEAS_SUBMITTED: dict[str, Any] = {"success": True, "item": {"_id": "abc123", "status": "NONE"}}
ICYPEAS: dict[str, Any] = {
    "success": True,
    "items": [
        {
            "_id": "abc123",
            "name": "__icypeas__individual",
            "user": "u1",
            "order": 0,
            "status": "DEBITED",
            "results": {
                "firstname": "Dana",
                "lastname": "Reyes",
                "fullname": "Dana Reyes",
                "gender": "F",
                "emails": [
                    {
                        "email": EMAIL,
                        "certainty": "ultra_sure",
                        "mxProvider": "google",
                        "mxRecords": ["mx1.acme.example"],
                    }
                ],
                "phones": [],
                "saasServices": [],
            },
            "userData": {"webhookUrl": "", "externalId": "row-17"},
            "system": {"createdAt": "2026-05-04T09:00:00.000Z", "modifiedAt": "2026-05-04T09:00:06.000Z"},
        }
    ],
    "sorts": [[], []],
    "total": 1,
}
ANYMAILFINDER: dict[str, Any] = {
    "credits_charged": 1,
    "email": EMAIL,
    "email_status": "valid",
    "person_company_name": "Acme Example",
    "person_full_name": "Dana Reyes",
    "person_job_title": "Head of Operations",
    "valid_email": EMAIL,
}
FINDYMAIL: dict[str, Any] = {
    "contact": {
        "id": 90210,
        "name": "Dana Reyes",
        "email": EMAIL,
        "domain": "acme.example",
        "company": "Acme Example",
        "linkedin_url": DANA.linkedin_url,
        "job_title": "Head of Operations",
        "phone_number": None,
    }
}
REOON: dict[str, Any] = {
    "email": EMAIL,
    "status": "safe",
    "overall_score": 98,
    "username": "dana.reyes",
    "domain": "acme.example",
    "is_safe_to_send": True,
    "is_deliverable": True,
    "can_connect_smtp": True,
    "is_valid_syntax": True,
    "is_disposable": False,
    "is_role_account": False,
    "is_catch_all": False,
    "is_disabled": False,
    "has_inbox_full": False,
    "is_spamtrap": False,
    "is_free_email": False,
    "mx_accepts_mail": True,
    "mx_records": ["mx1.acme.example"],
    "verification_mode": "power",
}
MAILVERIFY: dict[str, Any] = {
    "message": "Email verified",
    "data": {
        "email": EMAIL,
        "status": "DELIVERABLE",
        "catch_all": False,
        "disposable": False,
        "free": False,
        "mailbox_full": False,
        "role": False,
    },
}
SUCCESSES: Mapping[str, Any] = {
    "tomba": TOMBA,
    "muraena": MURAENA,
    "voila_norbert": NORBERT,
    "nimbler": NIMBLER,
    "icypeas": ICYPEAS,
    "anymailfinder": ANYMAILFINDER,
    "findymail": FINDYMAIL,
    "reoon": REOON,
    "mailverify": MAILVERIFY,
}

HTML = "<!doctype html><html><body><h1>Not Found</h1></body></html>"


def lead(**changes: Any) -> Lead:
    return replace(DANA, **changes)


def response(
    status: int,
    body: Any = "",
    headers: Mapping[str, str] | None = None,
    request: Request | None = None,
) -> Response:
    """A body that is text stands as it is; anything else is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, text, headers or {}, request)


def operation(spec: ProviderSpec, name: str) -> Operation:
    return next(one for one in spec.operations if one.name == name)


Said = Hit | Miss | Judgement | Facts | Pending | Remedy


def said(answer: object) -> Said:
    """An answer, of a problem what to do about it, of a miss that it is one."""
    if isinstance(answer, Problem):
        return answer.remedy
    if isinstance(answer, Miss):
        return Miss()
    assert isinstance(answer, Hit | Miss | Judgement | Facts | Pending)
    return answer


def read(spec: ProviderSpec, reader: Callable[[Response], object], answer: Response) -> Said:
    """As the client reads: problems first."""
    return said(spec.problem(answer) or reader(answer))


def polled(spec: ProviderSpec, name: str, answer: Response) -> Said:
    poll = operation(spec, name).poll
    assert poll is not None
    return read(spec, poll.read, answer)


def without(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}
