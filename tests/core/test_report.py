"""The report's figures agree with the books; its hash changes with what is decided on alone."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from phase3_core.counts import CampaignCounts, ProviderSpend, TierCounts
from phase3_core.money import usd
from phase3_core.ports.providers import Skipped
from phase3_core.report import lead_set_digest, report_hash, rest, skipped_by_all, tier_report
from phase3_core.statuses import Agent, EmailStatus, EnrichmentStatus
from phase3_core.summary import cost_of
from phase3_core.tiers import Tier
from tests.core.test_summary import NOBODY, SPEND
from tests.fakes.reports import APOLLO, COUNTS, REOON, TOMBA, findings


def exact(rows: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


@given(SPEND)
def test_providers_agents_and_the_total_agree_to_the_micro_dollar(spend: list[ProviderSpend]) -> None:
    told = tier_report(findings(spend=spend))
    whole = Decimal(told["costs"]["total"])
    assert whole == cost_of(spend)
    assert exact(told["providers"], "total_usd") == whole
    by_agent = {agent: Decimal(0) for agent in Agent}
    for row in told["providers"]:
        by_agent[row["agent"]] += Decimal(row["total_usd"])
    assert by_agent[Agent.EMAIL_VERIFICATION] == Decimal(told["costs"]["email_verification"])
    assert by_agent[Agent.ENRICHMENT] == Decimal(told["costs"]["enrichment"])


def test_the_report_tells_the_funnel_the_tiers_and_who_waits() -> None:
    told = tier_report(findings(skipped=[Skipped("muraena", "no key")]))
    assert told["funnel"] == {"leads": 40, "found": 20, "accepted": 15, "enriched": 8, "ready": 7}
    assert [row["tier"] for row in told["tiers"]] == ["A", "B", "C"]
    assert told["waiting"] == {"verification": 20, "enrichment": 4}
    assert told["skipped"] == [{"provider": "muraena", "why": "no key"}]
    assert (told["find_rate"], told["valid_rate"]) == (0.5, 0.75)
    assert told["cost_per_ready_usd"] == "0.285714"


def test_a_finder_is_judged_by_its_accepted_addresses_and_others_by_their_share_alone() -> None:
    rows = {row["provider"]: row for row in tier_report(findings())["providers"]}
    assert (rows["tomba"]["valid_rate"], rows["tomba"]["cost_per_valid_usd"]) == (0.6, "0.133333")
    assert (rows["reoon"]["valid_rate"], rows["reoon"]["cost_per_valid_usd"]) == (None, None)
    assert [rows[name]["share"] for name in ("tomba", "reoon", "apollo")] == [0.8, 0.15, 0.05]


def test_sources_of_addresses_are_there_though_they_cost_nothing() -> None:
    counts = replace(COUNTS, by_finder={"delivered": 4, "tomba": 16}, accepted_by_finder={"delivered": 1})
    assert tier_report(findings(counts))["sources"] == [
        {"source": "tomba", "found": 16, "accepted": 0, "valid_rate": 0.0},
        {"source": "delivered", "found": 4, "accepted": 1, "valid_rate": 0.25},
    ]


def test_what_is_missing_comes_with_its_reason_its_remedy_and_its_price() -> None:
    rows = {row["why"]: row for row in rest(findings(skipped=[Skipped("muraena", "no key")]))}
    waiting = rows["not verified yet"]
    assert waiting["leads"] == 20
    assert waiting["do"] == "run the campaign again"
    assert waiting["estimate_usd"] == "1.900000"  # 1.90 for 20 verdicts so far, 20 to come
    assert rows["accepted, not enriched yet"]["estimate_usd"] == "0.036364"  # 0.10 for 11, 4 to come
    catch_all = "the domain takes any address, and no second opinion confirmed this one"
    assert rows[catch_all]["do"] == "switch on the providers that were skipped"
    assert rest(findings())[-1]["do"] == "nothing more: every provider was asked"


def test_who_is_suppressed_is_told_of_as_the_one_figure_that_they_are_in() -> None:
    told = tier_report(findings(replace(COUNTS, suppressed=6)))
    assert (told["suppressed"], told["funnel"]["leads"]) == (6, 40)
    (row,) = [row for row in told["rest"] if "suppression list" in row["why"]]
    assert (row["leads"], row["estimate_usd"]) == (6, None)
    assert not [row for row in tier_report(findings())["rest"] if "suppression list" in row["why"]]


def test_nothing_is_missing_of_nobody() -> None:
    assert rest(findings(NOBODY)) == []


def test_who_was_skipped_earlier_is_told_once() -> None:
    earlier = [{"provider": "tomba", "why": "bad key"}, {"provider": "reoon", "why": "no key"}]
    told = {"email_verification": {"skipped": earlier}, "waterfall_enrichment": "?"}
    rows = list(skipped_by_all(told, [Skipped("reoon", "no key"), Skipped("apollo", "no key")]))
    assert [row.provider for row in rows] == ["reoon", "apollo", "tomba"]


# The hash


@pytest.mark.parametrize(
    "other",
    [
        {"lead_set": "abd"},
        {"spend": [TOMBA, REOON, replace(APOLLO, cost=usd("0.100001"))]},
        {"spend": [TOMBA, REOON]},
        {"counts": replace(COUNTS, pending_enrichment=5)},
        {"campaign_id": UUID(int=99)},
    ],
    ids=["a lead", "a micro-dollar", "a provider", "who waits", "a campaign"],
)
def test_whatever_is_decided_on_changes_the_hash(other: dict[str, Any]) -> None:
    assert tier_report(replace(findings(), **other))["report_hash"] != tier_report(findings())["report_hash"]


@pytest.mark.parametrize(
    "other",
    [{"campaign": "renamed"}, {"skipped": [Skipped("muraena", "no key")]}, {"caps": {"total": usd(5)}}],
    ids=["its name", "who was skipped", "caps"],
)
def test_circumstances_leave_the_hash_alone(other: dict[str, Any]) -> None:
    assert tier_report(replace(findings(), **other))["report_hash"] == tier_report(findings())["report_hash"]


def test_a_report_that_was_stored_has_the_hash_it_says() -> None:
    told = tier_report(findings())
    stored = json.loads(json.dumps(told, sort_keys=True))
    assert report_hash({**stored, "exports": [], "notes": ["late"]}) == told["report_hash"]


def test_a_lead_set_is_the_same_in_any_order_and_another_with_another_address_or_tier() -> None:
    ada, bob = (UUID(int=1), Tier.A, "ada@acme.com"), (UUID(int=2), Tier.B, "bob@acme.com")
    same = lead_set_digest([ada, bob])
    assert lead_set_digest([bob, ada]) == same
    others: tuple[list[tuple[UUID, str, str]], ...]
    others = ([ada], [], [ada, (bob[0], Tier.A, bob[2])], [ada, (*bob[:2], "b@acme.com")])
    assert same not in {lead_set_digest(other) for other in others}


def test_tiers_and_calls_without_a_lead_make_up_the_whole() -> None:
    tiers = [TierCounts(tier, 0, 0, 0, 0, 0, 0, 0.0, usd("0.5")) for tier in Tier]
    counts = CampaignCounts(tiers, {}, {}, {}, {EnrichmentStatus.FAILED: 1}, 0, 0, usd("0.500000"))
    told = tier_report(findings(counts))
    assert exact(told["tiers"], "cost_usd") + Decimal(told["cost_of_no_lead_usd"]) == 2
    assert told["costs"]["total"] == "2.000000"
    assert told["email_status"] == {status.value: 0 for status in EmailStatus}
