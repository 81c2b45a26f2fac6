"""MailVerify: single verification with flags, history, credits. Errors are undocumented."""

from collections.abc import Sequence
from typing import Any

from sandbox.limits import Pressure
from sandbox.names import ROLES
from sandbox.vendor import Operation, Setting, Vendor
from sandbox.wire import Ask, Reply, answer


class MailVerify(Vendor):
    """Header key, verdict in upper case at data.status."""

    name = "mailverify"
    base = "/api/v1"
    variants = frozenset(("no_status", "risky_status", "client_words"))

    def __init__(self, setting: Setting) -> None:
        """No history yet."""
        super().__init__(setting)
        self.history: dict[str, dict[str, Any]] = {}

    def operations(self) -> Sequence[Operation]:
        """Single verification, its history, two account pages."""
        api = "api/v1"
        return (
            Operation("verify", "POST", f"{api}/verify/single", _address, self.verify),
            Operation("history", "GET", f"{api}/verify/single_emails", _past, self.past),
            Operation("credits_left", "GET", f"{api}/user/credits_left", lambda _: "", self.credits_left),
            Operation("details", "GET", f"{api}/user/details", lambda _: "", self.details),
        )

    def verify(self, ask: Ask, question: str) -> Reply:
        """One credit per verification, whatever the verdict."""
        if not question:
            return answer({"message": "email is required"}, 400)
        if not self.sell("verify", question, hit=True):
            return self.out_of_credits()
        data = self.verdict(ask.word("email"))
        self.history[question] = dict(data)
        if "no_status" in self.on:
            del data["status"]
        return answer({"message": "Email verified", "data": data})

    def verdict(self, email: str) -> dict[str, Any]:
        """Status and flags."""
        probed, status = self.world.reoon(email), self.world.second_opinion(email)
        catch_all = probed == "catch_all"
        return {
            "email": email,
            "status": self.spelled(status, catch_all=catch_all),
            "catch_all": catch_all,
            "disposable": probed == "disposable",
            "free": False,
            "mailbox_full": probed == "inbox_full",
            "role": email.lower().partition("@")[0] in ROLES,
        }

    def spelled(self, status: str, *, catch_all: bool) -> str:
        """The documented words, or those that clients have also met."""
        if "risky_status" in self.on and catch_all:
            return "RISKY"
        if "client_words" in self.on and status == "DELIVERABLE":
            return "ACCEPT_ALL" if catch_all else "VALID"
        return status

    def past(self, ask: Ask, _question: str) -> Reply:
        """Earlier single verifications, in camelCase."""
        data = self.history.get(ask.param("emailId").lower())
        emails = [] if data is None else [_row(data)]
        return answer({"count": len(emails), "emails": emails})

    def credits_left(self, _ask: Ask, _question: str) -> Reply:
        """What is left of the month."""
        left = int(self.account.left)
        limit = left + int(self.account.used)
        return answer({"creditsLeft": left, "creditsLimit": limit, "addonCreditsLeft": 0})

    def details(self, _ask: Ask, _question: str) -> Reply:
        """Plan and credits."""
        left = int(self.account.left)
        details = {
            "planType": "growth",
            "monthlyCreditLimit": left + int(self.account.used),
            "creditsLeft": left,
            "addonCreditsLeft": 0,
            "subscriptionStatus": "active",
        }
        return answer({"userDetails": details})

    def authorised(self, ask: Ask) -> bool:
        """Its own header."""
        return ask.headers.get("x-auth-mailverify") == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401."""
        return answer({"message": "Unauthorized"}, 401)

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return answer({"message": "Forbidden"}, 403)

    def out_of_credits(self) -> Reply:
        """402, by analogy."""
        return answer({"message": "Insufficient credits"}, 402)

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429; whether the real one says how long to wait is not known."""
        return answer({"message": "Too many requests"}, 429, {"Retry-After": str(pressure.wait_s)})

    def failed(self) -> Reply:
        """500."""
        return answer({"message": "Internal server error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return answer({"message": "Not found"}, 405 if path_known else 404)


def _row(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": 7,
        "email": data["email"],
        "free": data["free"],
        "disposable": data["disposable"],
        "catchAll": data["catch_all"],
        "mailboxFull": data["mailbox_full"],
        "role": data["role"],
        "listId": None,
        "validationStatus": data.get("status"),
        "reason": None,
        "createdAt": "2026-05-04T09:00:00.000Z",
        "updatedAt": "2026-05-04T09:00:00.000Z",
        "deletedAt": None,
    }


def _address(ask: Ask) -> str:
    return ask.word("email").lower()


def _past(ask: Ask) -> str:
    return ask.param("emailId").lower()
