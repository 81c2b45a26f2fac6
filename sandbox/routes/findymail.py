"""Findymail: finder by name or profile, boolean verifier, credits. Repeats are charged again."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure, Quota
from sandbox.people import Person
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import JSON, Ask, Reply, answer


class Findymail(Vendor):
    """POST with JSON under `/api`; limits are requests in flight, not rates."""

    name = "findymail"
    quotas: ClassVar[Mapping[str, Quota]] = {
        "default": Quota(in_flight=300),
        "linkedin": Quota(in_flight=30),
        "verify": Quota(in_flight=300),
    }
    variants = frozenset(("contact_null", "no_contact", "not_found_404", "error_200"))

    def operations(self) -> Sequence[Operation]:
        """Two finders (the second under two names), verifier, credits."""
        return (
            Operation("find", "POST", "api/search/name", _who, self.find),
            Operation("linkedin", "POST", "api/search/linkedin", _profile, self.by_profile, "linkedin"),
            Operation(
                "linkedin", "POST", "api/search/business-profile", _profile, self.by_profile, "linkedin"
            ),
            Operation("verify", "POST", "api/verify", _address, self.verify, "verify"),
            Operation("credits", "GET", "api/credits", lambda _: "", self.balance, "none"),
        )

    def find(self, ask: Ask, question: str) -> Reply:
        """By full name and domain, or company name."""
        name, company = ask.word("name"), ask.word("domain")
        missing = [field for field, value in (("name", name), ("domain", company)) if not value]
        if missing:
            return _invalid(missing[0])
        return self.found("find", question, self.known(self.world.person(name, company)), name)

    def by_profile(self, ask: Ask, question: str) -> Reply:
        """By LinkedIn address."""
        if not question:
            return _invalid("linkedin_url")
        return self.found(
            "linkedin", question, self.known(self.world.person_at(ask.word("linkedin_url"))), None
        )

    def found(self, operation: str, question: str, person: Person | None, name: str | None) -> Reply:
        """One credit for an address; a miss is a contact without one."""
        if not self.sell(operation, question, hit=person is not None):
            return self.out_of_credits()
        return self.missed(name) if person is None else answer({"contact": _contact(person)})

    def missed(self, name: str | None) -> Reply:
        """The live shape, or one of the three that clients guard against."""
        if "not_found_404" in self.on:
            return answer({"message": "No contact found."}, 404)
        if "no_contact" in self.on:
            return answer({})
        if "contact_null" in self.on:
            return answer({"contact": None})
        return answer({"contact": NOBODY | {"name": name}})

    def verify(self, ask: Ask, question: str) -> Reply:
        """One credit per attempt; yes or no, and no reason."""
        if not question:
            return _invalid("email")
        if not self.sell("verify", question, hit=True):
            return self.out_of_credits()
        verified = self.world.reoon(question) == "safe"
        return answer(
            {"email": ask.word("email"), "verified": verified, "provider": "Google" if verified else None}
        )

    def balance(self, _ask: Ask, _question: str) -> Reply:
        """Both meters; one balance stands behind them here."""
        left = int(self.account.left)
        return answer({"credits": left, "verifier_credits": left})

    def authorised(self, ask: Ask) -> bool:
        """Bearer token."""
        return ask.bearer == self.account.key

    def unauthorised(self, ask: Ask) -> Reply:
        """401; 403 to those who do not ask for JSON."""
        wants_json = JSON in ask.headers.get("Accept", "")
        return answer({"message": "Unauthenticated."}, 401 if wants_json else 403)

    def blocked(self, _ask: Ask) -> Reply:
        """423: the subscription is paused."""
        return answer({"error": "Subscription is paused"}, 423)

    def out_of_credits(self) -> Reply:
        """402; the older documents show the same body with 200."""
        return answer({"error": "Not enough credits"}, 200 if "error_200" in self.on else 402)

    def rate_limited(self, pressure: Pressure) -> Reply:
        """Undocumented; the framework's own answer."""
        return answer({"message": "Too Many Attempts."}, 429, {"Retry-After": str(pressure.wait_s)})

    def failed(self) -> Reply:
        """500."""
        return answer({"message": "Server Error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """404 or 405."""
        return answer(
            {"message": "Method not allowed." if path_known else "Not Found"}, 405 if path_known else 404
        )


NOBODY: dict[str, Any] = {
    "id": None,
    "name": None,
    "email": None,
    "domain": None,
    "company": None,
    "linkedin_url": None,
    "job_title": None,
    "company_city": None,
    "company_region": None,
    "company_country": None,
    "city": None,
    "region": None,
    "country": None,
    "phone_number": None,
}


def _contact(person: Person) -> dict[str, Any]:
    company = person.company
    city, region, _, country, _ = company.place
    return NOBODY | {
        "id": person.number,
        "name": person.name,
        "email": person.email,
        "domain": company.domain,
        "company": company.name,
        "linkedin_url": person.linkedin or None,
        "job_title": person.title,
        "company_city": city,
        "company_region": region,
        "company_country": country,
    }


def _invalid(field: str) -> Reply:
    words = f"The {field} field is required."
    return answer({"message": words, "errors": {field: [words]}}, 422)


def _who(ask: Ask) -> str:
    return asked(ask.word("name"), ask.word("domain"))


def _profile(ask: Ask) -> str:
    return ask.word("linkedin_url").lower()


def _address(ask: Ask) -> str:
    return ask.word("email").lower()
