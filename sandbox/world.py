"""The people and companies vendors know about: the same seed, scenario and scale make the same world."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import chain, count
from typing import TypeVar
from zlib import crc32

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
from sandbox.scenarios import SCENARIOS, Fate, Scenario, apportion

T = TypeVar("T")

# shares of the population
HYPHENATED_DOMAINS = 0.2
MONONYM_SHARE = 0.004
OTHER_SCRIPT_SHARE = 0.026
PROFILE_SHARE = 0.92

ENRICHERS = ("apollo", "clearbit", "people_data_labs", "zoominfo", "builtwith")
NEWS = "news"
SUFFIXES = ("", "Group", "Holdings", "International", "Collective")
THROWAWAY_DOMAINS = tuple(f"throwaway-{number}.example" for number in range(1, 21))
SCORES = {"A": (80, 100), "B": (60, 79), "C": (0, 59)}


class Site(StrEnum):
    """What a company's web server does."""

    RICH = "rich"  # JSON-LD and meta tags
    META = "meta"  # a meta description, no JSON-LD
    ABOUT = "about"  # the description stands on /about only
    REDIRECT = "redirect"  # the apex sends on to www, which is rich
    TEXT = "text"  # words, no machine-readable fact
    CLOSED = "closed"  # hangs up
    FAILING = "failing"  # 500
    MISSING = "missing"  # 404
    PARKED = "parked"  # for sale
    DISALLOWED = "disallowed"  # robots.txt forbids everything

    @property
    def describes(self) -> bool:
        """Whether a polite visitor finds a description of the company."""
        return self in {Site.RICH, Site.META, Site.ABOUT, Site.REDIRECT}


LIVE_SITES = {
    Site.RICH: 42,
    Site.META: 14,
    Site.ABOUT: 5,
    Site.REDIRECT: 12,
    Site.TEXT: 9,
    Site.CLOSED: 5,
    Site.FAILING: 3,
    Site.MISSING: 3,
    Site.PARKED: 4,
    Site.DISALLOWED: 3,
}
DARK_SITES = (Site.CLOSED, Site.FAILING, Site.MISSING, Site.PARKED)
COVERAGE = {
    "apollo": 0.8,
    "clearbit": 0.7,
    "people_data_labs": 0.65,
    "zoominfo": 0.6,
    "builtwith": 0.9,
    NEWS: 0.6,
}


@dataclass(frozen=True, slots=True)
class Company:
    """One employer, its mail system, its web site, and which enrichers have it on file."""

    number: int
    name: str
    domain: str
    industry: str
    pattern: str
    catch_all: bool
    has_mail: bool
    site: Site
    known_to: frozenset[str]
    employees: int
    founded: int
    place: tuple[str, str, str, str, str]
    technologies: tuple[tuple[str, str, str], ...]

    @property
    def slug(self) -> str:
        """Its handle on social networks."""
        return self.name.lower().replace(" ", "-")

    @property
    def description(self) -> str:
        """One sentence, the same wherever it is told."""
        city, _, _, country, _ = self.place
        since = f"serving customers since {self.founded}"
        return f"{self.name} is a {self.industry} company in {city}, {country}, {since}."

    @property
    def revenue(self) -> int:
        """Yearly, in USD."""
        return self.employees * 140_000

    @property
    def raised(self) -> int:
        """Venture money in USD; two thirds never took any."""
        return self.employees * 60_000 if self.number % 3 == 0 else 0

    @property
    def phone(self) -> str:
        """A number from the range kept for fiction."""
        return f"+1 512-555-0{100 + self.number % 100}"

    @property
    def keywords(self) -> list[str]:
        """What it is about."""
        return [self.industry, self.name.split()[1].lower()]


@dataclass(frozen=True, slots=True)
class Person:
    """One lead: who it is, the address finders hand out, and what is true about that address."""

    number: int
    first: str
    last: str
    latin: tuple[str, str]
    title: str
    company: Company
    linkedin: str
    email: str
    mailbox: bool
    fate: Fate
    finders: tuple[str, ...]
    score: int
    tier: str

    @property
    def name(self) -> str:
        """Full name as the person writes it; a mononym has no trailing space."""
        return f"{self.first} {self.last}".strip()

    @property
    def handle(self) -> str:
        """The last part of the profile's address."""
        return self.linkedin.rpartition("/")[2]


