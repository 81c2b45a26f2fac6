"""What a response means to us."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from phase3_core.calls import Facts, Hit, Judgement, Miss
from resources.providers.reading import dig, email_at, text_at
from resources.providers.response import Response, told_to_wait


class Remedy(StrEnum):
    """What to do about an answer that answers nothing."""

    BAD_KEY = "bad_key"  # park the provider until a person acts
    NOT_IN_PLAN = "not_in_plan"  # park this question; the vendor's others may be asked
    OUT_OF_CREDITS = "out_of_credits"  # park it until the balance says otherwise
    RATE_LIMITED = "rate_limited"  # wait as told, ask again
    BAD_INPUT = "bad_input"  # this lead cannot be asked about: a miss
    DOWN = "down"  # may have been billed: the replay class decides
    NONSENSE = "nonsense"  # as DOWN, and many in a row park the provider
    GONE = "gone"  # a task that ended without this answer: may have been billed, never submitted again


@dataclass(frozen=True, slots=True)
class Problem:
    """`ends_job`: the vendor is done with the job and bills nothing for it; else that is in doubt."""

    remedy: Remedy
    detail: str = ""
    wait_s: float | None = None
    ends_job: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """The vendor works on it; `job_id` is how to ask for the result."""

    job_id: str


Answer = Hit | Judgement | Facts | Miss | Problem | Pending


def by_status(response: Response) -> Problem | None:
    """The meaning of HTTP statuses where a vendor's sheet says nothing else."""
    status = response.status
    if status in {401, 403}:
        return Problem(Remedy.BAD_KEY, f"HTTP {status}")
    if status == 402:
        return Problem(Remedy.OUT_OF_CREDITS, "HTTP 402")
    if status == 429:
        return Problem(Remedy.RATE_LIMITED, "HTTP 429", told_to_wait(response))
    if status == 408 or status >= 500:
        return Problem(Remedy.DOWN, f"HTTP {status}")
    if status >= 300:  # a redirect says nothing of the lead
        return Problem(Remedy.BAD_INPUT if status >= 400 else Remedy.NONSENSE, f"HTTP {status}")
    return None


def by_status_and_json(response: Response) -> Problem | None:
    """As `by_status`, but a 404 without JSON comes from a wrong base URL and says nothing of the lead."""
    if response.status == 404 and not isinstance(response.body, dict):
        return Problem(Remedy.NONSENSE, "HTTP 404 without JSON: is the base URL right?")
    return by_status(response)


def error_with_200(response: Response) -> Problem | None:
    """For vendors whose miss may be an object without what was asked for: a miss has no `error`."""
    error = dig(response.body, "error")
    if response.status != 200 or not error:
        return None
    told = error if isinstance(error, str) else text_at(error, "message")
    return Problem(Remedy.NONSENSE, told or "an error with HTTP 200")


def undescribed(response: Response) -> Problem | None:
    """For vendors of whom it is not known how failures look: none is taken for a miss."""
    return error_with_200(response) or by_status_and_json(response)


def hit_or_miss(address: Any, confidence: int | None = None) -> Hit | Miss | Problem:
    """An address, in lower case, or null or a word for none; what is no text is no answer."""
    if address is not None and not isinstance(address, str):
        return Problem(Remedy.NONSENSE, "the address is no text")
    email = email_at(address).lower()
    return Hit(email, confidence) if email else Miss()
