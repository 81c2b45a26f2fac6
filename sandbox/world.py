"""Everything vendors know, by the ways they are asked."""

from dataclasses import dataclass, field
from zlib import crc32

from sandbox.companies import Company, bare_domain
from sandbox.names import (
    ROLES,
    folded,
)
from sandbox.people import Person, linkedin_handle

THROWAWAY_DOMAINS = tuple(f"throwaway-{number}.example" for number in range(1, 21))


@dataclass
class World:
    """Everything vendors know, indexed by the ways they are asked."""

    people: list[Person] = field(default_factory=list)
    companies: list[Company] = field(default_factory=list)
    mailboxes: set[str] = field(default_factory=set)  # addresses a thorough probe can confirm
    reasons: dict[str, str] = field(default_factory=dict)  # addresses that are bad in a special way
    _domains: dict[str, Company] = field(default_factory=dict)
    _names: dict[str, Company] = field(default_factory=dict)
    _people: dict[tuple[str, str], Person] = field(default_factory=dict)
    _handles: dict[str, Person] = field(default_factory=dict)
    _emails: dict[str, Person] = field(default_factory=dict)

    def company(self, text: str) -> Company | None:
        """The company of a domain, web address or name."""
        return (
            self._domains.get(text)
            or self._domains.get(bare_domain(text))
            or self._names.get(text.casefold())
        )

    def company_named(self, name: str) -> Company | None:
        """The company of a name, for vendors that take nothing else."""
        return self._names.get(name.casefold())

    def person(self, name: str, company: str) -> Person | None:
        """Who bears the name there; of two namesakes the first."""
        employer = self.company(company)
        if employer is None:
            return None
        exact = self._people.get((employer.domain, name.casefold()))
        return exact or self._people.get((employer.domain, folded(name)))

    def person_at(self, linkedin_url: str) -> Person | None:
        """Whose profile stands at the address."""
        return self._handles.get(linkedin_handle(linkedin_url))

    def owner(self, email: str) -> Person | None:
        """Whose address it is."""
        return self._emails.get(email.lower())

    def colleagues(self, domain: str) -> list[Person]:
        """Everybody of one company, slow: nothing on a hot path asks."""
        return [person for person in self.people if person.company.domain == domain]

    def reoon(self, email: str) -> str:
        """The verdict of a verifier that probes the mailbox, by the address alone."""
        local, at, domain = email.lower().rpartition("@")
        company = self._domains.get(domain)
        if company is None:
            return "disposable" if at and domain in THROWAWAY_DOMAINS else "invalid"
        if not local or not company.has_mail:
            return "invalid"
        if company.catch_all:
            return "catch_all"
        if email.lower() in self.mailboxes:
            return "safe"
        return self.reasons.get(email.lower()) or ("role_account" if local in ROLES else "invalid")

    def second_opinion(self, email: str) -> str:
        """DELIVERABLE, UNDELIVERABLE or UNKNOWN, by the address alone, on catch-all domains too."""
        if email.lower() in self.mailboxes:
            return "DELIVERABLE"
        verdict = self.reoon(email)
        unsure = verdict == "unknown" or (verdict == "catch_all" and crc32(email.lower().encode()) % 2)
        return "UNKNOWN" if unsure else "UNDELIVERABLE"

    def catch_all(self, email: str) -> bool:
        """Whether the address's domain takes mail for anybody."""
        company = self._domains.get(email.lower().rpartition("@")[2])
        return company is not None and company.catch_all

    def add_company(self, company: Company) -> None:
        """Make it known by domain and by name."""
        self.companies.append(company)
        self._domains[company.domain] = company
        self._names[company.name.casefold()] = company

    def index(self, person: Person) -> None:
        """Make the person known by name (as written, folded, in Latin letters), profile and address."""
        domain = person.company.domain
        for name in (person.name.casefold(), folded(person.name), "".join(person.latin)):
            self._people.setdefault((domain, name), person)
        if person.linkedin:
            self._handles[person.handle] = person
        if person.email:
            self._emails.setdefault(person.email, person)
