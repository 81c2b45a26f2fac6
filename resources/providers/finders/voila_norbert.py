"""Voila Norbert: finder by name and company; a search is a job (api.voilanorbert.com/2018-01-08)."""

from base64 import b64encode

from phase3_core.calls import Miss, Role
from resources.providers.answers import Answer, Pending, Problem, Remedy, by_status, hit_or_miss
from resources.providers.reading import dig, percent_at, whole_number_at
from resources.providers.request import Question, Request, get, post_form
from resources.providers.response import Response, told_to_reset, told_to_wait
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, Poll, ProviderSpec


def by_name(question: Question) -> Request | None:
    lead, domain = question.lead, question.lead.company_domain
    if not lead.full_name or not (domain or lead.company_name):
        return None
    company = {"domain": domain} if domain else {"company": lead.company_name}
    return post_form("/search/name", name=lead.full_name, **company)


def read(response: Response) -> Answer:
    """A contact: still searched for, or with an address and its score, or with null."""
    searching, email = dig(response.body, "searching"), dig(response.body, "email")
    number = whole_number_at(response.body, "id")
    if searching is True and number is not None:
        return Pending(str(number))
    if searching is not False or not isinstance(email, dict | None):
        return Problem(Remedy.NONSENSE, "the answer is no contact")
    return hit_or_miss(dig(email, "email"), percent_at(email, "score")) if email else Miss()


def read_contact(response: Response) -> Answer:
    """202 and 204 say that the search goes on. A contact that is gone is free no more: not searched again."""
    if response.status in {202, 204}:
        return Pending("")
    if response.status == 404:
        return Problem(Remedy.GONE, "the contact is gone")
    return read(response)


def problem(response: Response) -> Problem | None:
    """A 400 may be a domain that cannot be located: a miss; a 404 means what was asked for."""
    if response.status == 429:
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", told_to_wait(response) or told_to_reset(response))
    return None if response.status == 404 else by_status(response)


def sign(secrets: Secrets) -> Signature:
    """The user name may be anything; the key is the password."""
    pair = f"phase3:{secrets['VOILA_NORBERT_API_KEY']}"
    return Signature({"Authorization": f"Basic {b64encode(pair.encode()).decode()}"})


POLL = Poll(lambda number: get(f"/contacts/{number}"), read_contact, every_s=3.0, give_up_s=120.0)
SPEC = ProviderSpec(
    name="voila_norbert",
    role=Role.FINDER,
    base_url="https://api.voilanorbert.com/2018-01-08",
    secrets=("VOILA_NORBERT_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(Operation("search-name", by_name, read, poll=POLL),),
)
