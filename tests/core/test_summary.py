from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.agent import why_failed
from phase3_core.budget import NAMES, Budget, campaign_scope, day_scope
from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.errors import OutsideFailure
from phase3_core.money import ZERO, total, usd
from phase3_core.policy import EMAILS, ENRICHED, TIER_A_READY, Thresholds, accepted, enriched, tier_a_ready
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import Agent, EmailStatus, EnrichmentStatus
from phase3_core.summary import (
    AgentSummary,
    cost_of,
    cost_table,
    find_rate,
    found,
    per_lead,
    provider_table,
    quality,
    result_counts,
    tier_table,
    valid_rate,
)
from phase3_core.tiers import Tier
from phase3_core.waiting import Wait, Waiting
from tests.fakes.clock import NOON

A = TierCounts(Tier.A, 10, 8, 6, 3, 2, 3, 91.5, usd("1.20"))
B = TierCounts(Tier.B, 20, 12, 9, 5, 1, 4, 60.0, usd("0.80"))
C = TierCounts(Tier.C, 10, 0, 0, 0, 0, 0, 0.0, ZERO)
COUNTS = CampaignCounts(
    tiers=[A, B, C],
    by_email_status={EmailStatus.VALID: 12, EmailStatus.RISKY: 3, EmailStatus.CATCH_ALL: 5},
    by_finder={"tomba": 20},
    accepted_by_finder={"tomba": 12},
    by_enrichment_status={EnrichmentStatus.ENRICHED: 8, EnrichmentStatus.PARTIAL: 3},
    pending_verification=20,
    pending_enrichment=4,
)
NOBODY = CampaignCounts([], {}, {}, {}, {}, 0, 0)

AMOUNTS = st.decimals(min_value=0, max_value=1000, places=6)
COUNT = st.integers(0, 10**6)
SPEND = st.lists(
    st.builds(
        ProviderSpend,
        st.sampled_from(Agent),
        st.sampled_from(["tomba", "reoon", "apollo"]),
        st.sampled_from(["find", "verify", "enrich"]),
        COUNT,
        COUNT,
        COUNT,
        COUNT,
        AMOUNTS,
        AMOUNTS,
    ),
    max_size=12,
)


@given(SPEND)
def test_agents_providers_and_the_total_agree_to_the_micro_dollar(spend: list[ProviderSpend]) -> None:
    whole = cost_of(spend)
    assert total(cost_of(spend, agent) for agent in Agent) == whole
    table = provider_table(spend)
    assert total(Decimal(row["cost_usd"]) + Decimal(row["unknown_usd"]) for row in table) == whole
    assert cost_table(spend)["total"] == whole


@given(SPEND)
def test_no_call_is_lost_between_the_ledger_and_the_table(spend: list[ProviderSpend]) -> None:
    table = provider_table(spend)
    for name in ("calls", "hits", "misses", "errors"):
        assert sum(row[name] for row in table) == sum(getattr(row, name) for row in spend)
    keys = [(row["agent"], row["provider"]) for row in table]
    assert keys == sorted(set(keys))


def test_bills_that_are_not_known_yet_count_at_their_worst() -> None:
    row = ProviderSpend(Agent.ENRICHMENT, "apollo", "enrich", 2, 1, 0, 1, usd("0.02"), usd("0.03"))
    assert cost_of([row]) == cost_of([row], Agent.ENRICHMENT) == usd("0.05")
    assert cost_of([row], Agent.FINALIZER) == ZERO


CAMPAIGN, TODAY = UUID(int=7), date(2026, 11, 22)
OF_EMAILS, OF_ENRICHMENT = (
    Budget(campaign_scope(CAMPAIGN, name), usd(1), agent=agent, refused_at=NOON)
    for agent, name in NAMES.items()
)
OF_TIER = Budget(campaign_scope(CAMPAIGN, "tier A"), usd(1), tier=Tier.A, refused_at=NOON)
OF_DAYS = [
    Budget(day_scope(name, TODAY), usd(1), provider=name, day=TODAY, refused_at=NOON)
    for name in ("apollo", "tomba")
]
ENRICHMENT = AgentSummary(
    Agent.ENRICHMENT,
    "spring",
    COUNTS,
    [ProviderSpend(Agent.ENRICHMENT, "apollo", "enrich", 2, 1, 0, 1, usd(1), ZERO)],
    (),
    1.0,
    2,
    0,
)


def test_a_cap_that_stopped_buying_is_told_of_also_where_nobody_waits() -> None:
    capped = replace(ENRICHMENT, budgets=[OF_EMAILS, OF_ENRICHMENT, OF_TIER, *OF_DAYS])
    assert capped.partial == (
        "partial: the campaign's budget for enrichment is spent; the campaign's budget for tier A is spent; "
        "apollo: its budget for the day is spent"
    )
    assert "budget for email verification" in replace(capped, agent=Agent.FINALIZER).partial


