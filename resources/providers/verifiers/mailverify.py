"""MailVerify: second verifier, for catch-all domains (docs.mailverify.ai)."""

from phase3_core.calls import Judgement, Role
from phase3_core.statuses import Reason, Verdict
from resources.providers.answers import Answer, Problem, Remedy, by_status_and_json
from resources.providers.reading import dig, text_at
from resources.providers.request import Question, Request, post
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, ProviderSpec

VERDICTS = {
    "DELIVERABLE": Verdict.VALID,
    "VALID": Verdict.VALID,
    "RISKY": Verdict.CATCH_ALL,
    "ACCEPT_ALL": Verdict.CATCH_ALL,
    "UNDELIVERABLE": Verdict.INVALID,
    "UNKNOWN": Verdict.UNKNOWN,
}


def by_email(question: Question) -> Request | None:
    return post("/verify/single", email=question.email) if question.email else None


def read(response: Response) -> Answer:
    """An answer without `data.status` is an error, not a verdict."""
    data = dig(response.body, "data")
    verdict = VERDICTS.get(text_at(data, "status").upper())
    if verdict is None:
        return Problem(Remedy.NONSENSE, "no known status in the answer")
    if dig(data, "disposable") is True:
        return Judgement(Verdict.INVALID, Reason.DISPOSABLE)
    return _refined(verdict, data)


def _refined(verdict: Verdict, data: object) -> Judgement:
    """Deliverable on a catch-all domain is accepted, flagged as risky; flags refine the rest."""
    if verdict is Verdict.VALID and dig(data, "catch_all") is True:
        return Judgement(Verdict.RISKY, Reason.CATCH_ALL_CONFIRMED)
    if dig(data, "role") is True and verdict is Verdict.VALID:
        return Judgement(Verdict.RISKY, Reason.ROLE_ACCOUNT)
    if dig(data, "mailbox_full") is True and verdict is Verdict.VALID:
        return Judgement(Verdict.RISKY, Reason.INBOX_FULL)
    return Judgement(verdict)


def sign(secrets: Secrets) -> Signature:
    return Signature({"x-auth-mailverify": secrets["MAILVERIFY_API_KEY"]})


SPEC = ProviderSpec(
    name="mailverify",
    role=Role.VERIFIER,
    base_url="https://api.mailverify.ai/api/v1",
    secrets=("MAILVERIFY_API_KEY",),
    sign=sign,
    problem=by_status_and_json,
    operations=(Operation("verify-single", by_email, read, timeout_s=90.0),),
)
