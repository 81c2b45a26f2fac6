"""The people and companies of a scenario: the same seed, scenario and scale make the same world."""

import random
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, count

from sandbox.casting import Casting, Draft, Slot, shuffled
from sandbox.companies import COVERAGE, DARK_SITES, LIVE_SITES, Company, Site
from sandbox.names import (
    COMPANY_FIRST,
    COMPANY_SECOND,
    FIRST_NAMES,
    LAST_NAMES,
    MONONYMS,
    OTHER_SCRIPTS,
    PATTERNS,
    PLACES,
    ROLES,
    TECHNOLOGIES,
    TITLES,
    folded,
    local_part,
)
from sandbox.people import Person
from sandbox.scenarios import SCENARIOS, Fate, Scenario
from sandbox.world import THROWAWAY_DOMAINS, World

# shares of the population
HYPHENATED_DOMAINS = 0.2
MONONYM_SHARE = 0.004
OTHER_SCRIPT_SHARE = 0.026
PROFILE_SHARE = 0.92

SUFFIXES = ("", "Group", "Holdings", "International", "Collective")
SCORES = {"A": (80, 100), "B": (60, 79), "C": (0, 59)}


@lru_cache(maxsize=4)
def make_world(scenario: str, seed: int, scale: float) -> World:
    """The scenario's world. Treat it as read-only: it is shared by every sandbox of this process."""
    return _Population(SCENARIOS[scenario], random.Random(f"{scenario}:{seed}"), scale).settle()