def test_a_cap_is_told_of_once_and_only_if_a_call_was_refused_under_it() -> None:
    waiting = [Waiting(Wait("apollo", "the campaign's budget for enrichment is spent"), 2)]
    full = replace(OF_TIER, spent=usd(1), refused_at=None)
    assert replace(ENRICHMENT, budgets=[full]).partial == ""
    assert replace(ENRICHMENT, waiting=waiting, budgets=[OF_ENRICHMENT, full]).partial == (
        "partial: 2 leads wait for apollo (the campaign's budget for enrichment is spent)"
    )


def test_quality_is_four_parts_validity_three_enrichment_three_readiness() -> None:
    scores = quality(COUNTS)
    assert scores["validity"] == 15 / 20
    assert scores["enrichment"] == round(8 / 15, 4)
    assert scores["readiness"] == 7 / 40
    expected = 0.4 * 15 / 20 + 0.3 * 8 / 15 + 0.3 * 7 / 40
    assert scores["overall"] == pytest.approx(expected, abs=1e-4)


def test_a_perfect_campaign_scores_one_and_an_empty_one_nothing() -> None:
    best = replace(A, total=5, found=5, accepted=5, enriched=5, ready=5)
    counts = replace(COUNTS, tiers=[best], by_email_status={EmailStatus.VALID: 5})
    assert set(quality(counts).values()) == {1.0}
    assert set(quality(NOBODY).values()) == {0.0}


@given(st.data())
def test_every_score_lies_between_nothing_and_one(data: st.DataObject) -> None:
    tiers, statuses = [], {EmailStatus.VALID: 0, EmailStatus.CATCH_ALL: 0}
    for tier in Tier:
        everybody = data.draw(st.integers(0, 50))
        found_there = data.draw(st.integers(0, everybody))
        good = data.draw(st.integers(0, found_there))
        done = data.draw(st.integers(0, good))
        statuses[EmailStatus.VALID] += good
        statuses[EmailStatus.CATCH_ALL] += found_there - good
        tiers.append(TierCounts(tier, everybody, found_there, good, done, 0, done, 0.0, ZERO))
    scores = quality(replace(COUNTS, tiers=tiers, by_email_status=statuses))
    assert all(0 <= score <= 1 for score in scores.values())


def test_rates_are_of_those_they_speak_of() -> None:
    assert (found(COUNTS), find_rate(COUNTS), valid_rate(COUNTS)) == (20, 0.5, 0.75)
    assert (find_rate(NOBODY), valid_rate(NOBODY)) == (0.0, 0.0)


def test_the_cost_of_a_lead_is_to_the_micro_dollar_and_none_of_nobody() -> None:
    assert per_lead(usd("1"), 3) == usd("0.333333")
    assert per_lead(usd("1"), 0) == ZERO
    assert [row["cost_per_ready_usd"] for row in tier_table(COUNTS)] == ["0.400000", "0.200000", "0.000000"]


def test_the_output_counts_ready_leads_by_tier_also_where_a_tier_is_empty() -> None:
    assert result_counts(COUNTS) == {
        "emails_found": 20,
        "emails_verified": 15,
        "leads_enriched": 8,
        "tier_a_ready": 3,
        "tier_b_ready": 4,
        "tier_c_ready": 0,
        "total_ready": 7,
    }
    assert result_counts(NOBODY)["tier_c_ready"] == 0


def test_an_agents_summary_tells_only_of_its_own_providers() -> None:
    mine = ProviderSpend(Agent.EMAIL_VERIFICATION, "tomba", "find", 3, 1, 1, 1, usd("0.01"), usd("0.02"))
    other = replace(mine, agent=Agent.ENRICHMENT, provider="apollo")
    summary = AgentSummary(
        Agent.EMAIL_VERIFICATION, "spring", COUNTS, [mine, other], [Skipped("x", "no key")], 1.0, 5, 0, "few"
    )
    told = summary.as_json()
    assert summary.cost == usd("0.03")
    assert [row["provider"] for row in told["providers"]] == ["tomba"]
    assert (told["find_rate"], told["valid_rate"], told["shortfall"]) == (0.5, 0.75, "few")
    assert told["skipped"] == [{"provider": "x", "why": "no key"}]


def test_thresholds_count_what_they_name() -> None:
    assert (accepted(COUNTS), enriched(COUNTS), tier_a_ready(COUNTS)) == (15, 8, 3)
    every = (EMAILS, ENRICHED, TIER_A_READY)
    assert not any(one.shortfall(COUNTS, Thresholds(15, 8, 3)) for one in every)
    short = [one.shortfall(COUNTS, Thresholds(1600, 9, 4)) for one in every]
    assert [why.partition(".")[0] for why in short] == [
        "15 accepted emails, and enrichment wants at least 1,600",
        "8 enriched leads, and the tier report wants at least 9",
        "3 ready tier A leads, and approval wants at least 4",
    ]


def test_why_a_run_failed_is_one_line_without_foreign_words() -> None:
    assert (
        why_failed(OutsideFailure("Disk full."))
        == "Disk full; everything bought is kept, run again to resume"
    )
    assert why_failed(KeyboardInterrupt()) == "cancelled; everything bought is kept, run again to resume"
    assert (
        why_failed(RuntimeError("password=x"))
        == "RuntimeError; everything bought is kept, run again to resume"
    )
