"""The three assets with fakes for the outside world, in a Dagster instance that lives in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from phase3_assets.campaign_leads import campaign_leads
from phase3_assets.checks import CHECKS
from phase3_assets.jobs import ASSETS
from phase3_assets.partitions import campaigns
from phase3_core.calls import Facts, Hit, Judgement
from phase3_core.leads import Lead
from phase3_core.policy import Policy, Thresholds
from phase3_core.statuses import Verdict
from phase3_core.tiers import Topic
from tests.fakes.books import CampaignRow, FakeDatabase
from tests.fakes.exporter import FakeExporter
from tests.fakes.people import CAMPAIGN, a_lead
from tests.fakes.providers import FakeProviderSource, enricher, finder, verifier
from tests.fakes.relay import FakeRelay

KEY = str(CAMPAIGN)
ANY_NUMBER = Thresholds(0, 0, 0)
EASY = Policy(ANY_NUMBER, guessing=False)
COMPANY = Facts(
    {"company_description": "Pumps", "company_industry": "Machinery", "company_employee_count": 40}
)


def address(name: str) -> str:
    return f"{name.replace(' ', '.').lower()}@acme.com"


def people(number: int) -> list[Lead]:
    """A different person each, at one company."""
    return [a_lead(n, f"Ada Lovelace{n}") for n in range(1, number + 1)]


def vendors(database: FakeDatabase) -> FakeProviderSource:
    """Everybody is found, has a mailbox, and works for a company that is known."""
    return FakeProviderSource(
        database.bills,
        finders=[finder("tomba", lambda name: Hit(address(name)))],
        verifiers=[verifier("reoon", lambda _: Judgement(Verdict.VALID))],
        enrichers=[enricher("website", frozenset({Topic.WEBSITE, Topic.COMPANY}), lambda _: COMPANY)],
    )


@dataclass
class Office:
    database: FakeDatabase
    source: FakeProviderSource
    policy: Policy = EASY
    exporter: FakeExporter = field(default_factory=FakeExporter)
    relay: FakeRelay = field(default_factory=FakeRelay)
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @property
    def campaign(self) -> CampaignRow:
        return self.database.tables.campaigns[CAMPAIGN]

    @property
    def resources(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "providers": self.source,
            "policy": self.policy,
            "exporter": self.exporter,
            "relay": self.relay,
        }

    def materialize(
        self, selection: Sequence[str] | None = None, key: str = KEY, *, raising: bool = False
    ) -> dg.ExecuteInProcessResult:
        """All assets with their checks, or those selected."""
        self.instance.add_dynamic_partitions(str(campaigns.name), [key])
        wanted = dg.AssetSelection.assets(*selection) if selection else None
        return dg.materialize(
            [campaign_leads, *ASSETS, *CHECKS],
            selection=wanted,
            partition_key=key,
            instance=self.instance,
            resources=self.resources,
            raise_on_error=raising,
        )


def an_office(leads: Iterable[Lead] = (), policy: Policy = EASY) -> Office:
    database = FakeDatabase()
    database.add(CAMPAIGN, leads)
    return Office(database, vendors(database), policy)


def materialization(done: dg.ExecuteInProcessResult, asset: str) -> dg.AssetMaterialization:
    (event,) = done.asset_materializations_for_node(asset)
    return event


def metadata(done: dg.ExecuteInProcessResult, asset: str) -> Mapping[str, Any]:
    """Values as the UI gets them."""
    return {name: told.value for name, told in materialization(done, asset).metadata.items()}


def data_version(done: dg.ExecuteInProcessResult, asset: str) -> str:
    return (materialization(done, asset).tags or {})["dagster/data_version"]


def failure(done: dg.ExecuteInProcessResult) -> str:
    """What the first step that failed says."""
    event = next(event for event in done.all_events if event.is_step_failure)
    told = event.step_failure_data.user_failure_data
    assert told is not None
    return str(told.description)
