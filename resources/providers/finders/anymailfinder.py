"""Anymailfinder: finder by name and company, or by LinkedIn URL (anymailfinder.com/email-finder-api/docs)."""

from decimal import Decimal

from phase3_core.calls import Miss, Role
from resources.providers.answers import Answer, Problem, Remedy, by_status_and_json, hit_or_miss
from resources.providers.reading import credits_of, dig, text_at
from resources.providers.request import Question, Request, filled, post
from resources.providers.response import Response
from resources.providers.signing import key_in_header
from resources.providers.spec import Operation, ProviderSpec

VALID, GUESSED = 99, 30  # confidence: probed by the vendor; a guess that it could not confirm
TIMEOUT_S = 190.0  # the vendor probes live for up to 180 s and asks for patience


def by_name(question: Question) -> Request | None:
    """A LinkedIn URL goes along as a further hint."""
    lead, domain = question.lead, question.lead.company_domain
    if not lead.full_name or not (domain or lead.company_name):
        return None
    whole = filled(first_name=lead.first_name, last_name=lead.last_name)
    name = whole if len(whole) == 2 else {"full_name": lead.full_name}
    company = {"domain": domain} if domain else {"company_name": lead.company_name}
    return post("/find-email/person", **name, **company, **filled(linkedin_url=lead.linkedin_url))


def by_linkedin(question: Question) -> Request | None:
    url = question.lead.linkedin_url
    return post("/find-email/linkedin-url", linkedin_url=url) if url else None


def read(response: Response) -> Answer:
    """`valid_email` is an address or null; a `risky` one is a guess, free, and left to our verifier."""
    valid, any_email = dig(response.body, "valid_email"), dig(response.body, "email")
    match text_at(response.body, "email_status").lower():
        case "valid":
            return hit_or_miss(any_email if valid is None else valid, VALID)
        case "risky":
            return hit_or_miss(any_email, GUESSED)
        case "not_found" | "blacklisted" as status:
            return Miss(status)
    return Problem(Remedy.NONSENSE, "no known status in the answer")


def charged(response: Response) -> Decimal:
    """What the answer says was charged, fractions included; where it does not, one for a valid address."""
    told = credits_of(dig(response.body, "credits_charged"))
    return Decimal(text_at(response.body, "email_status").lower() == "valid") if told is None else told


def problem(response: Response) -> Problem | None:
    """A busy server has done nothing yet; `error` is a code, in older versions an object."""
    if response.status == 503 and "busy" in str(dig(response.body, "error")):
        return Problem(Remedy.RATE_LIMITED, "the server is busy", 5.0)
    return by_status_and_json(response)


SPEC = ProviderSpec(
    name="anymailfinder",
    role=Role.FINDER,
    base_url="https://api.anymailfinder.com/v5.1",
    secrets=("ANYMAILFINDER_API_KEY",),
    sign=key_in_header("Authorization", "ANYMAILFINDER_API_KEY"),
    problem=problem,
    operations=(
        Operation("find-person", by_name, read, timeout_s=TIMEOUT_S, credits=charged),
        Operation("find-linkedin", by_linkedin, read, timeout_s=TIMEOUT_S, credits=charged),
    ),
)
