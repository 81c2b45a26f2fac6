"""What each tier's leads are asked at the catalogue's prices, and who is there to ask."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from phase3_core.calls import Facts, Miss, Price
from phase3_core.enrichment import FIELDS_OF, Gathered, after_reply, in_order, next_source
from phase3_core.errors import BadInput
from phase3_core.money import ZERO, usd
from phase3_core.tiers import PROFILES, Tier, Topic
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.line_up import chosen

Wallet = Mapping[str, str]
EVERY_KEY = {name: "key" for row in CATALOGUE for name in row.spec.secrets}


class Declared:
    """A row as the policy sees it."""

    def __init__(self, row: Row) -> None:
        self.name: str = row.spec.label
        self.price: Price = row.terms.price
        self.topics: frozenset[Topic] = row.spec.topics
        self.per_company: bool = row.spec.per_company

    def everything(self) -> Facts:
        return Facts({name: "known" for topic in self.topics for name in FIELDS_OF[topic]})


def enrichers(environment: Wallet) -> list[Declared]:
    rows = [row for row in chosen(CATALOGUE, environment) if row.spec.role == "enricher"]
    declared = [Declared(row) for row in rows if all(environment.get(name) for name in row.spec.secrets)]
    return [declared[place] for place in in_order(declared)]


def asked(
    tier: Tier, environment: Wallet, knowing: frozenset[str] = frozenset()
) -> tuple[list[str], Decimal]:
    """Who is asked about a lead, in order, and what it costs; only those in `knowing` know something."""
    sources = enrichers(environment)
    by_name = {source.name: source for source in sources}
    gathered, spent = Gathered(), ZERO
    while name := next_source(PROFILES[tier], sources, gathered, spent):
        reply = by_name[name].everything() if name in knowing else Miss()
        spent += by_name[name].price.charge(reply)
        gathered = after_reply(gathered, by_name[name], reply)
    return list(gathered.asked), spent


ALL = frozenset(source.name for source in enrichers(EVERY_KEY))


def test_a_full_profile_costs_about_half_of_its_cap_where_the_first_one_asked_always_knows() -> None:
    assert asked(Tier.A, EVERY_KEY, ALL) == (
        ["website", "brave:news", "brave:funding", "clearbit", "zoominfo:intent", "apollo:people"],
        usd("0.235"),
    )


def test_every_topic_of_a_full_profile_is_asked_about_even_where_nobody_knows_anything() -> None:
    names, cost = asked(Tier.A, EVERY_KEY)
    topics = {source.name: source.topics for source in enrichers(EVERY_KEY)}
    assert frozenset[Topic]().union(*(topics[name] for name in names)) == frozenset(Topic)
    assert names == [
        "website",
        "brave:news",
        "brave:funding",
        "brave:hiring",
        "clearbit",
        "apollo",
        "people_data_labs",
        "builtwith",
        "zoominfo:intent",
        "zoominfo:company",
        "apollo:people",
        "zoominfo:contact",
    ]
    assert cost == usd("0.1645"), "only some are billed for knowing nothing"


@pytest.mark.parametrize(
    "unknown_to", [{"clearbit"}, {"clearbit", "apollo"}, {"brave:news", "apollo:people"}]
)
def test_a_full_profile_goes_on_where_one_does_not_know(unknown_to: set[str]) -> None:
    names, cost = asked(Tier.A, EVERY_KEY, ALL - unknown_to)
    assert {"zoominfo:intent", "apollo:people"} <= set(names)
    assert cost <= PROFILES[Tier.A].cap


def test_a_standard_profile() -> None:
    assert asked(Tier.B, EVERY_KEY, ALL) == (
        ["website", "brave:news", "clearbit", "apollo:people"],
        usd("0.08"),
    )


def test_a_standard_profile_without_a_key_of_clearbit_can_ask_everybody_else_that_it_can_pay() -> None:
    keys = {name: key for name, key in EVERY_KEY.items() if "CLEARBIT" not in name}
    assert asked(Tier.B, keys) == (
        ["website", "brave:news", "apollo", "people_data_labs", "apollo:people"],
        usd("0.105"),
    )


def test_a_basic_profile_is_the_website_and_the_news() -> None:
    assert asked(Tier.C, EVERY_KEY, ALL) == (["website", "brave:news"], usd("0.005"))


@pytest.mark.parametrize("provider", ["brave", "claude", "serper", "tavily"])
def test_a_basic_profile_fits_with_any_search_and_a_description_from_elsewhere(provider: str) -> None:
    names, cost = asked(Tier.C, EVERY_KEY | {"WEB_SEARCH_PROVIDER": provider})
    assert names == ["website", f"{provider}:news", "apollo"]
    assert cost <= PROFILES[Tier.C].cap


# --- who is chosen ---------------------------------------------------------------------------------------


def labels(environment: Wallet) -> list[str]:
    return [row.spec.label for row in chosen(CATALOGUE, environment)]


@pytest.mark.parametrize(
    ("wish", "used"),
    [("", "brave"), ("claude", "claude"), ("serper", "serper"), (" Tavily ", "tavily")],
)
def test_one_search_is_used(wish: str, used: str) -> None:
    searches = [label for label in labels({"WEB_SEARCH_PROVIDER": wish}) if label.endswith(":news")]
    assert searches == [f"{used}:news"]


def test_a_search_that_there_is_not_is_bad_input() -> None:
    with pytest.raises(
        BadInput, match="WEB_SEARCH_PROVIDER is 'bing'; there are brave, claude, serper, tavily"
    ):
        chosen(CATALOGUE, {"WEB_SEARCH_PROVIDER": "bing"})


CLIENT = {"ZOOMINFO_CLIENT_ID": "id", "ZOOMINFO_CLIENT_SECRET": "secret"}
USER = {"ZOOMINFO_USERNAME": "name", "ZOOMINFO_PASSWORD": "word"}


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({}, "gtm"),
        (CLIENT, "gtm"),
        (CLIENT | USER, "gtm"),
        (USER, "legacy"),
        (CLIENT | USER | {"ZOOMINFO_API": "legacy"}, "legacy"),
        (USER | {"ZOOMINFO_API": "gtm"}, "gtm"),
    ],
)
def test_zoominfos_new_api_is_used_unless_only_the_old_one_has_its_key(
    environment: Wallet, path: str
) -> None:
    rows = [row for row in chosen(CATALOGUE, environment) if row.name == "zoominfo"]
    assert [row.spec.choice and row.spec.choice.value for row in rows] == [path] * 3
