"""What people see of an estimate and of a simulation."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest

from phase3_assets.estimating import show_estimate
from phase3_assets.metadata import of_forecast
from phase3_assets.simulating import Wish, simulation_table
from phase3_assets.terminal import Terminal
from phase3_core.budget import Budget
from phase3_core.calls import Billing, Price
from phase3_core.circumstances import Circumstances
from phase3_core.errors import BadInput
from phase3_core.forecast import Forecast, forecast
from phase3_core.money import usd
from phase3_core.plan import Plan, Quote
from phase3_core.planner import Bench, model_of
from phase3_core.policy import LeadCaps
from phase3_core.rate_limits import Allowed
from phase3_core.record import Group, Record
from phase3_core.statuses import Agent
from phase3_core.tiers import Tier

TOMBA = Price(usd("0.01"), Billing.PER_HIT)
REOON = Price(usd("0.001"), Billing.PER_CALL)
PLAN = Plan((Quote("tomba", TOMBA),), REOON, second_opinion=False, guessing=False)


def foreseen() -> Forecast:
    bench = Bench(PLAN, "reoon", "", (), {}, LeadCaps())
    group = Group(Tier.B, 1, delivered=False, to_verify=42_100)
    around = Circumstances(
        datetime(2026, 11, 22, 12, tzinfo=UTC),
        allowed={"tomba": Allowed("tomba/1", per_day=5_000)},
        budgets=[Budget("x", usd(100), agent=Agent.EMAIL_VERIFICATION)],
    )
    return forecast(model_of(bench, [group], Record()), around)


def shown(printed: Any) -> str:
    paper = StringIO()
    printed(Terminal(file=paper, width=200))
    return paper.getvalue()


def test_an_estimate_names_its_sums_and_what_stands_in_the_way() -> None:
    told = {"campaign_name": "Spring"} | foreseen().as_json()
    text = shown(lambda screen: show_estimate(told, screen))
    for words in ("Spring: 42,100 leads", "tomba", "9 days", "5,000 a day", "of tier B", "USD expected"):
        assert words in text


def test_the_page_of_the_leads_shows_the_estimate() -> None:
    metadata = of_forecast(foreseen())
    assert metadata["expected_days"] == 5, "the budget ends it before the nine days that the quota needs"
    assert metadata["expected_cost_low_usd"] < metadata["expected_cost_usd"]
    assert "5,000 a day" in metadata["estimate"].value


def test_a_simulation_stands_beside_what_was() -> None:
    interval = {"expected": "2.000000", "low": "1.000000", "high": "3.000000"}
    counts = {"expected": 20, "low": 10, "high": 30}
    other = {"leads": 40, "leads_unknown": 7, "unknown_questions": {"findymail": 7}}
    compared = {
        "campaign_name": "Spring",
        "as_run": {"accepted": 25, "cost_usd": "4.000000"},
        "simulated": other | {"accepted": counts, "cost_usd": interval},
    }
    text = shown(lambda screen: screen.print(simulation_table(compared)))
    for words in ("Spring", "25", "10 to 30", "4.000000", "7 of 40 leads", "findymail 7"):
        assert words in text


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PHASE3_SETTINGS", raising=False)


@pytest.mark.usefixtures("no_settings")
def test_another_policy_is_settings_with_a_few_changes() -> None:
    wish = Wish(order="findymail, tomba", without=("tomba",), max_providers=3)
    settings = wish.settings()
    assert settings.waterfall.listed == ("findymail",)
    assert settings.waterfall.max_providers_per_lead == 3
    assert not settings.provider("tomba").enabled
    assert Wish(order="cheapest_valid").settings().waterfall.ordering == "cheapest_valid"
    assert Wish().settings().waterfall.listed is None


@pytest.mark.usefixtures("no_settings")
def test_who_is_no_provider_cannot_be_left_out() -> None:
    with pytest.raises(BadInput, match="--without nobody"):
        Wish(without=("nobody",)).settings()
