"""Caps that are too tight for a campaign: never overrun, said everywhere, and lifted without paying twice."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Site

pytestmark = pytest.mark.slow


def watched(site: Site) -> None:
    """The database itself notes every moment at which a budget holds more than its cap."""
    site.books.query("CREATE TABLE overruns (scope text, held numeric)")
    site.books.query(
        "CREATE FUNCTION note_overrun() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO overruns VALUES (NEW.scope, NEW.spent_usd + NEW.reserved_usd); RETURN NULL; END $$"
    )
    site.books.query(
        "CREATE TRIGGER noting AFTER INSERT OR UPDATE ON budgets FOR EACH ROW"
        " WHEN (NEW.spent_usd + NEW.reserved_usd > NEW.cap_usd) EXECUTE FUNCTION note_overrun()"
    )


def bill(site: Site) -> Decimal:
    return Decimal(site.vendors.read("bill")["total_usd"])


def spent(site: Site) -> dict[str, Decimal]:
    rows = site.books.query("SELECT agent, sum(cost_usd + unknown_usd) AS usd FROM provider_calls GROUP BY 1")
    return {row["agent"]: Decimal(row["usd"]) for row in rows}


def assert_sums_agree(site: Site) -> None:
    """By provider, by agent and by tier the same money, to the last micro-dollar."""
    totals = set()
    for by in ("provider", "agent", "tier"):
        (row,) = site.books.query(
            f"SELECT sum(usd) AS usd, bool_and({by} IS NOT NULL) AS named FROM"
            f" (SELECT {by}, sum(cost_usd + unknown_usd) AS usd FROM provider_calls GROUP BY 1) AS sums"
        )
        assert row["named"]
        totals.add(row["usd"])
    assert totals == {site.books.booked}


def test_a_campaign_whose_money_ends_is_partial_and_is_completed_when_there_is_more(
    site: Site,
) -> None:
    watched(site)
    said = site.shell("budget", site.campaign_id, "--email-verification", "2.50", "--json")
    assert (said.code, [row["cap_usd"] for row in said.document]) == (0, ["2.500000"])

    first = site.shell(*site.run, "--force-continue")
    assert first.code == 0, first.err
    assert Decimal("2.4") < spent(site)["email_verification"] <= Decimal("2.50")
    assert site.books.number("overruns") == 0
    waiting = site.books.number("leads WHERE email_status IS NULL")
    assert waiting > 100
    assert [agent["status"] for agent in first.document["agents_run"]] == [
        "partial",
        "completed",
        "completed",
    ]
    why = "the campaign's budget for email verification is spent"
    assert {one["why"] for one in first.document["waiting"]} == {why}
    assert why in site.books.campaign()["status_reason"]
    (shown,) = site.shell("status", "--json").document
    assert [(one["of"], one["reached"], one["alerted"]) for one in shown["budgets"]] == [
        ("email verification", True, True)
    ]
    assert site.books.number("campaign_audit_log WHERE action = 'budget_alert'") == 1

    raised = site.shell("budget", site.campaign_id, "--email-verification", "none", "--json")
    assert (raised.code, raised.document) == (0, [])
    second = site.shell(*site.run)
    assert second.code == 0, second.err
    assert second.document["waiting"] == []
    rows = site.vendors.read("billing")["rows"]
    assert max(Counter((row["vendor"], row["operation"], row["question"]) for row in rows).values()) == 1
    assert site.books.settled == bill(site)
    assert site.books.number("leads WHERE email_status IS NULL") == 0
    assert_sums_agree(site)


def test_tier_and_provider_caps_hold_through_both_agents(site: Site, tmp_path: Path) -> None:
    watched(site)
    settings = Path(site.shell.variables["PHASE3_SETTINGS"])
    text = settings.read_text(encoding="utf-8")
    capped = tmp_path / "capped.toml"
    text = text.replace("[providers.reoon]", '[providers.reoon]\nper_day_usd = "0.30"')
    capped.write_text(f'{text}\n[budgets]\ntier_usd = {{ A = "2.00" }}\n', encoding="utf-8")
    shell = site.shell.set(PHASE3_SETTINGS=str(capped))
    said = shell(*site.run, "--force-continue")
    assert said.code == 0, said.err
    assert site.books.number("overruns") == 0
    scopes = {row["scope"].partition(" ")[2] or row["scope"] for row in site.books.query("TABLE budgets")}
    assert "tier A" in scopes
    assert len(scopes) == 2
    reoon = site.books.query("SELECT sum(cost_usd) AS usd FROM provider_calls WHERE provider = 'reoon'")
    assert Decimal(reoon[0]["usd"]) <= Decimal("0.30")
    assert any(one["until"] for one in said.document["waiting"]), json.dumps(said.document["waiting"])


def test_a_cap_under_which_nothing_could_be_asked_fails_before_anything_is_spent(
    site: Site, tmp_path: Path
) -> None:
    settings = tmp_path / "phase3.toml"
    settings.write_text('[providers.tomba]\nper_day_usd = "0.001"\n', encoding="utf-8")
    said = site.shell.set(PHASE3_SETTINGS=str(settings))(*site.run)
    assert (said.code, site.vendors.requests) == (1, 0)
    assert f"{settings}:2: providers.tomba.per_day_usd: one call may cost" in said.err
