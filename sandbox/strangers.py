"""People and companies of nobody's scenario: made up when they are asked about, for leads of one's own.

Everything follows from the seed and the words of the question alone, so the order of questions changes
nothing. An address is good or dead by itself: it must look like the company's pattern, and luck must hold.
"""

import random
import re
from dataclasses import dataclass, field
from zlib import crc32

from sandbox.companies import COVERAGE, LIVE_SITES, Company, bare_domain
from sandbox.names import PLACES, TECHNOLOGIES, TITLES, folded, local_part
from sandbox.people import Person
from sandbox.scenarios import Fate
from sandbox.world import THROWAWAY_DOMAINS, World

PATTERNS = {
    "first.last": re.compile(r"[a-z0-9]{2,}\.[a-z0-9]{2,}"),
    "f.last": re.compile(r"[a-z0-9]\.[a-z0-9]{2,}"),
}
DOMAIN = re.compile(r"([a-z0-9-]+\.)+[a-z]{2,}")
FINDERS = ("tomba", "muraena", "voila_norbert", "nimbler", "icypeas", "anymailfinder", "findymail")
INDUSTRIES = ("software", "logistics", "manufacturing", "retail", "consulting", "energy")
CATCH_ALL_SHARE, FINDER_KNOWS, MAILBOX_LIVES, KNOWN_SHARE = 0.12, 0.45, 0.9, 0.92


@dataclass
class OpenWorld(World):
    """A world that also has a company behind every other domain, and anybody working there."""

    seed: int = 7
    _made_up: dict[str, Company] = field(default_factory=dict)

    def company(self, text: str) -> Company | None:
        """By domain or web address; a name alone makes up nobody."""
        known = super().company(text)
        domain = bare_domain(text)
        if known is not None or domain in THROWAWAY_DOMAINS or not DOMAIN.fullmatch(domain):
            return known
        if domain not in self._made_up:
            self._made_up[domain] = self._company(domain)
        return self._made_up[domain]

    def person(self, name: str, company: str) -> Person | None:
        """Anybody may work at a made-up company; its own people are known as they were."""
        employer = self.company(company)
        if employer is None or employer.domain not in self._made_up or not folded(name):
            return super().person(name, company)
        return self._person(name, employer)

    def reoon(self, email: str) -> str:
        """By the address alone."""
        local, _, domain = email.lower().rpartition("@")
        company = self._stranger(domain)
        if company is None:
            return super().reoon(email)
        if company.catch_all:
            return "catch_all"
        return "safe" if self._lives(local, company) else "invalid"

    def second_opinion(self, email: str) -> str:
        """Surer than the first on catch-all domains."""
        local, _, domain = email.lower().rpartition("@")
        company = self._stranger(domain)
        if company is None:
            return super().second_opinion(email)
        return "DELIVERABLE" if self._lives(local, company) else "UNDELIVERABLE"

    def catch_all(self, email: str) -> bool:
        """Whether the address's domain takes mail for anybody."""
        company = self._stranger(email.lower().rpartition("@")[2])
        return super().catch_all(email) if company is None else company.catch_all

    def _stranger(self, domain: str) -> Company | None:
        company = self.company(domain)
        return company if company is not None and company.domain in self._made_up else None

    def _luck(self, *words: str) -> float:
        """From 0 to 1, the same for the same words."""
        return crc32("\0".join((str(self.seed), *words)).encode()) / 2**32

    def _lives(self, local: str, company: Company) -> bool:
        fits = PATTERNS[company.pattern].fullmatch(local) is not None
        return fits and self._luck("mailbox", local, company.domain) < MAILBOX_LIVES

    def _company(self, domain: str) -> Company:
        rng = random.Random(f"{self.seed}:{domain}")
        known = {name for name, share in COVERAGE.items() if rng.random() < share}
        return Company(
            number=crc32(domain.encode()) % 100_000,
            name=f"{domain.partition('.')[0].replace('-', ' ').title()} Works",
            domain=domain,
            industry=rng.choice(INDUSTRIES),
            pattern=rng.choice(list(PATTERNS)),
            catch_all=rng.random() < CATCH_ALL_SHARE,
            has_mail=True,
            site=rng.choices(list(LIVE_SITES), list(LIVE_SITES.values()))[0],
            known_to=frozenset(known | {"apollo"} if rng.random() < KNOWN_SHARE else ()),
            employees=int(rng.lognormvariate(4.0, 1.2)) + 1,
            founded=rng.randint(1950, 2022),
            place=rng.choice(PLACES),
            technologies=tuple(rng.sample(TECHNOLOGIES, rng.randint(2, 8))),
        )

    def _person(self, name: str, company: Company) -> Person:
        first, _, last = name.strip().partition(" ")
        latin = folded(first), folded(last)
        local = local_part(company.pattern, *latin)
        lives = self._lives(local, company)
        who = folded(name)
        return Person(
            number=crc32(f"{who}@{company.domain}".encode()) % 1_000_000,
            first=first,
            last=last,
            latin=latin,
            title=TITLES[crc32(who.encode()) % len(TITLES)],
            company=company,
            linkedin="",
            email=f"{local}@{company.domain}",
            mailbox=lives,
            fate=Fate.VALID if lives else Fate.DEAD,
            finders=tuple(each for each in FINDERS if self._luck(each, who, company.domain) < FINDER_KNOWS),
            score=50,
            tier="C",
        )


def opened(world: World, seed: int) -> OpenWorld:
    """The same world, open to strangers; the scenario's own people stay who they are."""
    return OpenWorld(**vars(world), seed=seed)
