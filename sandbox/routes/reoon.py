"""Reoon: quick and power verification, bulk tasks, balance. Errors are 200 with `status: error`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from time import monotonic
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.names import ROLES
from sandbox.vendor import Operation, Setting, Vendor
from sandbox.wire import Ask, Reply, answer, word
from sandbox.world import THROWAWAY_DOMAINS

SCORES = {"safe": 98, "catch_all": 65, "role_account": 60, "inbox_full": 40, "unknown": 30}
QUICK = {"invalid": "invalid", "disposable": "disposable", "spamtrap": "spamtrap"}
BULK_LIMIT = 50_000


@dataclass(slots=True)
class Task:
    """One bulk task; its verdicts are bought when it is created."""

    number: int
    name: str
    emails: list[str]
    started: float


class Reoon(Vendor):
    """The key travels in the query, or in the body of the bulk POST."""

    name = "reoon"
    base = "/api/v1"
    quotas: ClassVar[Mapping[str, Quota]] = {"default": Quota(in_flight=5)}
    variants = frozenset(("error_4xx", "stuck_task", "task_error", "null_credits"))

    def __init__(self, setting: Setting) -> None:
        """Nothing submitted yet."""
        super().__init__(setting)
        self.tasks: dict[str, Task] = {}
        self.numbers = count(4242)

    def operations(self) -> Sequence[Operation]:
        """Single verification, bulk create and read, balance."""
        api = "api/v1"
        return (
            Operation("verify", "GET", f"{api}/verify", _address, self.verify),
            Operation(
                "bulk_create", "POST", f"{api}/create-bulk-verification-task/", _list, self.create, "bulk"
            ),
            Operation(
                "bulk_read", "GET", f"{api}/get-result-bulk-verification-task/", _task, self.read, "none"
            ),
            Operation("balance", "GET", f"{api}/check-account-balance/", lambda _: "", self.balance, "none"),
        )

    def verify(self, ask: Ask, question: str) -> Reply:
        """One credit per verification, whatever the verdict and the mode."""
        email, mode = ask.param("email"), ask.param("mode") or "quick"
        if not email or mode not in {"quick", "power"}:
            return self.error(400, "Invalid email address or mode.")
        if not self.sell("verify", question, hit=True):
            return self.out_of_credits()
        return answer(self.power(email) if mode == "power" else self.quick(email))

    def power(self, email: str) -> dict[str, Any]:
        """The probing verdict."""
        status = self.world.reoon(email)
        deliverable = status in {"safe", "role_account"}
        return {
            **self.basics(email, status),
            "status": status,
            "overall_score": SCORES.get(status, 0),
            "is_safe_to_send": status == "safe",
            "is_deliverable": deliverable,
            "can_connect_smtp": status not in {"invalid", "unknown"},
            "is_catch_all": status == "catch_all",
            "is_disabled": status == "disabled",
            "has_inbox_full": status == "inbox_full",
            "verification_mode": "power",
        }

    def quick(self, email: str) -> dict[str, Any]:
        """Syntax and domain only: a missing mailbox on a good domain is `valid`; power fields are absent."""
        basics = self.basics(email, self.world.reoon(email))
        status = basics["status"]
        if status == "invalid" and basics["mx_accepts_mail"]:
            status = "valid"
        return {**basics, "status": QUICK.get(status, "valid"), "verification_mode": "quick"}

    def basics(self, email: str, status: str) -> dict[str, Any]:
        """What both modes tell."""
        username, at, domain = email.rpartition("@")
        company = self.world.company(domain.lower())
        has_mail = domain in THROWAWAY_DOMAINS if company is None else company.has_mail
        return {
            "email": email,
            "status": status,
            "username": username,
            "domain": domain,
            "is_valid_syntax": bool(username and at),
            "is_disposable": status == "disposable",
            "is_role_account": status == "role_account" or username.lower() in ROLES,
            "is_spamtrap": status == "spamtrap",
            "is_free_email": False,
            "mx_accepts_mail": has_mail,
            "mx_records": [f"mx1.{domain}"] if has_mail else [],
        }

    def create(self, ask: Ask, _question: str) -> Reply:
        """A bulk task: one credit per address that is not a duplicate or nonsense."""
        given = ask.data.get("emails")
        if not isinstance(given, list) or not 0 < len(given) <= BULK_LIMIT:
            return self.error(400, f"Between 1 and {BULK_LIMIT} emails are needed.")
        emails = list(dict.fromkeys(email.lower() for email in map(word, given) if "@" in email))
        if not self.account.covers(Decimal(len(emails))):
            return self.out_of_credits()
        for email in emails:
            self.sell("bulk_verify", email, hit=True)
        task = Task(next(self.numbers), ask.word("name"), emails, monotonic())
        self.tasks[str(task.number)] = task
        rejected = sum("@" not in word(email) for email in given)
        return answer(
            {
                "status": "success",
                "task_id": task.number,
                "count_submitted": len(given),
                "count_duplicates_removed": len(given) - rejected - len(emails),
                "count_rejected_emails": rejected,
                "count_processing": len(emails),
            },
            201,
        )

    def read(self, _ask: Ask, question: str) -> Reply:
        """Waiting, running, then completed with the results by address."""
        task = self.tasks.get(question)
        if task is None:
            return self.error(404, "Task not found.")
        if "task_error" in self.on:
            return answer({"task_id": question, "name": task.name, "status": "file_loading_error"})
        share = self.progress(task)
        body = {
            "task_id": question,
            "name": task.name,
            "status": "completed" if share == 1.0 else "running" if share else "waiting",
            "count_total": len(task.emails),
            "count_checked": int(len(task.emails) * share),
            "progress_percentage": round(share * 100, 1),
        }
        results = {"results": {email: self.power(email) for email in task.emails}} if share == 1.0 else {}
        return answer(body | results)

    def progress(self, task: Task) -> float:
        """0 while waiting, a half while running, 1 when completed: by the clock and the latency."""
        if "stuck_task" in self.on:
            return 0.5
        rounds = 2.0 if self.search_s <= 0 else (monotonic() - task.started) / self.search_s
        return min(2, int(rounds)) / 2

    def balance(self, _ask: Ask, _question: str) -> Reply:
        """Two meters; one balance stands behind the instant one here."""
        left = None if "null_credits" in self.on else int(self.account.left)
        return answer(
            {
                "api_status": "active",
                "remaining_daily_credits": None if left is None else min(20, left),
                "remaining_instant_credits": left,
                "status": "success",
            },
        )

    def authorised(self, ask: Ask) -> bool:
        """From the query on GET, from the body on POST."""
        given = ask.param("key") if ask.method == "GET" else ask.word("key")
        return given == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """Often 200."""
        return self.error(401, "Invalid API key.")

    def blocked(self, _ask: Ask) -> Reply:
        """Undocumented; in the words of a refused key."""
        return self.error(403, "This API key is not authorized.")

    def out_of_credits(self) -> Reply:
        """Often 200."""
        return self.error(402, "Not enough credits.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """Often 200; nothing tells how long to wait."""
        return self.error(429, f"Too many parallel requests, the limit is {pressure.limit}.")

    def failed(self) -> Reply:
        """500."""
        return answer({"status": "error", "reason": "Internal server error."}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return answer({"status": "error", "reason": "Unknown endpoint."}, 405 if path_known else 404)

    def error(self, code: int, reason: str) -> Reply:
        """The documented body; 200 unless the variant says what the status would be."""
        return answer({"status": "error", "reason": reason}, code if "error_4xx" in self.on else 200)


def _address(ask: Ask) -> str:
    return ask.param("email").lower()


def _list(ask: Ask) -> str:
    given = ask.data.get("emails")
    return f"{len(given) if isinstance(given, list) else 0} addresses as {ask.word('name')}"


def _task(ask: Ask) -> str:
    return ask.param("task_id")
