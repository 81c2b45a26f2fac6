"""Every resource: typed configuration in, a plain adapter out. The only file here that knows Dagster."""

import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from phase3_core.budget import Caps
from phase3_core.errors import BadInput
from phase3_core.foresight import Estimates
from phase3_core.policy import Policy
from phase3_core.ports.books import Database
from phase3_core.ports.exporter import Exporter
from phase3_core.ports.providers import ProviderSource
from phase3_core.ports.relay import Relay
from resources.assembly import (
    outbox_relay,
    postgres_breakers,
    postgres_ledger,
    postgres_limits,
    postgres_readings,
)
from resources.clock import SystemClock
from resources.estimates import LedgerEstimates
from resources.exports.campaign_exports import usual_exporter
from resources.exports.files import EXPORTS_DIR
from resources.postgres.database import PostgresDatabase
from resources.providers.line_up import daily_caps
from resources.providers.source import VendorSource
from resources.settings import Settings, read_settings, settings_path

DATABASE_URL = "DATABASE_URL"
OVERRIDES = "this run's own settings, in the shape of the file: {providers: {tomba: {price_usd: '0.002'}}}"
SETTINGS_DEFAULT = "empty: $PHASE3_SETTINGS, else ./phase3.toml where there is one"


class PostgresResource(dg.ConfigurableResource["Database"]):
    """The campaigns' PostgreSQL; connections open later, in the event loop that uses them.

    Its address stands in the environment alone: Dagster keeps and shows configuration, password and all.
    """

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)
    overrides: dict[str, Any] = Field(default={}, description=OVERRIDES)

    def create_resource(self, context: dg.InitResourceContext) -> Database:  # noqa: ARG002 - Dagster's signature
        url = os.environ.get(DATABASE_URL, "")
        if not url:
            raise dg.Failure(
                f"{DATABASE_URL} is not set. Set it to your PostgreSQL, or use `phase3 dev`: it brings one.",
                allow_retries=False,
            )
        settings = _settings(self.settings_file, self.overrides)
        return PostgresDatabase(url, longest_outage_s=settings.database.longest_outage_s)


class VendorsResource(dg.ConfigurableResource["ProviderSource"]):
    """The providers whose keys are in the environment, on the terms of the settings file."""

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)
    overrides: dict[str, Any] = Field(default={}, description=OVERRIDES)

    def create_resource(self, context: dg.InitResourceContext) -> ProviderSource:  # noqa: ARG002 - Dagster's signature
        settings = _settings(self.settings_file, self.overrides)
        open_ledger = postgres_ledger(settings.ledger.ttl_s, _caps(settings))
        return VendorSource(
            settings,
            os.environ,
            open_ledger,
            SystemClock(),
            breakers=postgres_breakers,
            open_limits=postgres_limits,
            readings=postgres_readings,
        )


class Preset(Enum):
    STANDARD = "standard"
    PILOT = "pilot"


class PolicyResource(dg.ConfigurableResource["Policy"]):
    """What this run may do; what is left out comes from the settings file."""

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)
    overrides: dict[str, Any] = Field(default={}, description=OVERRIDES)
    preset: Preset | None = Field(
        default=None, description="thresholds: standard 500/500/100, pilot 50/50/10"
    )
    force_continue: bool | None = Field(default=None, description="go on below a threshold, with a warning")

    def create_resource(self, context: dg.InitResourceContext) -> Policy:  # noqa: ARG002 - Dagster's signature
        preset = self.preset.value if self.preset else None
        settings = _settings(self.settings_file, self.overrides)
        return settings.policy(preset=preset, force_continue=self.force_continue)


class EstimatesResource(dg.ConfigurableResource["Estimates"]):
    """What campaigns are expected to cost, from the ledger and the settings, with the keys at hand."""

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)

    def create_resource(self, context: dg.InitResourceContext) -> Estimates:  # noqa: ARG002 - Dagster's signature
        return LedgerEstimates(_settings(self.settings_file, {}), os.environ)


class RelayResource(dg.ConfigurableResource["Relay"]):
    """Where messages go: to Slack and to the webhook, as far as settings and environment name them."""

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)

    def create_resource(self, context: dg.InitResourceContext) -> Relay:  # noqa: ARG002 - Dagster's signature
        settings = _settings(self.settings_file, {})
        return outbox_relay(os.environ.get(DATABASE_URL, ""), settings)


class ExportsResource(dg.ConfigurableResource["Exporter"]):
    """Where workbook and report page are written, and the spreadsheet where one is set up."""

    settings_file: str = Field(default="", description=SETTINGS_DEFAULT)
    directory: str = Field(default="", description=f"empty: ${EXPORTS_DIR}, else ./exports")

    def create_resource(self, context: dg.InitResourceContext) -> Exporter:  # noqa: ARG002 - Dagster's signature
        return usual_exporter(_settings(self.settings_file, {}), self.directory)


def _caps(settings: Settings) -> Callable[[Caps], Caps]:
    try:
        daily = daily_caps(settings, os.environ)
    except BadInput as failure:
        raise dg.Failure(str(failure), allow_retries=False) from None
    return lambda own: settings.caps(own, daily)


def _settings(named: str, overrides: Mapping[str, Any]) -> Settings:
    try:
        return read_settings(Path(named) if named else settings_path(), overrides)
    except BadInput as failure:
        raise dg.Failure(str(failure), allow_retries=False) from None
