"""Web server, daemon and code as `phase3 dev` starts them; asked over GraphQL, as the UI asks."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from phase3_assets.workplace import project_root
from tests.caretaker import not_outliving_us
from tests.end_to_end.campaign import Books
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.shell import PROGRAMS, WAIT_S, Shell, Vendors, kill_group, until, vendors

pytestmark = pytest.mark.slow

ASSETS = ("verified_emails", "enriched_leads", "tier_report")
LEFT_BY_DAGSTER = {"logs", ".logs_queue", ".telemetry", "history", "storage", "schedules"}
PLACE = {"repositoryName": "__repository__", "repositoryLocationName": "phase3"}
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
BACKFILL = """
mutation ($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename }
}"""
ADD = """
mutation ($place: RepositorySelector!, $key: String!) {
  addDynamicPartition(repositorySelector: $place, partitionsDefName: "campaigns", partitionKey: $key) {
    __typename
  }
}"""
TERMINATE = "mutation ($run: String!) { terminateRun(runId: $run) { __typename } }"
RUNS = """
SELECT r.run_id, r.status FROM dagster.runs AS r JOIN dagster.run_tags AS t USING (run_id)
WHERE t.key = 'dagster/partition' AND t.value = %s ORDER BY r.id
"""
LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


@dataclass(frozen=True)
class Dagster:
    """Its processes, the campaigns' database, and the vendors they ask."""

    url: str
    books: Books
    vendors: Vendors
    shell: Shell
    leads: Path
    checkout: frozenset[str]

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=WAIT_S) as answer:
            return json.loads(answer.read())["data"]

    def loaded(self) -> bool:
        try:
            return bool(self.ask(LOADED)["repositoriesOrError"]["nodes"])
        except (URLError, ConnectionError, KeyError, TypeError):
            return False

    def campaign(self, name: str, status: str = "phase3_failed") -> str:
        """Imported in a state that the sensor leaves alone, unless told otherwise."""
        imported = self.shell("import", str(self.leads), "--name", name)
        assert imported.code == 0, imported.err
        campaign_id = imported.out.strip()
        change = "UPDATE campaigns SET status = %s WHERE id = %s RETURNING id"
        self.books.query(change, status, campaign_id)
        return campaign_id

    def launch(self, campaign_id: str) -> str:
        self.ask(ADD, place=PLACE, key=campaign_id)
        tags = [{"key": "dagster/partition", "value": campaign_id}]
        params = {"selector": {**PLACE, "jobName": "phase3"}, "executionMetadata": {"tags": tags}}
        told = self.ask(LAUNCH, params=params)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def backfill(self, campaign_ids: Sequence[str]) -> None:
        for campaign_id in campaign_ids:
            self.ask(ADD, place=PLACE, key=campaign_id)
        selection = [{"path": [asset]} for asset in ASSETS]
        told = self.ask(BACKFILL, params={"assetSelection": selection, "partitionNames": list(campaign_ids)})
        assert told["launchPartitionBackfill"]["__typename"] == "LaunchBackfillSuccess", told

    def runs(self, campaign_id: str) -> list[str]:
        return [row["status"] for row in self.books.query(RUNS, campaign_id)]

    def ended(self, campaign_id: str) -> list[str]:
        """The campaign's runs, once none of them goes on."""
        runs = self.runs(campaign_id)
        return runs if runs and set(runs) <= {"SUCCESS", "FAILURE", "CANCELED"} else []


def in_checkout() -> frozenset[str]:
    return frozenset(path.name for path in project_root().iterdir())


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def dagster(
    new_books: NewBooks, upgraded: str, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dagster]:
    books, directory, port = new_books(upgraded), tmp_path_factory.mktemp("dagster"), free_port()
    with vendors(0.001) as sandbox, (directory / "log").open("wb") as log:
        own = shell.set(DATABASE_URL=books.url, **sandbox.variables(directory))
        with Path(own.variables["PHASE3_SETTINGS"]).open("a") as settings:
            settings.write("\n[thresholds]\nforce_continue = true\n")
        (directory / "leads.csv").write_text(sandbox.text("leads.csv"), encoding="utf-8")
        url, leads = f"http://127.0.0.1:{port}", directory / "leads.csv"
        processes = Dagster(url, books, sandbox, own, leads, in_checkout())
        process = subprocess.Popen(
            [PROGRAMS / "phase3", "dev", "--port", str(port)],
            env=own.environment,
            cwd=directory,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        with process, not_outliving_us(process):
            try:
                until(processes.loaded, every_s=0.25)
                yield processes
                kill_group(process, signal.SIGINT)
                assert process.wait(timeout=WAIT_S) == 0
            finally:
                kill_group(process)


def test_campaigns_are_run_by_launch_by_backfill_and_by_the_sensor(dagster: Dagster) -> None:
    """All at once, because each takes its time; nothing of it is written into the checkout."""
    imported = dagster.campaign("by the sensor", "import_complete")
    filled = [dagster.campaign(f"by backfill {n}") for n in range(3)]
    launched = dagster.campaign("by launch")
    dagster.backfill(filled)
    dagster.launch(launched)
    for campaign_id in (launched, *filled, imported):
        assert until(lambda: dagster.ended(campaign_id), every_s=0.25) == ["SUCCESS"]  # noqa: B023 - called now
    done = dagster.books.number("campaigns WHERE status = 'verification_complete'")
    assert done == 5
    assert dagster.books.settled == Decimal(dagster.vendors.read("bill")["total_usd"])
    assert not (in_checkout() - dagster.checkout) & LEFT_BY_DAGSTER


def test_terminating_a_run_settles_what_is_in_flight(dagster: Dagster) -> None:
    dagster.books.query("DELETE FROM provider_calls RETURNING key")
    dagster.vendors.slow_down("*", 1_000)
    campaign_id = dagster.campaign("terminated")
    run = dagster.launch(campaign_id)
    until(lambda: dagster.books.number("provider_calls WHERE state = 'intent'"))
    told = dagster.ask(TERMINATE, run=run)
    assert told["terminateRun"]["__typename"] == "TerminateRunSuccess"
    assert until(lambda: dagster.ended(campaign_id), every_s=0.1) == ["CANCELED"]
    assert dagster.books.number("provider_calls WHERE state = 'intent'") == 0
    (row,) = dagster.books.query("SELECT status, status_reason FROM campaigns WHERE id = %s", campaign_id)
    assert row == {
        "status": "phase3_failed",
        "status_reason": "cancelled; everything bought is kept, run again to resume",
    }
