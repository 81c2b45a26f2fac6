"""Six campaigns on two machines, set up by what deploy/ says; one machine is lost while it works."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from phase3_assets.workplace import project_root
from phase3_core.statuses import ACCEPTED
from sandbox.billing import Charge
from sandbox.options import Options
from sandbox.population import make_world
from tests.caretaker import cared_for
from tests.end_to_end.dagster_ui import Dagster
from tests.end_to_end.machines.deployment import PLACES, Deployment, at_work, deployed
from tests.end_to_end.machines.network import missing
from tests.end_to_end.machines.watch import Watch, watched
from tests.end_to_end.shell import FINDERS, until
from tests.end_to_end.test_interrupted_runs import assert_nobody_is_paid_twice, beyond_asking
from tests.stage.evidence import TABLES, Evidence
from tests.stage.invariants import AT_REST

pytestmark = pytest.mark.soak

SCALE = 0.03  # some 1,260 leads
CAMPAIGNS = 6
HALFWAY = 0.4  # of all leads
SHARED = 40  # leads that a campaign has in common with the next
SLOWNESS = 6.0  # limits of the real plans, times this: they bind, and a campaign takes a minute
OF_A_RUN, RESERVE = 9, 50  # connections
PAGE = project_root() / "docs" / "deploying.md"
DECIDED = "leads WHERE email_status IS NOT NULL"
IN_FLIGHT = "provider_calls WHERE state = 'intent'"
WAITING_OR_AT_WORK = "dagster.runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
COMPLETE = "campaigns WHERE status IN ('verification_complete', 'pending_approval')"


@pytest.fixture
def folder() -> Iterator[Path]:
    if why_not := missing():
        pytest.skip(f"no machines can be had here: {why_not}")
    with cared_for("phase3-machines-") as folder:
        yield folder


def imported(deployment: Deployment) -> list[str]:
    """Lists that overlap: who is in two campaigns is asked about once all the same."""
    shell = deployment.shell()
    heading, *leads = deployment.vendors.text("leads.csv").splitlines()
    size = len(leads) // CAMPAIGNS
    made = []
    for n in range(CAMPAIGNS):
        file = shell.directory / f"leads-{n}.csv"
        file.write_text("\n".join([heading, *leads[n * size : (n + 1) * size + SHARED]]), encoding="utf-8")
        said = shell("import", str(file), "--name", f"Campaign {n}")
        assert said.code == 0, said.err
        made.append(said.out.strip())
    return made


def test_six_campaigns_survive_the_loss_of_a_machine(folder: Path) -> None:
    with deployed(folder, machines=2, scale=SCALE, rate_factor=SLOWNESS) as deployment:
        lost, kept = deployment.network.machines
        campaigns = imported(deployment)
        with (
            deployment.started("worker", lost),
            deployment.started("worker", kept),
            at_work(deployment) as dagster,
            watched(dagster.books.url) as watch,
        ):
            until(lambda: watch.at_work == {lost.address: PLACES, kept.address: PLACES})
            dagster.launch(campaigns[0])
            until(lambda: dagster.books.number(DECIDED) > HALFWAY * dagster.books.number("leads"))
            assert watch.at_work[lost.address]
            lost.dies()
            until(partial(finished, dagster), every_s=0.5)
            assert_runs_are_resumed_and_never_two_of_a_campaign(dagster, campaigns, watch)
            assert_all_is_right(dagster)
            assert_connections_are_bounded(watch, lost.address, kept.address)


def finished(dagster: Dagster) -> bool:
    """What a dead run had in flight is taken back when its calls can no longer be answered."""
    done = dagster.books.number(COMPLETE) == CAMPAIGNS
    return done and not dagster.books.number(WAITING_OR_AT_WORK) and not dagster.books.number(IN_FLIGHT)


def assert_runs_are_resumed_and_never_two_of_a_campaign(
    dagster: Dagster, campaigns: list[str], watch: Watch
) -> None:
    """The first campaign's second run was waiting while its first was at work."""
    runs = [dagster.runs(campaign) for campaign in campaigns]
    assert [of_one[-1] for of_one in runs] == ["SUCCESS"] * CAMPAIGNS
    assert 1 <= sum(of_one.count("FAILURE") for of_one in runs) <= PLACES
    assert runs[0].count("SUCCESS") >= 2
    assert dict(watch.runs) == dict.fromkeys(campaigns, 1)


def assert_all_is_right(dagster: Dagster) -> None:
    assert dagster.vendors.turned_away == 0
    assert_nobody_is_paid_twice(dagster.vendors)
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
    page = PAGE.read_text(encoding="utf-8")
    assert f"wants {OF_A_RUN} for each run" in page
    assert f"{RESERVE} is generous" in page
    assert all(PLACES < watch.connections[machine] <= OF_A_RUN * PLACES for machine in machines)
    assert watch.in_all <= OF_A_RUN * PLACES * len(machines) + RESERVE