class _Population:
    def __init__(self, scenario: Scenario, rng: random.Random, scale: float) -> None:
        self.scenario = scenario
        self.rng = rng
        self.leads = max(1, round(scenario.leads * scale))
        self.world = World()
        self.numbers = count(1)

    def settle(self) -> World:
        drafts = Casting(self.scenario, self.rng, self.leads).drafts()
        names = identities(self.rng)
        for number, draft in enumerate(drafts, start=1):
            company = self.company(number, draft, *next(names))
            self.world.add_company(company)
            self.staff(company, draft)
        self.rng.shuffle(self.world.people)
        for person in self.world.people:
            self.world.index(person)
        return self.world

    def company(self, number: int, draft: Draft, name: str, domain: str, industry: str) -> Company:
        rng = self.rng
        site = self.site(draft)
        return Company(
            number=number,
            name=name,
            domain=domain,
            industry=industry,
            pattern=rng.choices(list(PATTERNS), list(PATTERNS.values()))[0],
            catch_all=draft.catch_all,
            has_mail=draft.has_mail,
            site=site,
            known_to=self.coverage(draft, site),
            employees=max(draft.size, int(rng.lognormvariate(4.0, 1.2))),
            founded=rng.randint(1950, 2022),
            place=rng.choice(PLACES),
            technologies=tuple(rng.sample(TECHNOLOGIES, rng.randint(2, 8))),
        )

    def site(self, draft: Draft) -> Site:
        if not draft.enrichable:
            return self.rng.choice(DARK_SITES)
        return self.rng.choices(list(LIVE_SITES), list(LIVE_SITES.values()))[0]

    def coverage(self, draft: Draft, site: Site) -> frozenset[str]:
        """Who has the company on file; Apollo always, where the site has no description."""
        if not draft.enrichable:
            return frozenset()
        known = {name for name, share in COVERAGE.items() if self.rng.random() < share}
        return frozenset(known if site.describes else known | {"apollo"})

    def staff(self, company: Company, draft: Draft) -> None:
        names: set[str] = set()
        locals_taken: set[str] = set()
        hired: list[Person] = []
        for slot in draft.slots:
            twin = self.namesake(hired, slot)
            first, last, *latin = (twin.first, twin.last, *twin.latin) if twin else self.name(names)
            person = self.person(company, slot, (first, last), (latin[0], latin[1]), locals_taken)
            hired.append(person)
        self.world.people.extend(hired)

    def namesake(self, hired: list[Person], slot: Slot) -> Person | None:
        """Rarely somebody of the same name and fate, so that either answer fits; told apart by a profile."""
        if self.rng.random() > self.scenario.namesakes:
            return None
        fitting = (
            one
            for one in hired
            if one.linkedin
            and (one.fate, one.finders, one.mailbox) == (slot.fate, slot.finders, slot.mailbox)
        )
        return next(fitting, None) if slot.fate in {Fate.VALID, Fate.RISKY} else None

    def name(self, taken: set[str]) -> tuple[str, str, str, str]:
        while True:
            first, last, latin_first, latin_last = self.any_name()
            keys = {folded(f"{first}{last}"), latin_first + latin_last}
            if not keys & taken:
                taken |= keys
                return first, last, latin_first, latin_last

    def any_name(self) -> tuple[str, str, str, str]:
        dice = self.rng.random()
        if dice < MONONYM_SHARE:
            only = self.rng.choice(MONONYMS)
            return only, "", folded(only), ""
        if dice < MONONYM_SHARE + OTHER_SCRIPT_SHARE:
            return self.rng.choice(OTHER_SCRIPTS)
        first, last = self.rng.choice(FIRST_NAMES), self.rng.choice(LAST_NAMES)
        return first, last, folded(first), folded(last)

    def person(
        self,
        company: Company,
        slot: Slot,
        name: tuple[str, str],
        latin: tuple[str, str],
        taken: set[str],
    ) -> Person:
        rng = self.rng
        email = self.address(company, slot, latin, taken)
        return Person(
            number=next(self.numbers),
            first=name[0],
            last=name[1],
            latin=latin,
            title=rng.choice(TITLES),
            company=company,
            linkedin=self.profile(latin),
            email=email,
            mailbox=slot.mailbox,
            fate=slot.fate,
            finders=slot.finders,
            score=rng.randint(*SCORES[slot.tier]),
            tier=slot.tier,
        )

    def profile(self, latin: tuple[str, str]) -> str:
        serial = f"{self.rng.getrandbits(36):09x}"
        known = self.rng.random() < PROFILE_SHARE or not latin[1]  # a mononym alone finds nobody
        return f"https://www.linkedin.com/in/{'-'.join(filter(None, latin))}-{serial}" if known else ""

    def address(self, company: Company, slot: Slot, latin: tuple[str, str], taken: set[str]) -> str:
        """The address finders hand out; registers what verifiers will say of it. Empty: there is none."""
        if slot.fate is Fate.UNKNOWN and not slot.mailbox:
            return ""
        if slot.reason == "disposable":
            return f"{latin[0]}{self.rng.getrandbits(20)}@{self.rng.choice(THROWAWAY_DOMAINS)}"
        local = _free(self.spellings(company, slot, latin), taken)
        taken.add(local)
        email = f"{local}@{company.domain}"
        if slot.mailbox and slot.fate is not Fate.DOUBTFUL:
            self.world.mailboxes.add(email)
        elif slot.reason and local not in ROLES:
            self.world.reasons[email] = slot.reason
        return email

    def spellings(self, company: Company, slot: Slot, latin: tuple[str, str]) -> Iterable[str]:
        """By the company's pattern first, then by others, then numbered."""
        if slot.reason == "role_account":
            yield from sorted(ROLES)
        usual = local_part(company.pattern, *latin)
        yield usual
        yield from (local_part(pattern, *latin) for pattern in PATTERNS)
        yield from (f"{usual}{number}" for number in range(2, 1_000))


def identities(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Names, domains and industries, never the same name twice, for as many companies as there are."""
    taken: set[str] = set()
    for suffix in chain(SUFFIXES, map(str, count(2))):
        pairs = shuffled(rng, [(first, second) for first in COMPANY_FIRST for second in COMPANY_SECOND])
        for first, second in pairs:
            words = [first, second, suffix] if suffix else [first, second]
            hyphen = "-" if rng.random() < HYPHENATED_DOMAINS else ""
            domain = hyphen.join(words).lower() + ".example"
            if domain not in taken:
                taken.add(domain)
                yield " ".join(words), domain, COMPANY_SECOND[second]


def _free(spellings: Iterable[str], taken: set[str]) -> str:
    return next(spelling for spelling in spellings if spelling not in taken)
