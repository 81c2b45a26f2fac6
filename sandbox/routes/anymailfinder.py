"""Anymailfinder: person finder, verifier, account. Answers tell their cost; repeats are free for 30 days."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from sandbox.limits import Pressure
from sandbox.people import Person
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import Ask, Reply, answer

FREE_DAYS = 30
CHECK_CREDITS = Decimal("0.2")
STATUS = {
    "safe": "valid",
    "catch_all": "risky",
    "role_account": "risky",
    "unknown": "risky",
    "inbox_full": "risky",
}


class Anymailfinder(Vendor):
    """The raw key in the header, JSON both ways; hits and misses share one shape."""

    name = "anymailfinder"
    base = "/v5.1"
    variants: ClassVar[frozenset[str]] = frozenset(
        ("risky_catch_all", "blacklisted", "old_errors", "error_object", "old_account"),
    )

    def operations(self) -> Sequence[Operation]:
        """Two finders, verifier, account."""
        return (
            Operation("find", "POST", "v5.1/find-email/person", _who, self.find),
            Operation("linkedin", "POST", "v5.1/find-email/linkedin-url", _profile, self.by_profile),
            Operation("verify", "POST", "v5.1/verify-email", _address, self.verify),
            Operation("account", "GET", "v5.1/account", lambda _: "", self.account_page),
        )

    def find(self, ask: Ask, question: str) -> Reply:
        """By name and company; a profile in the same body is a fallback."""
        name, company, profile = _name(ask), _company(ask), ask.word("linkedin_url")
        if not profile and not (name and company):
            return self.error(400, "bad_request", "A name and a domain or company_name are required.")
        person = self.known(self.world.person(name, company)) or self.known(self.world.person_at(profile))
        return self.found("find", question, person)

    def by_profile(self, ask: Ask, question: str) -> Reply:
        """By LinkedIn address."""
        if not question:
            return self.error(400, "bad_request", "linkedin_url is required.")
        return self.found("linkedin", question, self.known(self.world.person_at(ask.word("linkedin_url"))))

    def found(self, operation: str, question: str, person: Person | None) -> Reply:
        """One credit for a valid address."""
        status = self.status(person)
        before = self.account.used
        if not self.sell(operation, question, hit=status == "valid", free_days=FREE_DAYS):
            return self.out_of_credits()
        return answer(_record(status, person, int(self.account.used - before)))

    def status(self, person: Person | None) -> str:
        """Valid when known; the variants show the free kinds."""
        if person is None:
            return "not_found"
        if "blacklisted" in self.on:
            return "blacklisted"
        return "risky" if person.company.catch_all and "risky_catch_all" in self.on else "valid"

    def verify(self, ask: Ask, question: str) -> Reply:
        """A fifth of a credit per check."""
        if not question:
            return self.error(400, "bad_request", "email is required.")
        before = self.account.used
        if not self.sell("verify", question, hit=True, credits_used=CHECK_CREDITS, free_days=FREE_DAYS):
            return self.out_of_credits()
        status = STATUS.get(self.world.reoon(ask.word("email")), "invalid")
        return answer({"credits_charged": float(self.account.used - before), "email_status": status})

    def account_page(self, _ask: Ask, _question: str) -> Reply:
        """Credits left."""
        key = "credits_remaining" if "old_account" in self.on else "credits_left"
        return answer({"email": "ops@buyer.example", key: int(self.account.left)})

    def authorised(self, ask: Ask) -> bool:
        """Raw; with Bearer it still works."""
        return ask.bearer == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return self.error(401, "unauthorized", "The API key is missing or wrong.")

    def out_of_credits(self) -> Reply:
        """402."""
        return self.error(402, "payment_required", "You do not have enough credits.")

    def rate_limited(self, _pressure: Pressure) -> Reply:
        """429; the vendor states no limit and documents no header."""
        return self.error(429, "too_many_requests", "Slow down.")

    def failed(self) -> Reply:
        """503, the one server error that was ever documented."""
        return self.error(503, "server_busy", "The server is busy, try again in a few seconds.")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return self.error(405 if path_known else 404, "not_found", "There is nothing here.")

    def error(self, code: int, kind: str, words: str) -> Reply:
        """The body of v5.1, of older versions, or the object that a client has met."""
        if "old_errors" in self.on:
            return answer({"error": kind, "error_explained": words}, code)
        if "error_object" in self.on:
            return answer({"error": {"code": kind, "message": words}}, code)
        return answer({"error": kind, "message": words}, code)


def _record(status: str, person: Person | None, charged: int) -> dict[str, Any]:
    told = person if status in {"valid", "risky"} else None
    return {
        "credits_charged": charged,
        "email": None if told is None else told.email,
        "email_status": status,
        "person_company_name": None if told is None else told.company.name,
        "person_full_name": None if told is None else told.name,
        "person_job_title": None if told is None else told.title,
        "valid_email": told.email if told is not None and status == "valid" else None,
    }


def _name(ask: Ask) -> str:
    return ask.word("full_name") or f"{ask.word('first_name')} {ask.word('last_name')}".strip()


def _company(ask: Ask) -> str:
    return ask.word("domain") or ask.word("company_name")


def _who(ask: Ask) -> str:
    return asked(_name(ask), _company(ask), ask.word("linkedin_url"))


def _profile(ask: Ask) -> str:
    return ask.word("linkedin_url").lower()


def _address(ask: Ask) -> str:
    return ask.word("email").lower()
