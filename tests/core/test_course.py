"""Where a day is short, the forecast follows the leads: on to the next finder, and back another day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase3_core.budget import Budget
from phase3_core.calls import FinderReply, Gap, Hit, Judgement, Miss, NoAnswer
from phase3_core.circumstances import Circumstances
from phase3_core.forecast import Forecast, forecast
from phase3_core.money import total, usd
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, Model, find_rate, model_of
from phase3_core.policy import LeadCaps, Policy, Routing
from phase3_core.quotas import Quota, Room, Stock
from phase3_core.rate_limits import Allowed
from phase3_core.rates import Seen
from phase3_core.record import Credit, Group, Record
from phase3_core.routing import Shares
from phase3_core.statuses import Agent, Verdict
from phase3_core.tiers import Tier
from tests.core.office import ANY_NUMBER, Office, an_office
from tests.fakes.people import CAMPAIGN, a_lead
from tests.fakes.providers import PER_CALL, PER_HIT, finder, verifier

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ("tomba", "muraena", "icypeas")
LEADS = 300


def a_plan(*names: str) -> Plan:
    return Plan(tuple(Quote(name, PER_HIT) for name in names), PER_CALL, second_opinion=False, guessing=False)


def a_model(plan: Plan, record: Record | None = None, *groups: Group) -> Model:
    bench = Bench(plan, "reoon", "", (), {}, LeadCaps())
    return model_of(bench, groups or [some(1_000)], record or Record())


def some(leads: int, tier: Tier = Tier.B) -> Group:
    return Group(tier, 0, delivered=False, to_verify=leads)


def a_day_of(**calls: int) -> Circumstances:
    return Circumstances(NOW, {name: Allowed(name, per_day=count) for name, count in calls.items()})


def calls_of(foreseen: Forecast, provider: str, **which: object) -> float:
    return sum(
        line.calls
        for line in foreseen.lines
        if line.provider == provider and all(getattr(line, name) == value for name, value in which.items())
    )


def test_leads_beyond_a_day_go_on_as_not_asked_and_only_whom_nobody_finds_wait() -> None:
    model = a_model(a_plan("tomba", "muraena"))
    foreseen = forecast(model, a_day_of(tomba=200))

    def found(name: str, *missed: str) -> float:
        return model.usual[find_rate(name, missed)] * model.usual[f"accept {name}"]

    missed = 200 * (1 - found("tomba"))
    beyond = 800 * (1 - found("muraena"))
    assert calls_of(foreseen, "muraena") == pytest.approx(800 + missed)
    assert calls_of(foreseen, "muraena", day=1) == pytest.approx(800 + missed)
    assert calls_of(foreseen, "tomba", day=1) == pytest.approx(200)
    assert calls_of(foreseen, "tomba") == pytest.approx(200 + beyond)
    never = missed * (1 - found("muraena", "tomba")) + beyond * (1 - found("tomba", "muraena"))
    assert foreseen.accepted.expected == pytest.approx(1_000 - never)
    assert (foreseen.days, foreseen.binds) == (4, "tomba needs 4 days")  # 444 wait, 200 a day
    (tomba, _, _) = foreseen.providers
    assert (round(tomba.put_off), tomba.days) == (800, 4)
    (warning,) = foreseen.warnings
    assert "About 800 leads beyond today's part go on to the next provider" in warning


def test_what_is_left_of_today_comes_first() -> None:
    fresh = a_day_of(tomba=600)
    used = replace(fresh, used_today={"tomba": 500})
    model = a_model(a_plan("tomba", "muraena"))
    assert calls_of(forecast(model, used), "tomba", day=1) == pytest.approx(100)
    assert (forecast(model, fresh).days, forecast(model, used).days) == (2, 2)
    assert calls_of(forecast(model, used), "tomba") < calls_of(forecast(model, fresh), "tomba")


def test_the_next_day_asks_only_whom_the_day_before_left_out() -> None:
    waiting = replace(some(400), missed=frozenset({"muraena", "who is no finder of this campaign"}), place=1)
    model = a_model(replace(a_plan("tomba", "muraena"), guessing=True), None, waiting)
    foreseen = forecast(model, a_day_of(tomba=200))
    assert calls_of(foreseen, "muraena") == 0
    assert calls_of(foreseen, "tomba") == pytest.approx(400)
    assert foreseen.days == 2
    assert calls_of(foreseen, "reoon") == pytest.approx(400 * model.usual[find_rate("tomba", ["muraena"])])


def test_who_goes_on_to_a_dearer_finder_costs_more() -> None:
    plan = Plan(
        (Quote("tomba", PER_HIT), Quote("muraena", replace(PER_HIT, per_credit=usd("0.05")))),
        PER_CALL,
        second_opinion=False,
        guessing=False,
    )
    free, bound = (forecast(a_model(plan), around) for around in (Circumstances(NOW), a_day_of(tomba=200)))
    assert bound.total > usd("1.3") * free.total
    assert bound.cost.low < float(bound.total) < bound.cost.high


def test_the_best_tier_has_the_day() -> None:
    model = a_model(a_plan("tomba", "muraena"), None, some(500, Tier.C), some(300, Tier.A))
    foreseen = forecast(model, a_day_of(tomba=300))
    assert calls_of(foreseen, "tomba", day=1, tier=Tier.A) == pytest.approx(300)
    assert calls_of(foreseen, "tomba", day=1, tier=Tier.C) == 0
    assert calls_of(foreseen, "muraena", tier=Tier.C) == pytest.approx(500)


def test_a_days_money_makes_leads_go_on_too() -> None:
    cap = Budget("tomba 2026-11-22", usd(1), provider="tomba", day=NOW.date())
    foreseen = forecast(a_model(a_plan("tomba", "muraena")), Circumstances(NOW, budgets=[cap]))
    spent_today = total(line.cost for line in foreseen.lines if (line.provider, line.day) == ("tomba", 1))
    assert spent_today == usd(1)
    assert 1 < foreseen.days < 5
    assert calls_of(foreseen, "tomba") < 1_000


def test_a_budget_ends_a_campaign_before_its_quota_does() -> None:
    model = a_model(a_plan("tomba"))
    carried = Budget("x", forecast(model, a_day_of()).total / 2, agent=Agent.EMAIL_VERIFICATION)
    slow = a_day_of(tomba=100)
    free, capped = (forecast(model, around) for around in (slow, replace(slow, budgets=[carried])))
    assert (free.days, free.binds) == (10, "tomba needs 10 days")
    assert capped.days == 5
    assert capped.done_at < free.done_at
    half = f"{carried.cap:.2f} of {free.total:.2f} USD"
    assert capped.binds == f"the budget for email verification carries {half}; tomba needs 5 days"
    assert [one.days for one in capped.providers] == [10, 1]


def test_a_budget_shortens_a_day_at_work() -> None:
    model = a_model(a_plan("tomba"))
    paced = Circumstances(NOW, {"tomba": Allowed("tomba", rate=1.0)})
    half = Budget("x", forecast(model, paced).total / 2, agent=Agent.EMAIL_VERIFICATION)
    assert forecast(model, paced).seconds == pytest.approx(1_000)
    assert forecast(model, replace(paced, budgets=[half])).seconds == pytest.approx(500, rel=0.01)


def test_the_first_money_goes_where_the_first_day_goes() -> None:
    """What the second day would cost is what a budget leaves undone."""
    model = a_model(a_plan("tomba", "muraena"))
    around = a_day_of(tomba=200)
    first_day = total(line.cost for line in forecast(model, around).lines if line.day == 1)
    carried = Budget("x", first_day, agent=Agent.EMAIL_VERIFICATION)
    assert forecast(model, replace(around, budgets=[carried])).days == 1


def test_an_account_that_holds_less_than_is_expected_is_told() -> None:
    model = a_model(a_plan("tomba"))
    cost = calls_of(forecast(model, Circumstances(NOW)), "tomba") * model.usual["find tomba after"] * 0.01
    full, low = (Credit(usd(f"{cost + more:.6f}"), NOW) for more in (1, -1))
    assert forecast(model, Circumstances(NOW, credit={"tomba": full, "icypeas": low})).warnings == []
    around = Circumstances(NOW, credit={"tomba": low})
    (told,) = forecast(model, around).warnings
    assert told.startswith(
        f"tomba: about {cost:.2f} USD are expected and its account holds about {low.left:.2f} "
    )
    spent = Budget("x", usd(1), spent=usd(1), agent=Agent.EMAIL_VERIFICATION)
    assert not any("account" in line for line in forecast(model, replace(around, budgets=[spent])).warnings)


quotas = st.fixed_dictionaries({}, optional={name: st.integers(1, 2_000) for name in NAMES})


@settings(max_examples=60, deadline=None)
@given(leads=st.integers(0, 3_000), more=st.integers(0, 3_000), per_day=quotas)
def test_no_day_is_overdrawn_and_nobody_is_asked_twice(
    leads: int, more: int, per_day: dict[str, int]
) -> None:
    model = a_model(a_plan(*NAMES), None, some(leads, Tier.A), some(more, Tier.C))
    foreseen = forecast(model, a_day_of(**per_day))
    assert foreseen.total == total(one.cost for one in foreseen.providers)
    assert foreseen.cost.low <= foreseen.cost.expected <= foreseen.cost.high
    assert 0 <= foreseen.accepted.expected <= leads + more + 1e-6
    for name, quota in per_day.items():
        assert calls_of(foreseen, name, day=1) <= quota + 1e-6
        assert calls_of(foreseen, name) <= min(leads + more, quota * foreseen.days) + 1e-6
    unbound = forecast(model, Circumstances(NOW))
    assert foreseen.accepted.expected == pytest.approx(unbound.accepted.expected, rel=0.02, abs=1)


def test_days_that_are_passed_bring_a_quota_each_and_leave_nothing_over() -> None:
    room = Room({"tomba": Quota(Stock("tomba", 10, 100), Stock("usd", 1, 8))})
    assert room.take("tomba", 50, 0.2) == pytest.approx(5)
    room.pass_days(3)
    assert room.take("tomba", 400, 0.01) == pytest.approx(300)
    room.pass_days(1)
    assert room.take("tomba", 400, 0.1) == pytest.approx(80)
    assert room.take("somebody else", 400, 0.1) == 400


# Against the waterfall itself


def a_market(find: Mapping[str, float]) -> dict[str, set[str]]:
    """Whom each finder knows; what one knows says nothing of another."""
    dice = Random(11)
    return {name: {f"Ada{n} L{n}" for n in range(LEADS) if dice.random() < find[name]} for name in NAMES}


def what_it_showed(find: Mapping[str, float]) -> Record:
    """A long history of such a market, in any order of asking."""
    seen = []
    for name in NAMES:
        others = [other for other in NAMES if other != name]
        for missed in chain.from_iterable(combinations(others, size) for size in range(3)):
            hits = round(400 * find[name])
            seen.append(Seen(name, frozenset(missed), 400, hits, hits))
    return Record(finders=tuple(seen))


def with_quota(
    name: str, known: set[str], quota: int | None
) -> tuple[list[str], Callable[[str], FinderReply]]:
    """Answers so many questions, then that its day is spent, until the list of them is cleared."""
    asked: list[str] = []

    def find(who: str) -> FinderReply:
        if quota is not None and len(asked) == quota:
            return NoAnswer(Gap.LATER, "its quota is spent")
        asked.append(who)
        return Hit(f"{who[4:]}@{name}.com") if who in known else Miss()

    return asked, find


@dataclass
class Went:
    """A campaign that went its whole way: days, calls of each finder, bills."""

    office: Office
    days: int
    calls: Mapping[str, int]

    @property
    def cost(self) -> float:
        return float(total(bill.booked for bill in self.office.bills))

    @property
    def starts(self) -> Shares:
        kept = self.office.database.tables.kept.get(CAMPAIGN)
        return kept.starts if kept else ()


FIND = {"tomba": 0.5, "muraena": 0.4, "icypeas": 0.3}


def foreseen_of(per_day: Mapping[str, int], starts: Shares = ()) -> Forecast:
    plan = replace(a_plan(*NAMES), starts=starts)
    return forecast(a_model(plan, what_it_showed(FIND), some(LEADS)), a_day_of(**per_day))


async def as_it_went(per_day: Mapping[str, int], routing: Routing = Routing.FIRST) -> Went:
    leads = [a_lead(n, f"Ada{n} L{n}", company_domain=f"c{n}.com") for n in range(LEADS)]
    office = an_office(leads, Policy(ANY_NUMBER, guessing=False, routing=routing))
    office.database.tables.record = what_it_showed(FIND)
    known = a_market(FIND)
    desks = {name: with_quota(name, known[name], per_day.get(name)) for name in NAMES}
    office.source.finders = [finder(name, answers) for name, (_, answers) in desks.items()]
    office.source.verifiers = [verifier("reoon", otherwise=Judgement(Verdict.VALID))]
    office.source.allowed = a_day_of(**per_day).allowed
    calls, days = dict.fromkeys(NAMES, 0), 0
    waiting = True
    while waiting:
        waiting, days = bool((await office.verify(f"run-{days}")).waiting), days + 1
        for name, (asked, _) in desks.items():
            calls[name] += len(asked)
            asked.clear()
    return Went(office, days, calls)


def assert_as_foreseen(went: Went, foreseen: Forecast) -> None:
    told = {one.provider: one for one in foreseen.providers}
    assert went.days == foreseen.days
    for name in NAMES:
        assert told[name].calls == pytest.approx(went.calls[name], rel=0.1)
    assert foreseen.cost.low <= went.cost <= foreseen.cost.high
    assert foreseen.cost.expected == pytest.approx(went.cost, rel=0.05)


@pytest.mark.parametrize("per_day", [{"tomba": 60}, {"tomba": 50, "muraena": 70}, {"muraena": 40}])
async def test_a_campaign_goes_as_the_forecast_says(per_day: dict[str, int]) -> None:
    assert_as_foreseen(await as_it_went(per_day), foreseen_of(per_day))


async def test_who_is_dealt_out_past_a_short_day_ends_a_day_earlier_as_the_forecast_says() -> None:
    per_day = {"muraena": 60}
    first, earliest = await as_it_went(per_day), await as_it_went(per_day, Routing.EARLIEST)
    assert_as_foreseen(earliest, foreseen_of(per_day, earliest.starts))
    assert (first.days, earliest.days) == (3, 2)
