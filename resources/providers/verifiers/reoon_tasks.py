"""Reoon's bulk tasks, always in power mode: found again by their number, read as `/verify` would answer."""

import json
from collections.abc import Mapping, Sequence

from resources.providers.answers import Pending, Problem, Remedy
from resources.providers.reading import dig, text_at, whole_number_at
from resources.providers.request import Request, get, post
from resources.providers.response import Response
from resources.providers.signing import Signature
from resources.providers.spec import Bulk

STATUSES = frozenset(
    (
        "safe",
        "invalid",
        "disabled",
        "disposable",
        "inbox_full",
        "catch_all",
        "role_account",
        "spamtrap",
        "unknown",
    )
)


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
    results = response.body["results"]
    told = _told(results, row_of(asked))
    if told is None and len(results) == whole_number_at(response.body, "count_total"):
        told = {"status": "error", "reason": "not an address"}
    elif text_at(told, "status").lower() not in STATUSES:
        told = {"told": told}
    email = asked.query["email"]
    answer = {"email": email, **told} if isinstance(told, dict) else told
    return Response(200, json.dumps(answer), request=asked)


def _told(results: Mapping[str, object], email: str) -> object:
    """Looked for among all only where it is told in other letters: a task has a thousand who look."""
    return results.get(email) or next((told for name, told in results.items() if name.lower() == email), None)


def row_of(asked: Request) -> str:
    return asked.query["email"]


# The vendor takes 50,000; of a thousand one lost answer loses little. Ten is the minimum quoted in places.
BULK = Bulk(
    ask=in_bulk,
    read=read_task_id,
    look=lambda task: get("/get-result-bulk-verification-task/", task_id=task),
    state=task_state,
    part=one_of_task,
    row=row_of,
    sign=lambda secrets: Signature(body={"key": secrets["REOON_API_KEY"]}),
    least=10,
    first_s=2.0,
)
