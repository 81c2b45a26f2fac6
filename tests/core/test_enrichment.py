"""Who is asked next about a lead, how answers are merged, and what a lead's enrichment comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.calls import Billing, EnricherReply, Facts, Gap, Miss, NoAnswer, Price
from phase3_core.enrichment import (
    ALL_NEEDED,
    COLUMNS,
    FIELDS_OF,
    EnrichmentResult,
    Gathered,
    after_reply,
    in_order,
    next_source,
    result_of,
)
from phase3_core.money import ZERO, Money, usd
from phase3_core.statuses import EnrichmentStatus
from phase3_core.tiers import PROFILES, Profile, Tier, Topic

LEAD = UUID(int=1)
MONDAY = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
FREE = Price(ZERO, Billing.FREE)
FULL, STANDARD, BASIC = (PROFILES[tier] for tier in Tier)


@dataclass(frozen=True)
class Enricher:
    """One to ask; free and about the company unless said otherwise."""

    name: str
    topics: frozenset[Topic]
    price: Price = FREE
    per_company: bool = True


def one(name: str, *topics: Topic, usd_each: str = "0", per_company: bool = True) -> Enricher:
    billing = Billing.PER_HIT if usd(usd_each) else Billing.FREE
    return Enricher(name, frozenset(topics), Price(usd(usd_each), billing), per_company)


def ordered(*sources: Enricher) -> list[Enricher]:
    return [sources[place] for place in in_order(sources)]


def names(sources: Sequence[Enricher]) -> list[str]:
    return [source.name for source in sources]


def told(at: datetime | None = None, **fields: object) -> Facts:
    return Facts(fields, at)


def gather(
    profile: Profile, sources: Sequence[Enricher], replies: Mapping[str, EnricherReply]
) -> tuple[Gathered, list[str]]:
    """Asks until there is nobody left to ask; whoever has no reply knows nothing."""
    by_name = {source.name: source for source in sources}
    gathered, spent = Gathered(), ZERO
    while name := next_source(profile, sources, gathered, spent):
        reply = replies.get(name, Miss())
        spent += ZERO if isinstance(reply, NoAnswer) else by_name[name].price.charge(reply)
        gathered = after_reply(gathered, by_name[name], reply)
        assert spent + gathered.reserved <= profile.cap
    return gathered, list(gathered.asked)


def outcome(
    profile: Profile, sources: Sequence[Enricher], replies: Mapping[str, EnricherReply]
) -> EnrichmentResult:
    return result_of(LEAD, Tier.A, profile, gather(profile, sources, replies)[0])


WEBSITE = one("website", Topic.WEBSITE)
SEARCH = one("brave:news", Topic.NEWS, usd_each="0.005")
CLEARBIT = one("clearbit", Topic.COMPANY, usd_each="0.05")
APOLLO = one("apollo", Topic.COMPANY, Topic.WEBSITE, usd_each="0.025")
PEOPLE = one("apollo:people", Topic.CONTACT, usd_each="0.025", per_company=False)
EVERYBODY = (WEBSITE, SEARCH, CLEARBIT, APOLLO, PEOPLE)
DESCRIBED = told(company_description="Robots.")
KNOWN = told(company_industry="Machinery", company_employee_count=180)


# --- who must not be asked about -------------------------------------------------------------------------


def test_nobody_else_is_asked_about_a_suppressed_lead_and_nothing_is_written() -> None:
    replies: dict[str, EnricherReply] = {"website": DESCRIBED, "brave:news": NoAnswer(Gap.SUPPRESSED)}
    gathered, asked = gather(FULL, ordered(*EVERYBODY), replies)
    assert asked == ["website", "brave:news"]
    assert result_of(LEAD, Tier.A, FULL, gathered) == EnrichmentResult(LEAD, None, suppressed=True)


# --- order -----------------------------------------------------------------------------------------------


def test_questions_about_companies_come_before_those_about_people() -> None:
    assert names(ordered(PEOPLE, CLEARBIT)) == ["clearbit", "apollo:people"]


def test_what_is_free_comes_first_among_companies_and_among_people() -> None:
    own_records = one("crm", Topic.CONTACT, per_company=False)
    assert names(ordered(PEOPLE, own_records, CLEARBIT, WEBSITE)) == [
        "website",
        "clearbit",
        "crm",
        "apollo:people",
    ]


def test_otherwise_the_catalogues_order_stands_whatever_the_price() -> None:
    assert names(ordered(CLEARBIT, APOLLO, SEARCH)) == ["clearbit", "apollo", "brave:news"]


# --- who is asked ----------------------------------------------------------------------------------------


def test_nobody_is_asked_about_what_the_tier_does_not_buy() -> None:
    assert gather(BASIC, EVERYBODY, {"website": DESCRIBED})[1] == ["website", "brave:news"]


def test_asking_stops_when_every_topic_is_answered() -> None:
    replies = {"website": DESCRIBED, "brave:news": told(news=["x"]), "clearbit": KNOWN,
               "apollo:people": told(contact={"title": "VP"})}  # fmt: skip
    assert gather(STANDARD, EVERYBODY, replies)[1] == ["website", "brave:news", "clearbit", "apollo:people"]


def test_the_next_one_is_asked_where_one_knows_nothing() -> None:
    assert gather(STANDARD, EVERYBODY, {})[1] == names(EVERYBODY)


def test_the_next_one_is_asked_where_one_gives_no_answer() -> None:
    silent = {"clearbit": NoAnswer(Gap.DOWN, "HTTP 503")}
    assert "apollo" in gather(STANDARD, EVERYBODY, silent)[1]


@pytest.mark.parametrize("half", [told(company_industry="Machinery"), told(company_employee_count=180)])
def test_half_an_answer_about_a_company_is_asked_on(half: Facts) -> None:
    assert "apollo" in gather(STANDARD, EVERYBODY, {"website": DESCRIBED, "clearbit": half})[1]


def test_halves_of_two_sources_make_a_whole() -> None:
    spare = one("zoominfo:company", Topic.COMPANY, usd_each="0.01")
    halves = {"clearbit": told(company_industry="Machinery"), "apollo": told(company_employee_count=180)}
    assert spare.name not in gather(STANDARD, (*EVERYBODY, spare), {"website": DESCRIBED, **halves})[1]


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_an_empty_value_answers_nothing(nothing: object) -> None:
    later = one("tavily:news", Topic.NEWS, usd_each="0.008")
    assert gather(BASIC, (SEARCH, later), {"brave:news": told(news=nothing)})[1] == [
        "brave:news",
        "tavily:news",
    ]


@pytest.mark.parametrize("something", [0, False])
def test_nought_is_a_value(something: object) -> None:
    result = outcome(STANDARD, EVERYBODY, {"clearbit": told(company_employee_count=something)})
    assert result.fields["company_employee_count"] == something


def test_one_vendors_questions_are_told_apart() -> None:
    search = [one(f"brave:{topic}", topic, usd_each="0.005") for topic in (Topic.NEWS, Topic.FUNDING)]
    assert gather(FULL, search, {"brave:news": told(news=["x"])})[1] == ["brave:news", "brave:funding"]


# --- caps ------------------------------------------------------------------------------------------------


def test_a_source_that_would_break_the_cap_is_left_out_and_a_cheaper_one_is_asked() -> None:
    dear = one("zoominfo:company", Topic.COMPANY, usd_each="0.21")
    assert gather(STANDARD, (dear, APOLLO), {})[1] == ["apollo"]


def test_a_cap_may_be_reached_exactly() -> None:
    assert gather(STANDARD, (one("x", Topic.COMPANY, usd_each="0.20"),), {})[1] == ["x"]


def test_what_an_answer_did_not_cost_is_left_for_another_source() -> None:
    first = one("x", Topic.COMPANY, usd_each="0.15")
    second = one("y", Topic.COMPANY, usd_each="0.10")
    assert gather(STANDARD, (first, second), {"x": Miss()})[1] == ["x", "y"]
    told_little = {"x": told(company_industry="Machinery")}
    assert gather(STANDARD, (first, second), told_little)[1] == ["x"]


def test_the_price_of_a_source_that_waits_is_kept_for_it() -> None:
    first = one("x", Topic.COMPANY, usd_each="0.15")
    second = one("y", Topic.COMPANY, usd_each="0.10")
    assert gather(STANDARD, (first, second), {"x": NoAnswer(Gap.LATER)})[1] == ["x"]


def test_a_free_source_is_asked_when_the_money_is_gone() -> None:
    assert next_source(BASIC, (SEARCH, WEBSITE), Gathered(), spent=BASIC.cap) == "website"


# --- merging ---------------------------------------------------------------------------------------------


def test_the_first_to_name_a_field_keeps_it_with_its_date() -> None:
    first, second = (
        told(MONDAY, company_industry="Machinery"),
        told(TUESDAY, company_industry="Robots", news=["x"]),
    )
    gathered = after_reply(after_reply(Gathered(), CLEARBIT, first), APOLLO, second)
    assert gathered.fields == {
        "company_industry": {"value": "Machinery", "source": "clearbit", "at": MONDAY.isoformat()},
        "news": {"value": ["x"], "source": "apollo", "at": TUESDAY.isoformat()},
    }


def test_everything_is_kept_by_source_even_what_came_too_late() -> None:
    replies = {"clearbit": told(company_industry="Machinery"), "apollo": told(company_industry="Robots", x=1)}
    data = outcome(STANDARD, EVERYBODY, replies).data
    assert data["sources"] == {
        "clearbit": {"company_industry": "Machinery"},
        "apollo": {"company_industry": "Robots", "x": 1},
    }


def test_columns_are_told_from_the_rest() -> None:
    result = outcome(STANDARD, EVERYBODY, {"clearbit": told(company_industry="Machinery", phones=["1"])})
    assert result.fields == {"company_industry": "Machinery"}
    assert result.data["fields"]["phones"]["value"] == ["1"]


@pytest.mark.parametrize(
    ("reply", "gap"),
    [
        (NoAnswer(Gap.DOWN, "HTTP 503"), "HTTP 503"),
        (NoAnswer(Gap.PARKED, "out of credits"), "out of credits"),
        (NoAnswer(Gap.LOST), "lost"),
    ],
)
def test_an_outage_is_noted_and_not_taken_for_ignorance(reply: NoAnswer, gap: str) -> None:
    assert outcome(STANDARD, EVERYBODY, {"clearbit": reply}).data["gaps"] == {"clearbit": gap}


@pytest.mark.parametrize("reply", [Miss("unknown"), NoAnswer(Gap.NO_INPUT)])
def test_ignorance_is_no_gap(reply: EnricherReply) -> None:
    assert outcome(STANDARD, EVERYBODY, {"clearbit": reply}).data["gaps"] == {}


# --- what it comes to ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "replies", "status", "missing"),
    [
        (BASIC, {"website": DESCRIBED}, EnrichmentStatus.ENRICHED, []),
        (BASIC, {"brave:news": told(news=["x"])}, EnrichmentStatus.PARTIAL, ["company_description"]),
        (BASIC, {}, EnrichmentStatus.FAILED, ["company_description"]),
        (
            STANDARD,
            {"website": DESCRIBED, "clearbit": told(company_industry="M")},
            EnrichmentStatus.ENRICHED,
            [],
        ),
        (STANDARD, {"website": DESCRIBED}, EnrichmentStatus.PARTIAL, ["company_industry"]),
        (
            FULL,
            {"website": DESCRIBED, "clearbit": told(company_industry="M")},
            EnrichmentStatus.PARTIAL,
            ["company_employee_count"],
        ),
        (FULL, {"website": DESCRIBED, "clearbit": KNOWN}, EnrichmentStatus.ENRICHED, []),
        (FULL, {"clearbit": told(company_industry="")}, EnrichmentStatus.FAILED, None),
    ],
)
def test_a_leads_status(
    profile: Profile,
    replies: dict[str, EnricherReply],
    status: EnrichmentStatus,
    missing: list[str] | None,
) -> None:
    result = outcome(profile, EVERYBODY, replies)
    assert result.status is status
    assert missing is None or result.data["missing"] == missing


def test_with_nobody_to_ask_a_lead_fails() -> None:
    assert outcome(FULL, (), {}) == EnrichmentResult(
        LEAD,
        EnrichmentStatus.FAILED,
        {},
        {"fields": {}, "sources": {}, "missing": sorted(FULL.required), "gaps": {}},
        tier=Tier.A,
    )


# --- whatever enrichers there are and whatever they answer -----------------------------------------------

FIELDS = sorted({name for fields in FIELDS_OF.values() for name in fields} | COLUMNS)
PRICES = st.sampled_from(["0", "0", "0.001", "0.025", "0.05", "0.15", "0.3"])
NAMES = [f"source-{number}" for number in range(8)]
SOURCES = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda chosen: st.tuples(
        *(
            st.builds(
                lambda name, topics, price, per_company: one(
                    name, *topics, usd_each=price, per_company=per_company
                ),
                st.just(name),
                st.frozensets(st.sampled_from(Topic), min_size=1),
                PRICES,
                st.booleans(),
            )
            for name in chosen
        )
    )
)
REPLIES = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(Facts, st.dictionaries(st.sampled_from(FIELDS), st.sampled_from([None, "", [], 0, "x", ["y"]])))
    | st.just(Miss())
    | st.builds(NoAnswer, st.sampled_from(Gap)),
)
PROFILE = st.sampled_from(list(PROFILES.values()))


@given(SOURCES)
def test_order_is_a_permutation_companies_first_and_free_first(sources: tuple[Enricher, ...]) -> None:
    places = in_order(sources)
    ranks = [(not sources[place].per_company, sources[place].price.ceiling > ZERO, place) for place in places]
    assert sorted(places) == list(range(len(sources)))
    assert ranks == sorted(ranks)


@given(PROFILE, SOURCES, REPLIES)
def test_nobody_is_asked_twice_or_for_nothing_and_no_cap_is_broken(
    profile: Profile, sources: tuple[Enricher, ...], replies: dict[str, EnricherReply]
) -> None:
    gathered, asked = gather(profile, ordered(*sources), replies)
    by_name = {source.name: source for source in sources}
    assert len(asked) == len(set(asked))
    assert all(by_name[name].topics & profile.topics for name in asked)
    later = [
        name for name in asked if isinstance(told := replies.get(name), NoAnswer) and told.gap is Gap.LATER
    ]
    assert gathered.reserved == sum((by_name[name].price.ceiling for name in later), ZERO)


@given(PROFILE, SOURCES, REPLIES)
def test_whoever_was_left_out_had_nothing_to_add_or_cost_too_much(
    profile: Profile, sources: tuple[Enricher, ...], replies: dict[str, EnricherReply]
) -> None:
    gathered, asked = gather(profile, ordered(*sources), replies)
    by_name = {source.name: source for source in sources}
    missing = {topic for topic in profile.topics if not answered(topic, gathered)}
    for source in sources:
        spent = sum((worst(by_name[name], replies.get(name, Miss())) for name in asked), ZERO)
        too_dear = spent + source.price.ceiling > profile.cap
        assert source.name in asked or not source.topics & missing or too_dear or gathered.suppressed


def worst(source: Enricher, reply: EnricherReply) -> Money:
    """What it costs, or will cost where it waits."""
    if isinstance(reply, NoAnswer):
        return source.price.ceiling if reply.gap is Gap.LATER else ZERO
    return source.price.charge(reply)


def answered(topic: Topic, gathered: Gathered) -> bool:
    known = [name in gathered.fields for name in FIELDS_OF[topic]]
    return all(known) if topic in ALL_NEEDED else any(known)


@given(PROFILE, SOURCES, REPLIES)
def test_every_field_is_the_first_ones_that_named_it(
    profile: Profile, sources: tuple[Enricher, ...], replies: dict[str, EnricherReply]
) -> None:
    gathered, asked = gather(profile, ordered(*sources), replies)
    for name, entry in gathered.fields.items():
        named = [who for who in asked if _names(replies.get(who, Miss()), name)]
        assert entry["source"] == named[0]


def _names(reply: EnricherReply, field: str) -> bool:
    return isinstance(reply, Facts) and reply.fields.get(field) not in (None, "", [], {})


@given(PROFILE, SOURCES, REPLIES)
def test_the_same_answers_come_to_the_same_result(
    profile: Profile, sources: tuple[Enricher, ...], replies: dict[str, EnricherReply]
) -> None:
    result = outcome(profile, ordered(*sources), replies)
    assert result == outcome(profile, ordered(*sources), replies)
    if result.status is None:
        assert result.suppressed or result.waits
        return
    assert (result.status is EnrichmentStatus.FAILED) == (not result.data["fields"])
    assert result.fields.keys() <= COLUMNS
    if result.status is EnrichmentStatus.ENRICHED:
        assert profile.required <= result.data["fields"].keys()
