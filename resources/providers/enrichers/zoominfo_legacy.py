"""ZoomInfo, legacy Enterprise API, for contracts without the new one (api-docs.zoominfo.com); deprecated."""

from dataclasses import replace

from resources.providers.answers import Answer, Problem, Remedy, by_status
from resources.providers.enrichers import zoominfo_company, zoominfo_contact, zoominfo_intent
from resources.providers.enrichers.zoominfo_matching import old_record, reading
from resources.providers.enrichers.zoominfo_token import LEGACY, USER
from resources.providers.reading import dig, items_at, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import TOKEN, Secrets, Signature
from resources.providers.spec import Choice, Operation, ProviderSpec

WANTED = ["descriptionList" if name == "description" else name for name in zoominfo_company.WANTED]


def _in_the_old_way(request: Request | None, what: str) -> Request | None:
    """Without the wrapping."""
    attributes = dig(request.body, "data", "attributes") if request else None
    return post(f"/enrich/{what}", **attributes) if attributes else None


def company(question: Question) -> Request | None:
    request = _in_the_old_way(zoominfo_company.by_website(question), "company")
    return replace(request, body={**request.body, "outputFields": WANTED}) if request else None


def person(question: Question) -> Request | None:
    return _in_the_old_way(zoominfo_contact.by_person(question), "contact")


def intent(question: Question) -> Request | None:
    return _in_the_old_way(zoominfo_intent.by_website(question), "intent")


def read_intent(response: Response) -> Answer:
    if not isinstance(dig(response.body, "data"), list):
        return Problem(Remedy.NONSENSE, "no list of signals in the answer")
    return zoominfo_intent.answer(items_at(response.body, "data"))


def problem(response: Response) -> Problem | None:
    """A 403 is either no access or used-up credits: its words decide."""
    told = text_at(response.body, "error") or text_at(response.body, "message")
    if response.status == 403:
        spent = "limit" in told.lower() or "used up" in told.lower()
        return Problem(Remedy.OUT_OF_CREDITS if spent else Remedy.NOT_IN_PLAN, told or "HTTP 403")
    return by_status(response)


def sign(secrets: Secrets) -> Signature:
    return Signature({"Authorization": f"Bearer {secrets[TOKEN]}"})


def _spec(new: ProviderSpec, one: Operation) -> ProviderSpec:
    return replace(new, operations=(one,), secrets=USER, sign=sign, problem=problem, token=LEGACY, choice=OLD)


OLD = Choice("ZOOMINFO_API", "legacy")
READ_COMPANY = reading(zoominfo_company.fields, old_record, "data", "result")
READ_PERSON = reading(zoominfo_contact.fields, old_record, "data", "result")
SPECS = (
    _spec(zoominfo_intent.SPEC, Operation("enrich-intent", intent, read_intent)),
    _spec(zoominfo_company.SPEC, Operation("enrich-company", company, READ_COMPANY)),
    _spec(zoominfo_contact.SPEC, Operation("enrich-contact", person, READ_PERSON)),
)