@dataclass(slots=True)
class Draft:
    """A company before it has a name: how many people, and what becomes of each."""

    size: int
    catch_all: bool = False
    has_mail: bool = True
    enrichable: bool = True
    slots: list["Slot"] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """People whose address will be accepted."""
        return sum(slot.fate.accepted for slot in self.slots)


@dataclass(slots=True)
class Slot:
    """What is decided about a lead before it has a name."""

    fate: Fate
    finders: tuple[str, ...] = ()
    reason: str = ""  # why a dead address is dead
    mailbox: bool = False
    tier: str = "C"


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


def bare_domain(text: str) -> str:
    """The host of a web address in any of the ways people write it."""
    host = text.lower().rpartition("//")[2].partition("/")[0]
    return host.removeprefix("www.").rstrip(".")


def linkedin_handle(url: str) -> str:
    """The profile's name out of its address, whatever scheme, host or query it is written with."""
    return url.lower().partition("?")[0].rstrip("/").rpartition("/")[2]


@lru_cache(maxsize=4)
def make_world(scenario: str, seed: int, scale: float) -> World:
    """The scenario's world. Treat it as read-only: it is shared by every sandbox of this process."""
    return _Builder(SCENARIOS[scenario], random.Random(f"{scenario}:{seed}"), scale).build()


