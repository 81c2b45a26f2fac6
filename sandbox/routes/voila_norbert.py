"""Voila Norbert: a search is started by name and read until it is done. A known contact is free again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic, time
from typing import Any, ClassVar

from sandbox.companies import Company
from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.scenarios import Fate
from sandbox.vendor import Operation, Setting, Vendor, asked
from sandbox.wire import NOTHING, Ask, Reply, answer

FOREVER_DAYS = 36_500
SCORES = {Fate.VALID: 100, Fate.RISKY: 80, Fate.DOUBTFUL: 80}


@dataclass(frozen=True, slots=True)
class Contact:
    """One search and its result, kept for good."""

    number: int
    name: str
    company: Company
    person: Person | None
    created: int
    done_at: float


class VoilaNorbert(Vendor):
    """HTTP Basic with the key as password, form-encoded questions."""

    name = "voila_norbert"
    base = "/2018-01-08"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_minute=300, per_day=100_000),
        "others": Quota(per_minute=120),
    }
    variants = frozenset(("never_done", "status_202", "unlocatable_400", "outside_source"))

    def __init__(self, setting: Setting) -> None:
        """No contacts yet."""
        super().__init__(setting)
        self.contacts: dict[str, Contact] = {}
        self.by_question: dict[str, Contact] = {}
        self.numbers = count(5512)

    def operations(self) -> Sequence[Operation]:
        """Search, contact, three account pages."""
        base = "2018-01-08"
        return (
            Operation("find", "POST", f"{base}/search/name", _who, self.search),
            Operation("contact", "GET", f"{base}/contacts/*", _number, self.contact, "others"),
            Operation("account", "GET", f"{base}/account/", _nothing, self.account_page, "others"),
            Operation("organization", "GET", f"{base}/organization/", _nothing, self.organization, "others"),
            Operation(
                "credits", "GET", f"{base}/organization/credits", _nothing, self.credits_page, "others"
            ),
        )

    def search(self, ask: Ask, question: str) -> Reply:
        """The contact, usually still being searched; one credit if it will be found."""
        name, given = (
            ask.form.get("name", "").strip(),
            ask.form.get("domain") or ask.form.get("company") or "",
        )
        if not name or not given:
            return _error(400, "name and domain or company are required")
        known = self.by_question.get(question)
        if known is not None:
            return answer(self.record(known, is_new=False))
        company = self.world.company(given)
        if company is None or "unlocatable_400" in self.on:
            return _error(400, "The domain of the company could not be located")
        person = self.known(self.world.person(name, given))
        if not self.sell("find", question, hit=person is not None, free_days=FOREVER_DAYS):
            return self.out_of_credits()
        contact = self.remember(question, name, company, person)
        return answer(
            self.record(contact, is_new=True, searching=True),
            202 if "status_202" in self.on else 200,
        )

    def remember(self, question: str, name: str, company: Company, person: Person | None) -> Contact:
        """A new contact, done after some time."""
        number = next(self.numbers)
        done_at = monotonic() + self.search_s
        contact = Contact(number, name, company, person, int(time()), done_at)
        self.contacts[str(number)] = self.by_question[question] = contact
        return contact

    def contact(self, _ask: Ask, question: str) -> Reply:
        """Where the search stands."""
        contact = self.contacts.get(question)
        if contact is None:
            return _error(404, "Contact not found")
        return answer(self.record(contact, is_new=False) | {"messages": [], "owner": {}})

    def record(self, contact: Contact, *, is_new: bool, searching: bool = False) -> dict[str, Any]:
        """A contact; the address appears when the search is done."""
        going = searching or "never_done" in self.on or monotonic() < contact.done_at
        found = None if going else contact.person
        return {
            "id": contact.number,
            "name": contact.name,
            "email": None if found is None else {"email": found.email, "score": self.score(found)},
            "company": {
                "name": contact.company.name,
                "title": None if found is None else found.title,
                "url": contact.company.domain,
            },
            "created": contact.created,
            "is_new": is_new,
            "lists": [],
            "searching": going,
            "status": "N",
        }

    def score(self, person: Person) -> int:
        """100 validated, 80 not confirmable, 5 from an outside source."""
        return 5 if "outside_source" in self.on else SCORES.get(person.fate, 80)

    def account_page(self, _ask: Ask, _question: str) -> Reply:
        """The account; it holds the token, as the real one does."""
        return answer(
            {
                "email": "ops@buyer.example",
                "name": "Buyer",
                "firstname": "Ops",
                "api_token": self.account.key,
                "admin": True,
                "created": 1_577_836_800,
                "has_cc": True,
                "is_account_verified": True,
                "credits": self.credits(),
            },
        )

    def organization(self, _ask: Ask, _question: str) -> Reply:
        """The organization."""
        plan = {"name": "valet"}
        return answer(
            {"id": 1, "company_name": "Buyer", "plan": plan, "credits": self.credits(), "is_yearly": False}
        )

    def credits_page(self, _ask: Ask, _question: str) -> Reply:
        """Credits alone."""
        return answer(self.credits())

    def credits(self) -> dict[str, Any]:
        """What remains of what there was."""
        left = int(self.account.left)
        return {
            "remains": left,
            "total": left + int(self.account.used),
            "refill_credits": 0,
            "refill_limit": 0,
            "refill_price": 0,
            "charge_failed": False,
        }

    def authorised(self, ask: Ask) -> bool:
        """Any user name, the key as password."""
        return ask.basic[1] == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return _error(401, "Unauthorized")

    def out_of_credits(self) -> Reply:
        """402."""
        return _error(402, "Not enough credits")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with the epoch of the reset and no Retry-After."""
        return answer({"message": "Too many requests"}, 429, self.headers(pressure))

    def failed(self) -> Reply:
        """500."""
        return _error(500, "Internal server error")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return _error(405, "Method not allowed") if path_known else _error(404, "Not found")

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Reset is an epoch here."""
        if pressure is None:
            return NOTHING
        return {
            "X-RateLimit-Limit": str(pressure.limit),
            "X-RateLimit-Remaining": str(pressure.remaining),
            "X-RateLimit-Reset": str(pressure.reset_at),
        }


def _error(code: int, words: str) -> Reply:
    return answer({"message": words}, code)


def _who(ask: Ask) -> str:
    form = ask.form
    return asked(form.get("name", "").strip(), form.get("domain") or form.get("company") or "")


def _number(ask: Ask) -> str:
    return ask.args[0]


def _nothing(_ask: Ask) -> str:
    return ""
