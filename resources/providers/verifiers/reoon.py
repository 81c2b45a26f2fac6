"""Reoon: verifier, power mode; quick mode does not look at the mailbox (www.reoon.com/articles).

Single calls at most five at a time; for more there are bulk tasks, always in power mode.
"""

import json
from collections.abc import Sequence

from phase3_core.calls import Judgement, Role
from phase3_core.statuses import Reason, Verdict
from resources.providers.spec import (
    Answer,
    Bulk,
    Operation,
    Pending,
    Problem,
    ProviderSpec,
    Question,
    Remedy,
    Request,
    Response,
    Secrets,
    Signature,
    by_status,
    dig,
    get,
    percent_at,
    post,
    text_at,
    whole_number_at,
)

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
    return Judgement(verdict, reason, percent_at(response.body, "overall_score"))


def problem(response: Response) -> Problem | None:
    """Failures often come with HTTP 200; `reason` is free text, so its words decide."""
    if text_at(response.body, "status").lower() == "error" and response.status < 500:
        return Problem(
            _remedy(text_at(response.body, "reason").lower()), text_at(response.body, "reason")[:200]
        )
    return by_status(response)


def _remedy(reason: str) -> Remedy:
    if "credit" in reason or "balance" in reason:
        return Remedy.OUT_OF_CREDITS
    if "limit" in reason or "rate" in reason or "many" in reason:
        return Remedy.RATE_LIMITED
    return Remedy.BAD_KEY if "key" in reason or "auth" in reason else Remedy.BAD_INPUT


def sign(secrets: Secrets) -> Signature:
    """The key stands in the query string: the URL of a request is never logged."""
    return Signature(query={"key": secrets["REOON_API_KEY"]})


def in_bulk(name: str, asked: Sequence[Request]) -> Request:
    return post("/create-bulk-verification-task/", name=name, emails=[one.query["email"] for one in asked])


def read_task_id(response: Response) -> Pending | Problem:
    number = whole_number_at(response.body, "task_id")
    return Pending(str(number)) if number is not None else Problem(Remedy.NONSENSE, "no task in the answer")


def task_state(response: Response) -> Pending | Problem | None:
    """What cannot be understood says nothing of the task, so it is read again."""
    match text_at(response.body, "status").lower():
        case "completed" if isinstance(dig(response.body, "results"), dict):
            return None
        case "file_not_found" | "file_loading_error" as status:
            return Problem(Remedy.DOWN, f"the task ended as {status}")
        case _:
            return Pending("")


def one_of_task(response: Response, asked: Request) -> Response:
    """As `/verify` would have answered. An address that the task did not count was refused as no address."""
    results = {email.lower(): told for email, told in response.body["results"].items()}
    told: object = results.get(row_of(asked))
    if told is None and len(results) == whole_number_at(response.body, "count_total"):
        told = {"status": "error", "reason": "not an address"}
    elif text_at(told, "status").lower() not in JUDGEMENTS:
        told = {"told": told}
    email = asked.query["email"]
    answer = {"email": email, **told} if isinstance(told, dict) else told
    return Response(200, json.dumps(answer), request=asked)


def row_of(asked: Request) -> str:
    """Duplicates are told apart by nothing but their case."""
    return asked.query["email"].lower()


def sign_task(secrets: Secrets) -> Signature:
    return Signature(body={"key": secrets["REOON_API_KEY"]})


# The vendor takes 50,000; of a thousand one lost answer loses little. Ten is the minimum quoted in places.
BULK = Bulk(
    ask=in_bulk,
    read=read_task_id,
    look=lambda task: get("/get-result-bulk-verification-task/", task_id=task),
    state=task_state,
    part=one_of_task,
    row=row_of,
    sign=sign_task,
    least=10,
)
SPEC = ProviderSpec(
    name="reoon",
    role=Role.VERIFIER,
    base_url="https://emailverifier.reoon.com/api/v1",
    secrets=("REOON_API_KEY",),
    sign=sign,
    problem=problem,
    operations=(Operation("verify-power", by_email, read, timeout_s=180.0, bulk=BULK),),
)
