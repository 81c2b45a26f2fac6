"""Muraena: finder by name and company, or by LinkedIn URL. Unconfirmed: only one client describes it."""

from decimal import Decimal
from typing import Any

from phase3_core.calls import Role
from phase3_core.leads import MailboxName
from resources.names import mailbox_names
from resources.providers.answers import Answer, Problem, Remedy, hit_or_miss, undescribed
from resources.providers.reading import dig, text_at
from resources.providers.request import Question, Request, filled, get, post
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Operation, ProviderSpec


def by_name(question: Question) -> Request | None:
    lead, domain = question.lead, question.lead.company_domain
    if not lead.full_name or not (domain or lead.company_name):
        return None
    company = {"domain": domain} if domain else {"company": lead.company_name}
    filters = filled(first_name=lead.first_name, last_name=lead.last_name) | company
    return post("/api/client_api/search/", filters=filters, reveal=True)


def by_linkedin(question: Question) -> Request | None:
    url = question.lead.linkedin_url
    return get("/api/client_api/reveal/", linkedin_url=url) if url else None


def read(response: Response) -> Answer:
    """One contact, or a list: taken is who bears the name; of namesakes, the one at the company."""
    results = dig(response.body, "results")
    if isinstance(response.body, dict) and "results" not in response.body:
        return hit_or_miss(dig(response.body, "email"))
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        return Problem(Remedy.NONSENSE, "no results in the answer")
    asked = dig(response.request and response.request.body, "filters")
    company, ours = text_at(asked, "domain") or text_at(asked, "company"), _spellings(asked)
    namesakes = [one for one in results if not ours or ours & (_spellings(one) or ours)]
    there = [one for one in namesakes if len(namesakes) == 1 or company in _companies(one)]
    return hit_or_miss(dig(there, 0, "email"))


def _spellings(person: Any) -> set[MailboxName]:
    return {*mailbox_names(text_at(person, "first_name"), text_at(person, "last_name"))}


def _companies(person: Any) -> set[str]:
    host = text_at(person, "email").rpartition("@")[2].lower()
    return {host, text_at(person, "company"), text_at(person, "company_name")}


def revealed(response: Response) -> Decimal:
    """A credit for each profile whose contact data is shown, taken or not."""
    results = dig(response.body, "results")
    profiles = results if isinstance(results, list) else [response.body]
    return Decimal(sum(any(text_at(one, key) for key in ("email", "phone", "mobile")) for one in profiles))


SPEC = ProviderSpec(
    name="muraena",
    role=Role.FINDER,
    base_url="https://contacts.muraena.ai",
    secrets=("MURAENA_API_KEY",),
    sign=key_in_header("Authorization", "MURAENA_API_KEY", "Token"),
    problem=undescribed,
    operations=(
        Operation("search", by_name, read, credits=revealed),
        Operation("reveal", by_linkedin, read, credits=revealed),
    ),
)
