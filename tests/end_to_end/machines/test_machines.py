"""What six campaigns on two machines have come to when one machine was lost while it worked."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from phase3_assets.workplace import project_root
from phase3_core.statuses import ACCEPTED
from sandbox.billing import Charge
from sandbox.options import Options
from sandbox.population import make_world
from tests.end_to_end.dagster_ui import Dagster
from tests.end_to_end.machines.deployment import PLACES
from tests.end_to_end.machines.loss import CAMPAIGNS, OF_A_RUN, SCALE, Loss, survived
from tests.end_to_end.machines.watch import Watch
from tests.end_to_end.shell import FINDERS
from tests.end_to_end.test_interrupted_runs import beyond_asking
from tests.stage.evidence import TABLES, Evidence
from tests.stage.invariants import AT_REST

pytestmark = pytest.mark.soak

RESERVE = 50  # connections
PAGE = project_root() / "docs" / "deploying.md"


def test_six_campaigns_survive_the_loss_of_a_machine(folder: Path) -> None:
    with survived(folder) as loss:
        assert_runs_are_resumed_and_never_two_of_a_campaign(loss)
        assert_all_is_right(loss.dagster)
        assert loss.billed_twice == 0
        assert_connections_are_bounded(loss.watch, *(machine.address for machine in loss.machines))


def assert_runs_are_resumed_and_never_two_of_a_campaign(loss: Loss) -> None:
    """The first campaign's second run was waiting while its first was at work."""
    runs = [loss.dagster.runs(campaign) for campaign in loss.campaigns]
    assert [of_one[-1] for of_one in runs] == ["SUCCESS"] * CAMPAIGNS
    assert 1 <= sum(of_one.count("FAILURE") for of_one in runs) <= PLACES
    assert runs[0].count("SUCCESS") >= 2
    assert dict(loss.watch.runs) == dict.fromkeys(loss.campaigns, 1)


def assert_all_is_right(dagster: Dagster) -> None:
    assert dagster.vendors.turned_away == 0
    found = evidence(dagster)
    assert [f"{check.__name__}: {what}" for check in AT_REST for what in check(found)] == []
    assert wrong(found, apart_from=beyond_asking(dagster.books)) == []


def wrong(found: Evidence, apart_from: set[str]) -> list[str]:
    """Leads with an address of nobody of that first name there, or with none though a finder knows it."""
    people = {(one.first, one.last, one.company.domain): one for one in found.world.people}
    namesakes = {(one.first, one.company.domain, one.email) for one in found.world.people}
    told = []
    for lead in found.leads:
        first, domain = lead["first_name"] or "", lead["company_domain"]
        person = people[first, lead["last_name"] or "", domain]
        known = person.fate.accepted and not set(FINDERS).isdisjoint(person.finders)
        accepted = lead["email_status"] in ACCEPTED
        right = (first, domain, lead["email"]) in namesakes if accepted else not known
        if not right and domain not in apart_from:
            told.append(f"{person.name}: {person.email}, not {lead['email']} ({lead['email_status']})")
    return told


def evidence(dagster: Dagster) -> Evidence:
    options, vendors, books = Options(scale=SCALE), dagster.vendors, dagster.books
    world = make_world(options.scenario, options.seed, options.scale)
    charges = [charge(row) for row in vendors.read("billing")["rows"]]
    asked = {question(row): row["count"] for row in vendors.read("requests")["rows"]}
    return Evidence(world, charges, asked, *map(books.query, TABLES))


def question(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["vendor"], row["operation"], row["question"]


def charge(row: dict[str, Any]) -> Charge:
    return Charge(row["seq"], *question(row), Decimal(row["credits"]), Decimal(row["amount_usd"]), at=0.0)


def assert_connections_are_bounded(watch: Watch, *machines: str) -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"wants {OF_A_RUN} for each run" in page
    assert f"{RESERVE} is generous" in page
    assert all(PLACES < watch.connections[machine] <= OF_A_RUN * PLACES for machine in machines)
    assert watch.in_all <= OF_A_RUN * PLACES * len(machines) + RESERVE