class _Builder:
    def __init__(self, scenario: Scenario, rng: random.Random, scale: float) -> None:
        self.scenario = scenario
        self.rng = rng
        self.leads = max(1, round(scenario.leads * scale))
        self.found = apportion(
            self.leads,
            {"known": scenario.found, "unknown": scenario.leads - scenario.found},
        )["known"]
        self.world = World()
        self.numbers = count(1)

    def build(self) -> World:
        drafts = self.drafts()
        names = identities(self.rng)
        for number, draft in enumerate(drafts, start=1):
            company = self.company(number, draft, *next(names))
            self.world.add_company(company)
            self.staff(company, draft)
        self.rng.shuffle(self.world.people)
        for person in self.world.people:
            self.world.index(person)
        return self.world

    # -- what becomes of whom

    def drafts(self) -> list[Draft]:
        """Companies with their people's fates: catch-all and mail-less domains hold only fitting ones."""
        slots = self.slots()
        drafts = [Draft(size) for size in self.sizes()]
        lost = slots[Fate.UNKNOWN]
        on_catch_all = slots[Fate.RISKY] + slots[Fate.DOUBTFUL] + _cut(lost, len(lost) // 10)
        without_mail = _cut(lost, len(lost) // 6)
        self.rng.shuffle(on_catch_all)
        for draft in _settle(drafts, on_catch_all):
            draft.catch_all = True
        for draft in _settle(drafts, without_mail):
            draft.has_mail = False
        rest = slots[Fate.VALID] + slots[Fate.DEAD] + lost
        self.rng.shuffle(rest)
        _settle(drafts, rest)
        self.choose_mailboxes(drafts)
        self.choose_not_enrichable(drafts)
        return drafts

    def slots(self) -> dict[Fate, list[Slot]]:
        fates = _spread(apportion(self.found, self.scenario.fates))
        finders = self.shuffled(_spread(apportion(self.found, self.scenario.finders)))
        slots: dict[Fate, list[Slot]] = {fate: [] for fate in Fate}
        for fate, first in zip(fates, finders, strict=True):
            slots[fate].append(Slot(fate, self.knowing(first, fate)))
        slots[Fate.UNKNOWN] = [Slot(Fate.UNKNOWN) for _ in range(self.leads - self.found)]
        self.deal_tiers(slots)
        reasons = self.shuffled(_spread(apportion(len(slots[Fate.DEAD]), self.scenario.dead_because)))
        for slot, reason in zip(slots[Fate.DEAD], reasons, strict=True):
            slot.reason = reason
        return slots

    def knowing(self, first: str, fate: Fate) -> tuple[str, ...]:
        """The first finder, and of the later ones those that know an acceptable person too."""
        if not fate.accepted:
            return (first,)
        order = list(self.scenario.finders)
        later = order[order.index(first) + 1 :]
        return (first, *(name for name in later if self.rng.random() < self.scenario.later_finder_knows))

    def deal_tiers(self, slots: dict[Fate, list[Slot]]) -> None:
        accepted = slots[Fate.VALID] + slots[Fate.RISKY]
        others = slots[Fate.DOUBTFUL] + slots[Fate.DEAD] + slots[Fate.UNKNOWN]
        for group in (accepted, others):
            tiers = self.shuffled(_spread(apportion(len(group), self.scenario.accepted_tiers)))
            for slot, tier in zip(group, tiers, strict=True):
                slot.tier = tier

    def sizes(self) -> list[int]:
        """Skewed company sizes that sum to the leads."""
        employers = max(1, round(self.scenario.companies * self.leads / self.scenario.leads))
        largest = max(5, min(180, self.leads // 20))
        weights = [self.rng.paretovariate(1.5) for _ in range(employers)]
        sizes, growth = [0], 1.0
        while sum(sizes) < self.leads:
            sizes = [max(1, min(largest, int(weight * growth))) for weight in weights]
            growth *= 1.02
        while (gap := self.leads - sum(sizes)) != 0:
            step = 1 if gap > 0 else -1
            for position in self.rng.sample(range(employers), min(abs(gap), employers)):
                sizes[position] = max(1, sizes[position] + step)
        return self.shuffled(sizes)

    def choose_mailboxes(self, drafts: list[Draft]) -> None:
        """Real mailboxes: all the accepted, half of the doubtful, half of those no finder knows."""
        for draft in drafts:
            for slot in draft.slots:
                slot.mailbox = slot.fate.accepted
        doubtful = [slot for draft in drafts for slot in draft.slots if slot.fate is Fate.DOUBTFUL]
        reachable = [
            slot for draft in drafts if draft.has_mail for slot in draft.slots if slot.fate is Fate.UNKNOWN
        ]
        lost = self.leads - self.found
        for slot in chain(
            self.rng.sample(doubtful, len(doubtful) // 2),
            self.rng.sample(reachable, min(len(reachable), lost // 2)),
        ):
            slot.mailbox = True

    def choose_not_enrichable(self, drafts: list[Draft]) -> None:
        """Small companies that nobody can describe, holding a fixed number of accepted leads."""
        everywhere = sum(leads for fate, leads in self.scenario.fates.items() if fate.accepted)
        here = sum(draft.accepted for draft in drafts)
        left = round(here * self.scenario.not_enrichable / everywhere)
        for draft in self.shuffled(drafts):
            if not draft.has_mail or (0 < draft.accepted <= min(left, 5)):
                draft.enrichable = False
                left -= draft.accepted

    # -- names and facts

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

    def shuffled(self, items: Iterable[T]) -> list[T]:
        pool = list(items)
        self.rng.shuffle(pool)
        return pool


def identities(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Names, domains and industries, never the same name twice, for as many companies as there are."""
    taken: set[str] = set()
    for suffix in chain(SUFFIXES, map(str, count(2))):
        pairs = [(first, second) for first in COMPANY_FIRST for second in COMPANY_SECOND]
        rng.shuffle(pairs)
        for first, second in pairs:
            words = [first, second, suffix] if suffix else [first, second]
            hyphen = "-" if rng.random() < HYPHENATED_DOMAINS else ""
            domain = hyphen.join(words).lower() + ".example"
            if domain not in taken:
                taken.add(domain)
                yield " ".join(words), domain, COMPANY_SECOND[second]


def _spread(counts: Mapping[T, int]) -> list[T]:
    return [item for item, times in counts.items() for _ in range(times)]


def _cut(items: list[T], length: int) -> list[T]:
    """The last items, taken off the list."""
    keep = len(items) - length
    taken = items[keep:]
    del items[keep:]
    return taken


def _settle(drafts: list[Draft], slots: list[Slot]) -> list[Draft]:
    """Fill empty companies with exactly these people, splitting one company where sizes do not add up."""
    chosen: list[Draft] = []
    start = 0
    for draft in drafts:
        if not draft.slots and draft.size <= len(slots) - start:
            draft.slots = slots[start : start + draft.size]
            start += draft.size
            chosen.append(draft)
    if start < len(slots):
        chosen.append(_split(drafts, slots[start:]))
    return chosen


def _split(drafts: list[Draft], slots: list[Slot]) -> Draft:
    """A new company for these people, its seats taken from an empty larger one."""
    donor = next(draft for draft in drafts if not draft.slots and draft.size > len(slots))
    donor.size -= len(slots)
    offshoot = Draft(len(slots), slots=slots)
    drafts.append(offshoot)
    return offshoot


def _free(spellings: Iterable[str], taken: set[str]) -> str:
    return next(spelling for spelling in spellings if spelling not in taken)
