"""Nimbler: one endpoint that appends a contact to whatever seed is given. A miss is 404."""

from collections.abc import Sequence
from typing import Any, ClassVar

from sandbox.limits import Pressure
from sandbox.people import Person
from sandbox.vendor import Operation, Vendor, asked
from sandbox.wire import HTML, Ask, Reply, answer, text

SEEDS = ("emailAddress", "linkedinUrl", "firstName", "lastName", "company", "mobilePhone")


class Nimbler(Vendor):
    """Bearer key, camelCase, a bare object; the company seed is a name, never a domain."""

    name = "nimbler"
    base = "/api/v1"
    variants: ClassVar[frozenset[str]] = frozenset(
        ("miss_200", "level_list", "personal_only", "bad_key_403"),
    )

    def operations(self) -> Sequence[Operation]:
        """Append a contact."""
        return (Operation("find", "POST", "api/v1/append/contact", _seed, self.append),)

    def append(self, ask: Ask, question: str) -> Reply:
        """One credit for a record."""
        seeds = {name: ask.word(name) for name in SEEDS}
        by_name = all(seeds[name] for name in ("firstName", "lastName", "company"))
        if not by_name and not any(seeds[name] for name in ("emailAddress", "linkedinUrl", "mobilePhone")):
            return answer(
                {"message": "Provide an email, a LinkedIn address, a phone, or a name and company."}, 400
            )
        person = self.known(self.sought(seeds))
        if not self.sell("find", question, hit=person is not None):
            return self.out_of_credits()
        if person is not None:
            return answer(self.record(person))
        return answer({}) if "miss_200" in self.on else answer({"message": "No record found."}, 404)

    def sought(self, seeds: dict[str, str]) -> Person | None:
        """The first seed that is set decides."""
        if seeds["emailAddress"]:
            return self.world.owner(seeds["emailAddress"])
        if seeds["linkedinUrl"]:
            return self.world.person_at(seeds["linkedinUrl"])
        company = self.world.company_named(seeds["company"])
        name = f"{seeds['firstName']} {seeds['lastName']}"
        return None if company is None else self.world.person(name, company.domain)

    def record(self, person: Person) -> dict[str, Any]:
        """The contact; types are not stable, which the variants show."""
        company = person.company
        level = person.title.split()[0]
        personal = "personal_only" in self.on
        return {
            "contactFirstName": person.first,
            "contactLastName": person.last,
            "contactFullName": person.name,
            "contactEmail": None if personal else person.email,
            "contactPersonalEmail": f"{''.join(person.latin)}@webmail.example" if personal else None,
            "contactPhone": None,
            "directDialPhone": None,
            "contactLinkedinURL": person.linkedin or None,
            "contactTitle": person.title,
            "contactTitleLevel": [level] if "level_list" in self.on else level,
            "contactJobFunctions": ["Operations"],
            "companyName": company.name,
            "companyDomain": company.domain,
            "companyLinkedinURL": f"https://www.linkedin.com/company/{company.slug}",
            "companyEmployees": str(company.employees),
            "companyRevenueRange": None,
            "companyPrimaryIndustry": company.industry,
            "companyFoundedYear": str(company.founded),
            "companyCountry": company.place[4],
            "companyCity": company.place[0],
            "companyType": "Private",
            "companyPhone": None,
            "companyNAICSCode": None,
            "companySic": None,
        }

    def authorised(self, ask: Ask) -> bool:
        """Bearer token."""
        return ask.bearer == self.account.key

    def unauthorised(self, _ask: Ask) -> Reply:
        """401 or 403: sources differ."""
        return answer({"message": "Unauthorized"}, 403 if "bad_key_403" in self.on else 401)

    def blocked(self, _ask: Ask) -> Reply:
        """403."""
        return answer({"message": "Forbidden"}, 403)

    def out_of_credits(self) -> Reply:
        """402."""
        return answer({"message": "Insufficient credits"}, 402)

    def rate_limited(self, pressure: Pressure) -> Reply:
        """429."""
        return answer({"message": "Too many requests"}, 429, {"Retry-After": str(pressure.wait_s)})

    def failed(self) -> Reply:
        """500."""
        return answer({"message": "Internal server error"}, 500)

    def no_route(self, *, path_known: bool) -> Reply:
        """A page, as a wrong base path gives: not to be taken for a missing record."""
        if path_known:
            return answer({"message": "Method not allowed"}, 405)
        return text("<h1>404 Not Found</h1>", 404, HTML)


def _seed(ask: Ask) -> str:
    name = f"{ask.word('firstName')} {ask.word('lastName')}".strip()
    return asked(
        ask.word("emailAddress"), ask.word("linkedinUrl"), name, ask.word("company"), ask.word("mobilePhone")
    )
