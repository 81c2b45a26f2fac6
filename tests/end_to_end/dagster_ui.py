"""Web server, daemon and code as `phase3 dev` starts them; asked over GraphQL, as the UI asks."""

import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.end_to_end.campaign import Books
from tests.end_to_end.shell import PROGRAMS, WAIT_S, Shell, Vendors, in_a_group, until, vendors

ASSETS = ("verified_emails", "enriched_leads", "tier_report")
PLACE = {"repositoryName": "__repository__", "repositoryLocationName": "phase3"}
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
TICKS = """
query ($place: RepositorySelector!) {
  sensorsOrError(repositorySelector: $place) {
    ... on Sensors { results { name sensorState { ticks(limit: 1, statuses: [SUCCESS, SKIPPED, FAILURE]) {
      status
    } } } }
  }
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
COLUMNS = "first_name, last_name, linkedin_url, title, company_name, company_domain, lead_score, lead_tier"
COPY = f"""
WITH made AS (
    INSERT INTO campaigns (name, status, import_completed_at) VALUES (%s, %s, now()) RETURNING id
), copied AS (
    INSERT INTO leads (campaign_id, {COLUMNS})
    SELECT made.id, {COLUMNS} FROM made, leads WHERE leads.campaign_id = %s
)
SELECT id::text FROM made
"""
LOADED = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


@dataclass(frozen=True)
class Dagster:
    """Its processes, the campaigns' database, and the vendors they ask."""

    port: int
    books: Books
    vendors: Vendors
    shell: Shell
    imported: str
    directory: Path
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @contextmanager
    def served(self) -> Iterator[subprocess.Popen[str]]:
        """In a process group of its own, which does not outlive the block."""
        command: list[str | Path] = [PROGRAMS / "phase3", "dev", "--port", str(self.port)]
        at = {"env": self.shell.environment, "cwd": self.directory}
        with (
            (self.directory / "log").open("ab") as log,
            in_a_group(command, stdout=log, stderr=log, **at) as process,
        ):
            until(self.loaded, every_s=0.25)
            yield process

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
        """A copy of the imported one, in a state that the sensor leaves alone unless told otherwise."""
        (made,) = self.books.query(COPY, name, status, self.imported)
        return str(made["id"])

    def launch(self, campaign_id: str) -> str:
        self.ask(ADD, place=PLACE, key=campaign_id)
        tags = [{"key": "dagster/partition", "value": campaign_id}]
        params = {"selector": {**PLACE, "jobName": "phase3"}, "executionMetadata": {"tags": tags}}
        told = self.ask(LAUNCH, params=params)["launchRun"]
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])

    def fill_in(self, campaign_id: str, form: dict[str, str]) -> str:
        """Materialize, on the page of the asset `approval`; what became of the launch."""
        selector = {**PLACE, "jobName": "__ASSET_JOB", "assetSelection": [{"path": ["approval"]}]}
        params = {
            "selector": selector,
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": campaign_id}]},
            "runConfigData": json.dumps({"ops": {"approval": {"config": form}}}),
        }
        return str(self.ask(LAUNCH, params=params)["launchRun"]["__typename"])

    def ticks(self) -> dict[str, str]:
        """How each sensor's newest tick ended, if there was one."""
        sensors = self.ask(TICKS, place=PLACE)["sensorsOrError"]["results"]
        newest = {sensor["name"]: sensor["sensorState"]["ticks"] for sensor in sensors}
        return {name: ticks[0]["status"] for name, ticks in newest.items() if ticks}

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


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


ANY_NUMBER = "force_continue = true"


@contextmanager
def prepared(books: Books, shell: Shell, directory: Path, thresholds: str = ANY_NUMBER) -> Iterator[Dagster]:
    """Everything but its processes."""
    with vendors(0.001) as sandbox:
        own = shell.set(DATABASE_URL=books.url, **sandbox.variables(directory))
        with Path(own.variables["PHASE3_SETTINGS"]).open("a") as settings:
            settings.write(f"\n[thresholds]\n{thresholds}\n")
        leads = directory / "leads.csv"
        leads.write_text(sandbox.text("leads.csv"), encoding="utf-8")
        imported = own("import", str(leads), "--name", "Imported")
        assert imported.code == 0, imported.err
        campaign_id = imported.out.strip()
        books.query("UPDATE campaigns SET status = 'phase3_failed' WHERE id = %s RETURNING id", campaign_id)
        yield Dagster(free_port(), books, sandbox, own, campaign_id, directory)
