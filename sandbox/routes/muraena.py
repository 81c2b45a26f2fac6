"""Muraena: search with reveal, reveal by profile, balance. Little is confirmed; in the style of Django."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure
from sandbox.people import Person
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import HTML, Ask, Reply, answer, text, word

FILTERS = ("first_name", "last_name", "company", "domain", "linkedin_url")
OTHER_NAMES = {"phone": "mobile", "title": "job_title", "company": "company_name"}


class Muraena(Vendor):
    """`Authorization: Token`, paths with trailing slashes; one credit for each revealed contact."""

    name = "muraena"
    variants: ClassVar[frozenset[str]] = frozenset(
        ("several_results", "other_names", "no_email", "forbidden_403", "html_404"),
    )

    def operations(self) -> Sequence[Operation]:
        """Search, reveal, balance."""
        return (
            Operation("find", "POST", "api/client_api/search/", _filters_text, self.search),
            Operation("reveal", "GET", "api/client_api/reveal/", _target, self.reveal),
            Operation("balance", "GET", "user/client_api/balance/", lambda _: "", self.balance),
        )

    def search(self, ask: Ask, question: str) -> Reply:
        """A list; without `reveal` the profile comes bare and free."""
        filters = _filters(ask)
        if not any(filters.values()):
            return answer({"filters": ["This field is required."]}, 400)
        person = self.known(self.sought(filters))
        revealed = ask.data.get("reveal") is True and "no_email" not in self.on
        if revealed and not self.sell("find", question, hit=person is not None):
            return self.out_of_credits()
        if person is None:
            return answer({"results": []})
        return answer({"results": self.results(person, revealed=revealed)})

    def sought(self, filters: Mapping[str, str]) -> Person | None:
        """By profile, or by name and domain or company."""
        if filters["linkedin_url"]:
            return self.world.person_at(filters["linkedin_url"])
        name = f"{filters['first_name']} {filters['last_name']}".strip()
        return self.world.person(name, filters["domain"] or filters["company"])

    def results(self, person: Person, *, revealed: bool) -> list[dict[str, Any]]:
        """The person; a stranger of a like name first, in the rare case."""
        found = self.contact(person, revealed=revealed)
        if "several_results" not in self.on:
            return [found]
        stranger = {
            "last_name": f"{person.last}son",
            "email": None,
            "company": "Elsewhere",
            "linkedin_url": None,
        }
        return [found | stranger, found]

    def reveal(self, ask: Ask, question: str) -> Reply:
        """One flat contact, or 404."""
        url, email = ask.param("linkedin_url"), ask.param("email")
        person = self.known(self.world.person_at(url) if url else self.world.owner(email))
        if not self.sell("reveal", question, hit=person is not None):
            return self.out_of_credits()
        if person is None:
            return answer({"detail": "Not found."}, 404)
        return answer(self.contact(person, revealed=True))

    def contact(self, person: Person, *, revealed: bool) -> dict[str, Any]:
        """A profile, under the usual or the other field names."""
        contact = {
            "first_name": person.first,
            "last_name": person.last,
            "email": person.email if revealed else None,
            "email_verified": revealed and person.mailbox,
            "phone": None,
            "title": person.title,
            "company": person.company.name,
            "linkedin_url": person.linkedin or None,
        }
        if "other_names" in self.on:
            return {OTHER_NAMES.get(name, name): value for name, value in contact.items()}
        return contact

    def balance(self, _ask: Ask, _question: str) -> Reply:
        """Credits left."""
        return answer({"balance": int(self.account.left), "plan": "business"})

    def authorised(self, ask: Ask) -> bool:
        """Token scheme."""
        return ask.headers.get("Authorization") == f"Token {self.account.key}"

    def unauthorised(self, _ask: Ask) -> Reply:
        """401, or 403 for a plan without the API."""
        return answer({"detail": "Invalid token."}, 403 if "forbidden_403" in self.on else 401)

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return answer({"detail": "You do not have permission to perform this action."}, 403)

    def out_of_credits(self) -> Reply:
        """402."""
        return answer({"detail": "Not enough credits."}, 402)

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429 as the framework words it."""
        wait = pressure.wait_s
        words = f"Request was throttled. Expected available in {wait} seconds."
        return answer({"detail": words}, 429, {"Retry-After": str(wait)})

    def failed(self) -> Reply:
        """500."""
        return text("<h1>Server Error (500)</h1>", 500, HTML)

    def no_route(self, *, path_known: bool) -> Reply:
        """404, in the rare case as a page; 405 for the wrong method."""
        if "html_404" in self.on:
            return text("<h1>Not Found</h1>", 404, HTML)
        words = "Method not allowed." if path_known else "Not found."
        return answer({"detail": words}, 405 if path_known else 404)


def _filters(ask: Ask) -> dict[str, str]:
    given = ask.data.get("filters")
    fields = given if isinstance(given, dict) else {}
    return {name: word(fields.get(name)) for name in FILTERS}


def _filters_text(ask: Ask) -> str:
    filters = _filters(ask)
    name = f"{filters['first_name']} {filters['last_name']}".strip()
    return asked(name, filters["domain"] or filters["company"], filters["linkedin_url"])


def _target(ask: Ask) -> str:
    return asked(ask.param("linkedin_url"), ask.param("email"))
