"""Icypeas: finder by name and company; every search is a job, read until it is done (api-doc.icypeas.com)."""

from decimal import Decimal

from phase3_core.calls import Miss, Role
from resources.providers.answers import Answer, Pending, Problem, Remedy, by_status_and_json, hit_or_miss
from resources.providers.finders.icypeas_bulk import BULK, GOING
from resources.providers.reading import dig, text_at
from resources.providers.request import Question, Request, filled, own_id, post
from resources.providers.response import Response
from resources.providers.spec import Operation, Poll, ProviderSpec

CONFIDENCE = {"ultra_sure": 99, "very_sure": 99, "probable": 95, "sure": 95}
FAILED = {"BAD_INPUT": Remedy.BAD_INPUT, "INSUFFICIENT_FUNDS": Remedy.OUT_OF_CREDITS, "ABORTED": Remedy.DOWN}
CHARGED = {"FOUND", "DEBITED"}
NEVER_RUN = {"INSUFFICIENT_FUNDS", "ABORTED"}  # and so not billed (api-doc.icypeas.com/statuses)
REFUSED = {"validation": Remedy.BAD_INPUT, "Unpaid": Remedy.OUT_OF_CREDITS, "UserNotFound": Remedy.BAD_KEY}


def by_name(question: Question) -> Request | None:
    lead, company = question.lead, question.lead.company_domain or question.lead.company_name
    if not lead.full_name or not company:
        return None
    asked = filled(firstname=lead.first_name, lastname=lead.last_name, domainOrCompany=company)
    return post("/email-search", **asked, custom={"externalId": own_id(asked)})


def read(response: Response) -> Answer:
    number = text_at(response.body, "item", "_id")
    return Pending(number) if number else Problem(Remedy.NONSENSE, "no search in the answer")


def read_search(response: Response) -> Answer:
    """A charge without an address is a miss; a search that the vendor does not know is one that was lost."""
    match text_at(response.body, "items", 0, "status"):
        case status if status in GOING:
            return Pending("")
        case status if status in CHARGED:
            return _found(dig(response.body, "items", 0, "results", "emails"))
        case "NOT_FOUND" | "DEBITED_NOT_FOUND" as status:
            return Miss(status)
        case status:
            otherwise = Remedy.DOWN if "SearchNotFound" in response.text else Remedy.NONSENSE
            remedy, told = FAILED.get(status, otherwise), status[:40] or "no status in the answer"
            return Problem(remedy, told, ends_job=status in NEVER_RUN)


def _found(emails: object) -> Answer:
    """An entry may say that there is no address."""
    if not isinstance(emails, list):
        return Problem(Remedy.NONSENSE, "no emails in the answer")
    real = [one for one in emails if text_at(one, "certainty") not in {"not_found", "undeliverable"}]
    return hit_or_miss(dig(real, 0, "email"), CONFIDENCE.get(text_at(real, 0, "certainty")))


def charged(response: Response) -> Decimal:
    """What ends as found is charged, also where no address is in it that could be used."""
    return Decimal(text_at(response.body, "items", 0, "status") in CHARGED)


def problem(response: Response) -> Problem | None:
    """`success: false` is a refusal with HTTP 200 too; where it has a name, the name decides."""
    refused = dig(response.body, "success") is False
    named = [remedy for name, remedy in REFUSED.items() if refused and name in response.text]
    if named:
        return Problem(named[0], "refused")
    return None if refused and response.status == 404 else by_status_and_json(response)


# Most searches are done when they are first read, and readings are what the vendor gives least of.
POLL = Poll(lambda job: post("/bulk-single-searchs/read", id=job), read_search, every_s=6.0, give_up_s=180.0)
SPEC = ProviderSpec(
    name="icypeas",
    role=Role.FINDER,
    base_url="https://app.icypeas.com/api",
    secrets=("ICYPEAS_API_KEY",),
    sign=BULK.sign,
    problem=problem,
    operations=(Operation("email-search", by_name, read, poll=POLL, credits=charged, bulk=BULK),),
)
