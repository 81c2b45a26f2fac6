"""The one settings file, `phase3.toml`: prices and limits of the plans that were bought, thresholds, order.

Everything has a default; a mistake is reported with its line before anything starts. Keys and passwords
do not belong here: they come from the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError

from phase3_core.budget import Caps
from phase3_core.errors import BadInput
from phase3_core.money import Money
from phase3_core.policy import Policy, Routing
from resources.settings_tables import (
    ApprovalSettings,
    BudgetSettings,
    DatabaseSettings,
    ExportSettings,
    LedgerSettings,
    ProviderSettings,
    RetentionSettings,
    Strict,
    ThresholdSettings,
    WaterfallSettings,
    WebhookSettings,
    WebSettings,
)

FILE_NAME = "phase3.toml"
FILE_VARIABLE = "PHASE3_SETTINGS"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from; `overrides` are a run's own, in the shape of the file."""

    path: Path | None = None
    text: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def told(self, where: tuple[int | str, ...], message: str) -> str:
        name = ".".join(str(step) for step in where)
        if self._overridden(where) or self.path is None:
            return f"run config: {name}: {message}"
        return f"{self.path}:{self._line(where)}: {name}: {message}"

    def _overridden(self, where: tuple[int | str, ...]) -> bool:
        node: Any = self.overrides
        for step in where:
            if not isinstance(node, Mapping):
                return True
            if step not in node:
                return False
            node = node[step]
        return bool(where)

    def _line(self, where: tuple[int | str, ...]) -> int:
        """The line of the innermost name that stands in the file, 1 if none does."""
        lines = self.text.splitlines()
        found = 0
        for step in where:
            later = (n for n in range(found, len(lines)) if str(step) in lines[n].partition("#")[0])
            found = next(later, found)
        return found + 1


class Settings(Strict):
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    waterfall: WaterfallSettings = WaterfallSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    ledger: LedgerSettings = LedgerSettings()
    database: DatabaseSettings = DatabaseSettings()
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    exports: ExportSettings = ExportSettings()
    approval: ApprovalSettings = ApprovalSettings()
    webhook: WebhookSettings = WebhookSettings()
    budgets: BudgetSettings = BudgetSettings()
    _origin: Origin = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Those of a file know where their words stand."""
        self._origin = context or Origin()

    def mistake(self, *where: str, told: str) -> BadInput:
        """Settings that are well-formed and contradict themselves or the catalogue, told with their line."""
        return BadInput(self._origin.told(where, told))

    def with_contact(self, usual: str) -> "Settings":
        """The same, with a contact in any case."""
        web = self.web.model_copy(update={"contact": self.web.contact or usual})
        return self.model_copy(update={"web": web})

    def provider(self, name: str) -> ProviderSettings:
        return self.providers.get(name) or ProviderSettings()

    def caps(self, own: Caps, daily: Mapping[str, Money]) -> Caps:
        """A run's own before those of the campaign, these before the file's."""
        given = self._origin.overrides.get("budgets", {})
        of_run = BudgetSettings.model_validate(given).caps()
        return replace(self.budgets.caps().under(own).under(of_run), daily=daily)

    def policy(self, *, preset: str | None = None, force_continue: bool | None = None) -> Policy:
        """The campaign's policy; a run may choose another preset and force its way on."""
        thresholds = (
            self.thresholds if preset is None else ThresholdSettings.model_validate({"preset": preset})
        )
        force = self.thresholds.force_continue if force_continue is None else force_continue
        return Policy(
            thresholds=thresholds.thresholds(),
            force_continue=force,
            guessing=self.waterfall.guessing,
            ordering=self.waterfall.ordering,
            worth=self.waterfall.worth_usd.by_tier(),
            patience=self.waterfall.patience,
            routing=Routing(self.waterfall.routing),
            max_providers_per_lead=self.waterfall.max_providers_per_lead,
            leads_in_flight=self.waterfall.leads_in_flight,
            lead_caps=self.budgets.lead_caps(),
            per_valid=self.budgets.per_valid,
            alert_at=self.budgets.alert_at,
            approval=self.approval.policy(),
        )


def settings_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file that `PHASE3_SETTINGS` names, else `phase3.toml` here if there is one."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def read_settings(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The file's settings under a run's own; raises BadInput with file, line and what is wrong."""
    text = _text(path) if path else ""
    origin = Origin(path, text, overrides or {})
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
        return Settings.model_validate(_merged(raw, origin.overrides), context=origin)
    except tomllib.TOMLDecodeError as failure:
        raise BadInput(f"{path}: is no TOML: {failure}") from None
    except ValidationError as failure:
        told = (origin.told(error["loc"], error["msg"]) for error in failure.errors())
        raise BadInput("; ".join(told)) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        why = type(failure).__name__
        raise BadInput(f"{path}: cannot be read ({why}); {FILE_VARIABLE} names it") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(base[name], over[name])
        for name in base.keys() & over.keys()
        if isinstance(base[name], Mapping) and isinstance(over[name], Mapping)
    }
    return {**base, **over, **both}
