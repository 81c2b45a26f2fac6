"""Icypeas: every search is a job, submitted and then read; singly or as a file of up to 5,000 rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from time import monotonic
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.scenarios import Fate
from sandbox.vendor import Operation, Setting, Vendor, asked
from sandbox.wire import Ask, Reply, answer, word

CHECK_CREDITS = Decimal("0.1")
ROW_LIMIT = 5_000
CERTAINTY = {Fate.VALID: "ultra_sure", Fate.RISKY: "probable", Fate.DOUBTFUL: "probable"}
CHECKED = {"safe": "ultra_sure", "catch_all": "probable", "role_account": "very_sure", "unknown": "not_found"}
SEARCH, CHECK = "email-search", "email-verification"


@dataclass(slots=True)
class Item:
    """One search, decided and billed when it is submitted."""

    number: str
    first: str
    last: str
    status: str
    email: str | None
    certainty: str
    external: str
    hook: str
    order: int
    done_at: float


@dataclass(slots=True)
class File:
    """One bulk search."""

    number: str
    name: str
    task: str
    items: list[Item]


class Icypeas(Vendor):
    """Everything is POST; the bare key in the header; bad input and empty accounts are 200."""

    name = "icypeas"
    base = "/api"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_second=10),
        "verification": Quota(per_second=10),
        "bulk": Quota(per_second=1),
        "read": Quota(per_minute=30),
        "files": Quota(per_minute=15),
    }
    variants = frozenset(
        (
            "submit_scheduled",
            "found_not_debited",
            "debited_not_found",
            "certainty_not_found",
            "aborted",
            "never_done",
            "unpaid",
        ),
    )

    def __init__(self, setting: Setting) -> None:
        """Nothing submitted yet."""
        super().__init__(setting)
        self.items: dict[str, Item] = {}
        self.externals: dict[str, Item] = {}
        self.files: dict[str, File] = {}
        self.numbers = count(1)

    def operations(self) -> Sequence[Operation]:
        """Submit, submit in bulk, read items, read files, account."""
        return (
            Operation("find", "POST", f"api/{SEARCH}", _who, self.search),
            Operation("verify", "POST", f"api/{CHECK}", _address, self.check, "verification"),
            Operation("bulk", "POST", "api/bulk-search", _batch, self.bulk, "bulk"),
            Operation("read", "POST", "api/bulk-single-searchs/read", _which, self.read, "read"),
            Operation("files", "POST", "api/search-files/read", _file, self.read_files, "files"),
            Operation(
                "account", "POST", "api/a/actions/subscription-information", _file, self.account_page, "none"
            ),
        )

    # -- submitting

    def search(self, ask: Ask, question: str) -> Reply:
        """A job for one person; the answer is never in this reply."""
        first, last, company = (ask.word(name) for name in ("firstname", "lastname", "domainOrCompany"))
        if not company:
            return _invalid("domainOrCompany")
        if not first and not last:
            return _invalid("firstname")
        external, hook = _custom(ask)
        return self.submitted(self.found(question, (first, last, company), external, hook, 0))

    def check(self, ask: Ask, question: str) -> Reply:
        """A job for one address."""
        if not question:
            return _invalid("email")
        return self.submitted(self.checked(question, *_custom(ask), 0))

    def submitted(self, item: Item) -> Reply:
        """The job's number."""
        if "unpaid" in self.on:
            return answer({"success": False, "error": "UnpaidSubscriptionError"})
        status = "SCHEDULED" if "submit_scheduled" in self.on else "NONE"
        return answer({"success": True, "item": {"_id": item.number, "status": status}})

    def found(self, question: str, row: tuple[str, str, str], external: str, hook: str, order: int) -> Item:
        """One credit when found, and a repeat is charged again; what is aborted was never looked for."""
        first, last, company = row
        person = self.known(self.world.person(f"{first} {last}".strip(), company))
        paid = self.sell("find", question, hit=person is not None and "aborted" not in self.on)
        item = self.item(first, last, external, hook, order)
        item.status = self.status(person) if paid else "INSUFFICIENT_FUNDS"
        if person is not None and item.status in {"FOUND", "DEBITED"}:
            item.email, item.certainty = person.email, CERTAINTY.get(person.fate, "sure")
        return item

    def status(self, person: Person | None) -> str:
        """How a search ends that the balance covers."""
        if "aborted" in self.on:
            return "ABORTED"
        if person is None:
            return "DEBITED_NOT_FOUND" if "debited_not_found" in self.on else "NOT_FOUND"
        return "FOUND" if "found_not_debited" in self.on else "DEBITED"

    def checked(self, email: str, external: str, hook: str, order: int) -> Item:
        """A tenth of a credit for each check."""
        paid = self.sell("verify", email, hit=True, credits_used=CHECK_CREDITS)
        item = self.item("", "", external, hook, order)
        item.status = "DEBITED" if paid else "INSUFFICIENT_FUNDS"
        if paid:
            item.email = email
            item.certainty = CHECKED.get(self.world.reoon(email), "undeliverable")
        return item

    def item(self, first: str, last: str, external: str, hook: str, order: int) -> Item:
        """A new one, done after some time."""
        number = f"ip{next(self.numbers):08d}"
        item = Item(
            number, first, last, "NOT_FOUND", None, "", external, hook, order, monotonic() + self.search_s
        )
        self.items[number] = item
        if external:
            self.externals[external] = item
        return item

    def bulk(self, ask: Ask, _question: str) -> Reply:
        """A file of rows; each is billed like a single one."""
        rows, task = ask.data.get("data"), ask.word("task")
        if task not in {SEARCH, CHECK}:
            return _invalid("task")
        if not isinstance(rows, list) or not 0 < len(rows) <= ROW_LIMIT:
            return _invalid("data")
        cells = [tuple(map(word, row)) if isinstance(row, list) else () for row in rows]
        width = 3 if task == SEARCH else 1
        if any(len(row) != width for row in cells):
            return _invalid("data")
        items = [
            self.row(row, external, order) for order, (row, external) in enumerate(_with_ids(ask, cells))
        ]
        file = File(f"file{next(self.numbers)}", ask.word("name"), task, items)
        self.files[file.number] = file
        return answer({"success": True, "file": file.number, "status": "in_progress"})

    def row(self, row: tuple[str, ...], external: str, order: int) -> Item:
        """One row of a file."""
        if len(row) == 1:
            return self.checked(row[0].lower(), external, "", order)
        first, last, company = row
        question = asked(f"{first} {last}".strip(), company)
        return self.found(question, (first, last, company), external, "", order)

    # -- reading

    def read(self, ask: Ask, _question: str) -> Reply:
        """One item by its number or by our own, or a page of a file in the order of its rows."""
        if ask.word("mode") == "bulk":
            return self.page(ask)
        item = self.items.get(ask.word("id")) or self.externals.get(ask.word("externalId"))
        if item is None:
            return answer({"success": False, "error": "SearchNotFoundError"})
        return answer({"success": True, "items": [self.record(item)], "sorts": [[], []], "total": 1})

    def page(self, ask: Ask) -> Reply:
        """Rows of one file; `next` with the last answer's `sorts` goes on behind it."""
        file = self.files.get(ask.word("file"))
        if file is None:
            return answer({"success": False, "error": "SearchNotFoundError"})
        start = _behind(ask) if ask.data.get("next") else 0
        items = file.items[start : start + _limit(ask, 100)]
        sorts = [[items[0].order], [items[-1].order]] if items else [[], []]
        records = [self.record(item) for item in items]
        return answer({"success": True, "items": records, "sorts": sorts, "total": len(file.items)})

    def going(self, item: Item) -> bool:
        """Whether the search is not done."""
        return "never_done" in self.on or monotonic() < item.done_at

    def record(self, item: Item) -> dict[str, Any]:
        """An item: pending without results, then with them."""
        going = self.going(item)
        name = {
            "firstname": item.first,
            "lastname": item.last,
            "fullname": f"{item.first} {item.last}".strip(),
        }
        lists = {"emails": [] if going else self.emails(item), "phones": [], "saasServices": []}
        return {
            "_id": item.number,
            "name": "__icypeas__individual",
            "user": "u1",
            "order": item.order,
            "status": "IN_PROGRESS" if going else item.status,
            "results": {**name, "gender": None, **lists},
            "userData": {"webhookUrl": item.hook, "externalId": item.external},
            "system": {"createdAt": "2026-05-04T09:00:00.000Z", "modifiedAt": "2026-05-04T09:00:06.000Z"},
        }

    def emails(self, item: Item) -> list[dict[str, Any]]:
        """The address with its certainty; in the rare case a miss has an entry too."""
        if item.email is None:
            if "certainty_not_found" not in self.on:
                return []
            return [{"email": "", "certainty": "not_found", "mxProvider": None, "mxRecords": []}]
        domain = item.email.rpartition("@")[2]
        entry = {"email": item.email, "certainty": item.certainty}
        return [{**entry, "mxProvider": "google", "mxRecords": [f"mx1.{domain}"]}]

    def read_files(self, ask: Ask, _question: str) -> Reply:
        """One file, or the latest."""
        wanted = ask.word("file")
        files = [file for file in self.files.values() if wanted in {"", file.number}]
        latest = files[::-1][: min(50, _limit(ask, 10))]
        return answer(
            {"success": True, "files": [self.progress(file) for file in latest], "total": len(files)}
        )

    def progress(self, file: File) -> dict[str, Any]:
        """Where a file stands."""
        done = sum(not self.going(item) for item in file.items)
        finished = done == len(file.items)
        return {
            "file": file.number,
            "name": file.name,
            "task": file.task,
            "status": "done" if finished else "in_progress",
            "finished": finished,
            "done": done,
            "total": len(file.items),
        }

    def account_page(self, _ask: Ask, _question: str) -> Reply:
        """Credits and user; free."""
        left = self.account.left
        shown = int(left) if left == int(left) else float(left)
        return answer(
            {"success": True, "userId": "u1", "credits": shown, "subscription": {"status": "active"}}
        )

    # -- refusals

    def authorised(self, ask: Ask) -> bool:
        """The bare key."""
        return ask.headers.get("Authorization") == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return answer({"success": False, "message": "Unauthorized"}, 401)

    def out_of_credits(self) -> Reply:
        """No 402 exists: the submission of an item that will end with INSUFFICIENT_FUNDS."""
        item = self.item("", "", "", "", 0)
        item.status = "INSUFFICIENT_FUNDS"
        return self.submitted(item)

    def broke(self, operation: Operation, ask: Ask, question: str) -> Reply:
        """Jobs are taken, and end with INSUFFICIENT_FUNDS; reading costs nothing and goes on."""
        held, self.account.balance = self.account.balance, Decimal(0)
        try:
            return operation.answer(ask, question)
        finally:
            self.account.balance = held

    def rate_limited(self, _pressure: Pressure) -> Reply:
        """429, and nothing tells how long to wait."""
        return answer({"success": False, "message": "Too many requests"}, 429)

    def failed(self) -> Reply:
        """500."""
        return answer({"success": False, "message": "Internal server error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return answer({"success": False, "message": "Not found"}, 405 if path_known else 404)


def _invalid(field: str) -> Reply:
    wrong = {"field": field, "type": "required", "message": f"{field} is required"}
    return answer({"success": False, "validationErrors": [wrong]})


def _custom(ask: Ask) -> tuple[str, str]:
    given = ask.data.get("custom")
    custom = given if isinstance(given, dict) else {}
    return word(custom.get("externalId")), word(custom.get("webhookUrl"))


def _with_ids(ask: Ask, rows: list[tuple[str, ...]]) -> list[tuple[tuple[str, ...], str]]:
    given = ask.data.get("custom")
    ids = given.get("externalIds") if isinstance(given, dict) else None
    externals = [word(one) for one in ids] if isinstance(ids, list) else []
    return [(row, externals[order] if order < len(externals) else "") for order, row in enumerate(rows)]


def _limit(ask: Ask, usual: int) -> int:
    limit = ask.data.get("limit")
    return limit if isinstance(limit, int) and limit > 0 else usual


def _behind(ask: Ask) -> int:
    """The row after the last one of the page whose `sorts` are handed back."""
    match ask.data.get("sorts"):
        case [_, [int(last), *_]]:
            return last + 1
        case _:
            return 0


def _who(ask: Ask) -> str:
    name = f"{ask.word('firstname')} {ask.word('lastname')}".strip()
    return asked(name, ask.word("domainOrCompany"))


def _address(ask: Ask) -> str:
    return ask.word("email").lower()


def _batch(ask: Ask) -> str:
    rows = ask.data.get("data")
    return f"{len(rows) if isinstance(rows, list) else 0} rows as {ask.word('name')}"


def _which(ask: Ask) -> str:
    return ask.word("id") or ask.word("file") or ask.word("externalId")


def _file(ask: Ask) -> str:
    return ask.word("file")
