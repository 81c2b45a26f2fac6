"""Reoon: verifier, power mode; quick mode does not look at the mailbox (www.reoon.com/articles).

Single calls at most five at a time; for more there are bulk tasks, always in power mode.
"""

from phase3_core.calls import Judgement, Role
from phase3_core.statuses import Reason, Verdict
from resources.providers.answers import Answer, Problem, Remedy, by_status_and_json
from resources.providers.reading import dig, percent_at, text_at
from resources.providers.request import Question, Request, get
from resources.providers.response import Response
from resources.providers.signing import Secrets, Signature
from resources.providers.spec import Operation, ProviderSpec
from resources.providers.verifiers.reoon_tasks import BULK

JUDGEMENTS = {
    "safe": (Verdict.VALID, Reason.NONE),
    "invalid": (Verdict.INVALID, Reason.NONE),
    "disabled": (Verdict.INVALID, Reason.DISABLED),
    "disposable": (Verdict.INVALID, Reason.DISPOSABLE),
    "inbox_full": (Verdict.RISKY, Reason.INBOX_FULL),
    "catch_all": (Verdict.CATCH_ALL, Reason.NONE),
    "role_account": (Verdict.RISKY, Reason.ROLE_ACCOUNT),
    "spamtrap": (Verdict.INVALID, Reason.SPAMTRAP),
    "unknown": (Verdict.UNKNOWN, Reason.NONE),
}


def by_email(question: Question) -> Request | None:
    return get("/verify", email=question.email, mode="power") if question.email else None


def read(response: Response) -> Answer:
    status = text_at(response.body, "status").lower()
    if status not in JUDGEMENTS:
        return Problem(Remedy.NONSENSE, f"unknown status {status[:40]!r}")
    verdict, reason = JUDGEMENTS[status]
    if status == "invalid" and dig(response.body, "mx_accepts_mail") is False:
        reason = Reason.NO_MAIL_SERVERS
    return Judgement(verdict, reason, percent_at(response.body, "overall_score"))


def problem(response: Response) -> Problem | None:
    """Failures often come with HTTP 200; `reason` is free text, so its words decide."""
    if text_at(response.body, "status").lower() == "error" and response.status < 500:
        return Problem(
            _remedy(text_at(response.body, "reason").lower()), text_at(response.body, "reason")[:200]
        )
    return by_status_and_json(response)


def _remedy(reason: str) -> Remedy:
    if "credit" in reason or "balance" in reason:
        return Remedy.OUT_OF_CREDITS
    if "limit" in reason or "rate" in reason or "many" in reason:
        return Remedy.RATE_LIMITED
    return Remedy.BAD_KEY if "key" in reason or "auth" in reason else Remedy.BAD_INPUT


def sign(secrets: Secrets) -> Signature:
    """The key stands in the query string: the URL of a request is never logged."""
    return Signature(query={"key": secrets["REOON_API_KEY"]})


SPEC = ProviderSpec(
    name="reoon",
    role=Role.VERIFIER,
    base_url="https://emailverifier.reoon.com/api/v1",
    secrets=("REOON_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(Operation("verify-power", by_email, read, timeout_s=180.0, bulk=BULK),),
)
