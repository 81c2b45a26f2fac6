"""Tomba: finder by name or profile, verifier, account. A repeated question is free for 30 days."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.vendor import Operation, Setting, Vendor, asked
from sandbox.wire import NOTHING, Ask, Reply, answer

FREE_DAYS = 30
STATUS = {
    "safe": ("valid", "deliverable", 98),
    "catch_all": ("accept_all", "risky", 60),
    "disposable": ("disposable", "risky", 50),
    "unknown": ("unknown", "risky", 30),
}


class Tomba(Vendor):
    """`/v1`, two headers for the key; misses are 200 with an all-null object."""

    name = "tomba"
    base = "/v1"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(per_minute=300),
        "linkedin": Quota(per_minute=100),
        "verifier": Quota(per_minute=150),
        "account": Quota(),
    }
    variants = frozenset(
        (
            "empty_list",
            "position_object",
            "epoch_reset",
            "error_key",
            "null_verification",
            "smtp_402",
            "pending_202",
        ),
    )

    def __init__(self, setting: Setting) -> None:
        """Keys in the vendor's form."""
        super().__init__(setting)
        self.account.key = f"ta_{self.account.key}"
        self.account.secret = f"ts_{self.account.secret}"

    def operations(self) -> Sequence[Operation]:
        """Finder, profile finder, verifier, account."""
        return (
            Operation("find", "GET", "v1/email-finder", _who, self.find),
            Operation("linkedin", "GET", "v1/linkedin", _profile, self.by_profile, "linkedin"),
            Operation("verify", "GET", "v1/email-verifier/*", _address, self.verify, "verifier"),
            Operation("me", "GET", "v1/me", _nothing, self.me, "account"),
            Operation("usage", "GET", "v1/usage", _nothing, self.usage, "account"),
        )

    def find(self, ask: Ask, question: str) -> Reply:
        """By name and domain, or company."""
        name, company = _name(ask), ask.param("domain") or ask.param("company")
        if not name or not company:
            return self.error(400, "bad_request", "domain and a full name are required.")
        return self.found("find", question, self.known(self.world.person(name, company)))

    def by_profile(self, ask: Ask, question: str) -> Reply:
        """By LinkedIn address."""
        if not question:
            return self.error(400, "bad_request", "url is required.")
        return self.found("linkedin", question, self.known(self.world.person_at(ask.param("url"))))

    def found(self, operation: str, question: str, person: Person | None) -> Reply:
        """One credit for an address, nothing for a miss."""
        if not self.sell(operation, question, hit=person is not None, free_days=FREE_DAYS):
            return self.out_of_credits()
        if person is None:
            return answer({"data": [] if "empty_list" in self.on else NOBODY})
        return answer({"data": self.person(person)})

    def person(self, person: Person) -> dict[str, Any]:
        """The finder's record."""
        company, alive = person.company, person.mailbox and "null_verification" not in self.on
        return NOBODY | {
            "website_url": company.domain,
            "accept_all": company.catch_all,
            "email": person.email,
            "first_name": person.first,
            "last_name": person.last,
            "full_name": person.name,
            "country": company.place[4],
            "position": {"title": person.title} if "position_object" in self.on else person.title,
            "linkedin": person.linkedin or None,
            "company": company.name,
            "score": 94 if alive else 61,
            "verification": VERIFIED if alive else NOBODY["verification"],
            "sources": [SOURCE | {"uri": f"https://{company.domain}/team", "website_url": company.domain}],
        }

    def verify(self, ask: Ask, question: str) -> Reply:
        """One verification credit whatever the verdict."""
        if "smtp_402" in self.on:
            return self.error(402, "smtp_failed", "The remote SMTP server failed unexpectedly.")
        if "pending_202" in self.on:
            return answer({"data": {"email": {"email": question, "status": "unknown"}}}, 202)
        if not self.sell("verify", question, hit=True, free_days=FREE_DAYS):
            return self.out_of_credits()
        return answer({"data": {"email": self.verdict(ask.args[0].lower())}, "sources": []})

    def verdict(self, email: str) -> dict[str, Any]:
        """The verifier's record, nested at data.email."""
        status, result, score = STATUS.get(self.world.reoon(email), ("invalid", "undeliverable", 0))
        domain = email.rpartition("@")[2]
        company = self.world.company(domain)
        has_mail = company is not None and company.has_mail
        return {
            "email": email,
            "mx": {"records": [f"mx1.{domain}"] if has_mail else []},
            "mx_check": has_mail,
            "smtp_server": has_mail,
            "smtp_check": status == "valid",
            "smtp_provider": "Google Workspace" if has_mail else None,
            "accept_all": status == "accept_all",
            "greylisted": False,
            "block": False,
            "gibberish": False,
            "disposable": status == "disposable",
            "webmail": False,
            "regex": "@" in email,
            "whois": {
                "registrar_name": "Example Registrar",
                "referral_url": "",
                "created_date": "2011-02-03",
            },
            "status": status,
            "result": result,
            "score": score,
        }

    def me(self, _ask: Ask, _question: str) -> Reply:
        """The account with both meters; one balance stands behind them here."""
        used, left = int(self.account.used), int(self.account.left)
        meter = {"available": used + left, "used": used}
        pricing = {
            "name": "growth",
            "available_searches": used + left,
            "available_verifications": used + left,
        }
        return answer(
            {
                "data": {
                    "user_id": 1,
                    "email": "ops@buyer.example",
                    "first_name": "Ops",
                    "last_name": "Buyer",
                    "pricing": pricing | {"available_phones": 0, "frequency": "monthly"},
                    "requests": {
                        "domains": meter,
                        "verifications": meter,
                        "phones": {"available": 0, "used": 0},
                    },
                },
            },
        )

    def usage(self, _ask: Ask, _question: str) -> Reply:
        """Totals of the period."""
        return answer({"data": [], "total": {"search": int(self.account.used), "verifier": 0}})

    def authorised(self, ask: Ask) -> bool:
        """Both headers are required."""
        keys = ask.headers.get("X-Tomba-Key"), ask.headers.get("X-Tomba-Secret")
        return keys == (self.account.key, self.account.secret)

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return self.error(401, "unauthorized", "Invalid API key or secret.")

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return self.error(403, "forbidden", "Your account is blocked.")

    def out_of_credits(self) -> Reply:
        """429 as for the rate, without its headers: only /me tells the difference."""
        return self.error(429, "quota_exceeded", "You have reached your monthly quota.")

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 with the three documented headers and no Retry-After."""
        return self.error(429, "too_many_requests", "Too many requests.", self.headers(pressure))

    def failed(self) -> Reply:
        """500."""
        return self.error(500, "internal_error", "Something went wrong.")

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        if path_known:
            return self.error(405, "method_not_allowed", "Method not allowed.")
        return self.error(404, "not_found", "Route not found.")

    def headers(self, pressure: Pressure | None) -> Mapping[str, str]:
        """Reset counts seconds; the variant gives the epoch."""
        if pressure is None:
            return NOTHING
        reset = pressure.reset_at if "epoch_reset" in self.on else pressure.wait_s
        return {
            "X-RateLimit-Limit": str(pressure.limit),
            "X-RateLimit-Remaining": str(pressure.remaining),
            "X-RateLimit-Reset": str(reset),
        }

    def error(self, code: int, kind: str, words: str, headers: Mapping[str, str] = NOTHING) -> Reply:
        """The documented error body; the variant names its key in the singular."""
        key = "error" if "error_key" in self.on else "errors"
        return answer({key: {"type": kind, "message": words, "code": code}}, code, headers)

    def env(self, base_url: str) -> dict[str, str]:
        """The secret too."""
        return {**super().env(base_url), "TOMBA_API_SECRET": self.account.secret}


NOBODY: dict[str, Any] = {
    "website_url": None,
    "accept_all": None,
    "email": None,
    "first_name": None,
    "last_name": None,
    "full_name": None,
    "country": None,
    "gender": None,
    "phone_number": None,
    "position": None,
    "twitter": None,
    "linkedin": None,
    "company": None,
    "score": 0,
    "disposable": False,
    "webmail": False,
    "verification": {"date": None, "status": None},
    "sources": [],
}
VERIFIED = {"date": "2026-05-04T00:00:00+00:00", "status": "valid"}
SOURCE = {
    "extracted_on": "2025-11-02T00:00:00+00:00",
    "last_seen_on": "2026-04-28T00:00:00+00:00",
    "still_on_page": True,
}


def _name(ask: Ask) -> str:
    first, last = ask.param("first_name"), ask.param("last_name")
    return ask.param("full_name") or (f"{first} {last}" if first and last else "")


def _who(ask: Ask) -> str:
    return asked(_name(ask), ask.param("domain") or ask.param("company"))


def _profile(ask: Ask) -> str:
    return ask.param("url").lower()


def _address(ask: Ask) -> str:
    return ask.args[0].lower()


def _nothing(_ask: Ask) -> str:
    return ""
