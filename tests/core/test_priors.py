"""What is usual before anything was seen: of guesses by place, of enrichers by who missed before them."""

from dataclasses import dataclass, replace

import pytest

from phase3_core.calls import Billing, Price
from phase3_core.market import ENRICHERS
from phase3_core.money import usd
from phase3_core.plan import Plan, Quote
from phase3_core.priors import CATCH_ALL, usual_chances, usual_guessing, usually_reached
from phase3_core.record import Group
from phase3_core.tiers import PROFILES, Tier, Topic

REOON = Price(usd("0.001"), Billing.PER_CALL)
A_CENT = Price(usd("0.01"), Billing.PER_HIT)
PLAN = Plan((Quote("tomba", Price(usd("0.05"), Billing.PER_HIT)),), REOON, second_opinion=False)


@dataclass(frozen=True)
class Known:
    """An enricher as the planner sees it."""

    name: str
    topics: frozenset[Topic]
    per_company: bool = True
    price: Price = A_CENT


CONTACT = frozenset({Topic.CONTACT})
FIRST, SECOND = (Known(name, CONTACT, per_company=False) for name in ("first", "second"))


def test_later_leads_of_a_company_need_fewer_guesses() -> None:
    usual = usual_guessing(PLAN)
    times = [usual[place].times for place in (1, 2, 3, 4)]
    assert times == sorted(times, reverse=True)
    assert times[0] > 2
    assert times[3] < 1


def test_no_guess_reaches_who_has_a_catch_all_domain() -> None:
    assert all(0 < one.reached < 1 - CATCH_ALL for one in usual_guessing(PLAN).values())


def test_where_guesses_are_off_or_dear_nobody_is_reached() -> None:
    dear = replace(PLAN, verifier=Price(usd("1"), Billing.PER_CALL))
    assert usual_guessing(replace(PLAN, guessing=False)) == usual_guessing(dear) == {}


def test_leads_without_a_company_are_not_reached() -> None:
    usual = usual_guessing(PLAN)
    groups = [Group(Tier.A, place, delivered=False, to_verify=50) for place in (0, 1)]
    assert usually_reached(groups, usual) == pytest.approx(usual[1].reached / 2)
    assert usually_reached([], usual) == 0


def test_a_tier_asks_only_what_it_deserves() -> None:
    assert usual_chances(PROFILES[Tier.C], [FIRST]).asked["first"] == 0
    assert usual_chances(PROFILES[Tier.B], [FIRST]).asked["first"] == pytest.approx(1)


def test_what_a_lead_may_not_cost_is_not_asked() -> None:
    dear = replace(FIRST, price=Price(usd("0.30"), Billing.PER_HIT))
    assert usual_chances(PROFILES[Tier.B], [dear]).asked["first"] == 0


def test_who_is_asked_after_a_miss_knows_less_often() -> None:
    chances = usual_chances(PROFILES[Tier.B], [FIRST, SECOND])
    assert chances.known["first"] == pytest.approx(ENRICHERS.hit_rate(0))
    assert chances.asked["second"] == pytest.approx(1 - ENRICHERS.hit_rate(0))
    assert chances.known["second"] == pytest.approx(ENRICHERS.hit_rate(1))
    assert chances.known["second"] < 0.8 * chances.known["first"]


def test_a_site_that_tells_nothing_says_nothing_of_sellers() -> None:
    site = Known("site", frozenset({Topic.WEBSITE}), price=Price(usd("0"), Billing.FREE))
    seller = Known("seller", frozenset({Topic.WEBSITE}))
    assert usual_chances(PROFILES[Tier.C], [site, seller]).known["seller"] == ENRICHERS.hit_rate(0)


def test_what_a_site_tells_by_the_way_is_not_counted_on() -> None:
    site = Known("site", frozenset({Topic.WEBSITE, Topic.HIRING}), price=Price(usd("0"), Billing.FREE))
    search = Known("search", frozenset({Topic.HIRING}))
    assert usual_chances(PROFILES[Tier.A], [site, search]).asked["search"] == pytest.approx(1)


def test_one_that_tells_of_another_topic_says_nothing_either() -> None:
    company = Known("company", frozenset({Topic.COMPANY}))
    known = usual_chances(PROFILES[Tier.B], [company, FIRST]).known
    assert known["first"] == pytest.approx(ENRICHERS.hit_rate(0))
