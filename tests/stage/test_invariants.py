"""The checks themselves: each finds what it is there to find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from phase3_core.budget import Caps
from phase3_core.money import usd
from phase3_core.statuses import Agent
from sandbox.app import serve
from sandbox.options import Options
from sandbox.people import Person
from tests.stage.evidence import Evidence, evidence
from tests.stage.invariants import (
    ALWAYS,
    AT_REST,
    Check,
    accepted_addresses_are_verified,
    budgets_are_the_sum_of_their_calls,
    differing,
    no_budget_is_overdrawn,
    no_call_is_repeated_too_often,
    no_question_is_billed_too_often,
    nobody_suppressed_is_asked_about,
    not_free_again,
    nothing_is_asked_without_a_row,
    nothing_is_left_in_flight,
    spend_is_the_sum_of_its_calls,
    the_ledger_covers_the_bill,
    the_ledger_is_the_bill,
)
from tests.stage.stage import WEEK_S, Stage, everyone_is_needed, made_by_name, staged

CAPS = Caps(agents={agent: usd("500") for agent in Agent}, daily={"tomba": usd("500")})


Tamper = Callable[[Evidence], Evidence]


def _of(provider: str, **changes: Any) -> Tamper:
    """The calls of a provider are otherwise."""

    def tampered(found: Evidence) -> Evidence:
        calls = [{**call, **changes} if call["provider"] == provider else call for call in found.calls]
        return replace(found, calls=calls)

    return tampered


def _budgets(**changes: Any) -> Tamper:
    return lambda found: replace(found, budgets=[{**budget, **changes} for budget in found.budgets])


def _stale(found: Evidence) -> Evidence:
    later = timedelta(seconds=WEEK_S + 1)
    leads = [{**lead, "email_verified_at": lead["email_verified_at"] + later} for lead in found.leads]
    return replace(found, leads=leads)


def _listed(name: Callable[[Person], str]) -> Tamper:
    """Somebody whom everybody was asked about was on the list before."""

    def tampered(found: Evidence) -> Evidence:
        before = min(call["asked_at"] for call in found.calls) - timedelta(seconds=1)
        lead = next(lead for lead in found.leads if made_by_name(_who(found, lead)))
        return replace(found, listed=[{"name": name(_who(found, lead)), "created_at": before}])

    return tampered


def _who(found: Evidence, lead: Mapping[str, Any]) -> Person:
    person = found.world.person(f"{lead['first_name']} {lead['last_name']}".strip(), lead["company_domain"])
    assert person
    return person


def _nothing_named(found: Evidence) -> Evidence:
    """What is asked about the listed person tells neither address nor company."""
    listed = _listed(lambda person: person.email.lower())(found)
    return replace(listed, calls=[{**call, "request": {}} for call in listed.calls])


def _unknown(provider: str) -> Tamper:
    return lambda found: replace(found, calls=[call for call in found.calls if call["provider"] != provider])


def _billed_again(provider: str) -> Tamper:
    """Without any call that was made again."""
    return lambda found: replace(
        found, charges=[*found.charges, *(one for one in found.charges if one.vendor == provider)]
    )


def _asked_again(provider: str) -> Tamper:
    """Once more, and billed for it."""
    return lambda found: _of(provider, attempt=2)(_billed_again(provider)(found))


TAMPERED: Sequence[tuple[Check, Tamper]] = (
    (the_ledger_covers_the_bill, _of("tomba", cost_usd=usd("0"))),
    (no_question_is_billed_too_often, _billed_again("reoon")),
    (no_question_is_billed_too_often, _billed_again("clearbit")),
    (no_call_is_repeated_too_often, _of("reoon", losses=2)),
    (budgets_are_the_sum_of_their_calls, _of("tomba", cost_usd=usd("0.5"))),
    (spend_is_the_sum_of_its_calls, _of("tomba", cost_usd=usd("0.5"))),
    (no_budget_is_overdrawn, _budgets(cap_usd=usd("0"))),
    (nothing_is_asked_without_a_row, _unknown("builtwith")),
    (accepted_addresses_are_verified, _stale),
    (accepted_addresses_are_verified, _of("reoon", verdict="invalid")),
    (nobody_suppressed_is_asked_about, _listed(lambda person: person.company.domain)),
    (nobody_suppressed_is_asked_about, _nothing_named),
    (nothing_is_left_in_flight, _of("brave", state="intent")),
    (the_ledger_is_the_bill, _of("tomba", cost_usd=usd("5"))),
    (the_ledger_is_the_bill, _of("tomba", cost_usd=usd("5"), unknown_usd=usd("5"))),
    (the_ledger_is_the_bill, _of("tomba", cost_usd=usd("0"), unknown_usd=usd("0.000001"))),
)


async def test_each_check_finds_what_is_amiss_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people, each=1)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        stage = replace(stage, play=replace(stage.play, caps=CAPS))
        assert (await stage.perform()).why_not == ""
        found = evidence(stage)
        for check, tamper in TAMPERED:
            assert list(check(found)) == []
            assert list(check(tamper(found))), check.__name__
        assert list(no_question_is_billed_too_often(_asked_again("clearbit")(found))) == []
        report = await stage.report()
        assert len(differing(report, usd("0"))) == 1
        assert len(differing(report | {"tiers": []}, Decimal(report["costs"]["total"]))) == 1
        await _assert_seen_to_ask_again(stage)
    assert len(found.budgets) == len(Agent) + 1
    assert {check for check, _ in TAMPERED} == {*ALWAYS, *AT_REST}


async def _assert_seen_to_ask_again(stage: Stage) -> None:
    assert await not_free_again(stage) == []
    stage.query("UPDATE leads SET email_status = NULL WHERE email_provider = 'tomba' RETURNING 1")
    stage.query("DELETE FROM provider_calls WHERE provider = 'reoon' RETURNING 1")
    assert len(await not_free_again(stage)) == 2
