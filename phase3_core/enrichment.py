"""Which enricher to ask next for a lead, and how answers are merged: pure policy of agent 3.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from uuid import UUID

from phase3_core.calls import EnricherReply, Facts, Gap, Miss, NoAnswer, Price
from phase3_core.money import ZERO, Money
from phase3_core.statuses import EnrichmentStatus
from phase3_core.tiers import Profile, Tier, Topic
from phase3_core.waiting import Wait

# A topic counts as answered when one of these fields is there.
FIELDS_OF: dict[Topic, frozenset[str]] = {
    Topic.NEWS: frozenset({"news"}),
    Topic.FUNDING: frozenset({"funding"}),
    Topic.HIRING: frozenset({"hiring"}),
    Topic.WEBSITE: frozenset({"company_description"}),
    Topic.COMPANY: frozenset({"company_industry", "company_employee_count"}),
    Topic.CONTACT: frozenset({"contact"}),
    Topic.INTENT: frozenset({"intent"}),
    Topic.TECH_STACK: frozenset({"company_tech_stack"}),
}
ALL_NEEDED = frozenset({Topic.COMPANY})  # topics that want every one of their fields

COLUMNS = frozenset(
    {
        "company_description",
        "company_industry",
        "company_employee_count",
        "company_revenue_range",
        "company_founded_year",
        "company_tech_stack",
        "company_keywords",
    }
)


class Source(Protocol):
    """What the policy needs to know of an enricher.

    `topics`: what it can tell. `per_company`: its answer serves every lead of the company.
    """

    @property
    def name(self) -> str: ...

    @property
    def price(self) -> Price: ...

    @property
    def topics(self) -> frozenset[Topic]: ...

    @property
    def per_company(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known of one lead so far.

    `waits`: who could not be asked now; `owed`, the fields that they could have told; `reserved`, USD that
    they will cost at worst.
    """

    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    gaps: Mapping[str, str] = field(default_factory=dict)
    waits: tuple[Wait, ...] = ()
    owed: frozenset[str] = frozenset()
    reserved: Money = ZERO
    suppressed: bool = False


def told_before(known: Gathered, sources: Sequence[Source]) -> Gathered:
    """What is known of those who are not asked any more, and need not be bought of others."""
    asked = {source.name for source in sources}
    fields = {name: entry for name, entry in known.fields.items() if entry["source"] not in asked}
    return Gathered(fields, {name: told for name, told in known.sources.items() if name not in asked})


def kept(known: Gathered, gathered: Gathered) -> Gathered:
    """What was known stays so, where nobody tells it anew."""
    fields, sources = {**known.fields, **gathered.fields}, {**known.sources, **gathered.sources}
    return replace(gathered, fields=fields, sources=sources)


def in_order(sources: Sequence[Source]) -> list[int]:
    """Indexes in the order of asking: company questions first, free before paid, then as configured.

    Company questions come first so that it is always a company's first lead that pays for them.
    """
    return sorted(range(len(sources)), key=lambda place: _rank(sources[place], place))


def _rank(source: Source, place: int) -> tuple[bool, bool, int]:
    return (not source.per_company, source.price.ceiling > ZERO, place)


def next_source(
    profile: Profile, sources: Sequence[Source], gathered: Gathered, spent: Money = ZERO
) -> str | None:
    """The next enricher worth asking, or None when there is none.

    `spent` USD that the lead has cost so far: with one more at its worst it stays within the tier's cap.
    """
    if gathered.suppressed:
        return None
    for source in sources:
        if source.name in gathered.asked or not _open_topics(profile, gathered) & source.topics:
            continue
        if spent + gathered.reserved + source.price.ceiling <= profile.cap:
            return source.name
    return None


def _open_topics(profile: Profile, gathered: Gathered) -> frozenset[Topic]:
    return frozenset(topic for topic in profile.topics if not _answered(topic, gathered))


def _answered(topic: Topic, gathered: Gathered) -> bool:
    have = FIELDS_OF[topic] & gathered.fields.keys()
    return have == FIELDS_OF[topic] if topic in ALL_NEEDED else bool(have)


def after_reply(gathered: Gathered, source: Source, reply: EnricherReply) -> Gathered:
    """The first source to name a field keeps it, with its date; everything is kept by source."""
    noted = replace(gathered, asked=(*gathered.asked, source.name))
    match reply:
        case Facts(fields, at):
            stamp = at.isoformat() if at else None
            new = {
                name: {"value": value, "source": source.name, "at": stamp}
                for name, value in fields.items()
                if value not in (None, "", [], {}) and name not in gathered.fields
            }
            return replace(
                noted,
                fields={**gathered.fields, **new},
                sources={**gathered.sources, source.name: dict(fields)},
            )
        case Miss():
            return noted
        case NoAnswer(Gap.NO_INPUT):
            return noted
        case NoAnswer(Gap.SUPPRESSED):
            return replace(noted, suppressed=True)
        case NoAnswer(gap, detail, until):
            why = detail or gap.value
            noted = replace(noted, gaps={**noted.gaps, source.name: why})
            return _waiting(noted, source, Wait(source.name, why, until)) if gap is Gap.LATER else noted


def _waiting(gathered: Gathered, source: Source, wait: Wait) -> Gathered:
    """Its price is reserved: it will be asked, beside whatever is asked in its place."""
    owed = frozenset[str]().union(*(FIELDS_OF[topic] for topic in source.topics))
    return replace(
        gathered,
        waits=(*gathered.waits, wait),
        owed=gathered.owed | owed,
        reserved=gathered.reserved + source.price.ceiling,
    )


@dataclass(frozen=True, slots=True)
class EnrichmentResult:
    """What agent 3.2 writes for one lead; `fields` are columns of `leads`, `data` is everything by source.

    `status` None: not finished, the next run goes on with it. `tier`: whose profile it was asked for.
    `suppressed`: nothing else is written of it.
    """

    lead_id: UUID
    status: EnrichmentStatus | None
    fields: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    waits: tuple[Wait, ...] = ()
    suppressed: bool = False
    tier: Tier | None = None


def result_of(lead_id: UUID, tier: Tier, profile: Profile, gathered: Gathered) -> EnrichmentResult:
    """`enriched` with the profile's required fields, `failed` with nothing at all, else `partial`."""
    if gathered.suppressed:
        return EnrichmentResult(lead_id, None, suppressed=True)
    missing = profile.required - gathered.fields.keys()
    if missing & gathered.owed:
        return EnrichmentResult(lead_id, None, waits=gathered.waits)
    status = EnrichmentStatus.PARTIAL if missing else EnrichmentStatus.ENRICHED
    if not gathered.fields:
        status = EnrichmentStatus.FAILED
    return EnrichmentResult(
        lead_id,
        status,
        {name: entry["value"] for name, entry in gathered.fields.items() if name in COLUMNS},
        {
            "fields": dict(gathered.fields),
            "sources": dict(gathered.sources),
            "missing": sorted(missing),
            "gaps": dict(gathered.gaps),
        },
        tier=tier,
    )
