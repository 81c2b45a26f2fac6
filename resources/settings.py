"""The one settings file, `phase3.toml`: prices and limits of the plans that were bought, thresholds, order.

Everything has a default; a mistake is reported with its line before anything starts. Keys and passwords
do not belong here: they come from the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phase3_core.errors import BadInput
from phase3_core.policy import PILOT, STANDARD, Policy, Thresholds

FILE_NAME = "phase3.toml"
FILE_VARIABLE = "PHASE3_SETTINGS"

Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]
Rate = Annotated[float, Field(gt=0)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProviderSettings(Strict):
    """What differs from the catalogue: USD per credit, requests per second, minute, hour, day; in flight.

    `bulk`: whether questions are submitted many at a time where the vendor takes that; `auto` does so when
    single calls would keep the leads that wait busy for over half an hour.
    """

    enabled: bool = True
    opt_in: bool = False  # needed for providers whose protocol is unconfirmed
    price_usd: Amount | None = None
    per_second: Rate | None = None
    per_minute: Rate | None = None
    per_hour: Rate | None = None
    per_day: Annotated[int, Field(gt=0)] | None = None
    reads_per_minute: Rate | None = None  # of jobs' results
    in_flight: Annotated[int, Field(gt=0)] | None = None
    bulk: Literal["auto", "always", "never"] = "auto"


class WaterfallSettings(Strict):
    """`order` names finders; those left out are not asked."""

    order: tuple[str, ...] | None = None
    guessing: bool = True
    max_providers_per_lead: Annotated[int, Field(ge=1)] = 7
    leads_in_flight: Annotated[int, Field(ge=1, le=5000)] = 500


class ThresholdSettings(Strict):
    preset: Literal["standard", "pilot"] = "standard"
    force_continue: bool = False
    min_emails: Annotated[int, Field(ge=0)] | None = None
    min_enriched: Annotated[int, Field(ge=0)] | None = None
    min_tier_a_ready: Annotated[int, Field(ge=0)] | None = None

    def thresholds(self) -> Thresholds:
        base = PILOT if self.preset == "pilot" else STANDARD
        given = {name: getattr(self, name) for name in ("min_emails", "min_enriched", "min_tier_a_ready")}
        return Thresholds(
            **{name: getattr(base, name) if value is None else value for name, value in given.items()}
        )


class LedgerSettings(Strict):
    fresh_days: Annotated[float, Field(gt=0)] = 7.0  # how long an answer is used again for nothing

    @property
    def ttl_s(self) -> float:
        return self.fresh_days * 86_400


class WebSettings(Strict):
    """`contact`: a URL or address where the owner of a website that we read finds us."""

    contact: Annotated[str, Field(pattern=r"^[!-~]*$", max_length=200)] = ""


class Settings(Strict):
    providers: Mapping[str, ProviderSettings] = Field(default_factory=dict)
    waterfall: WaterfallSettings = WaterfallSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    ledger: LedgerSettings = LedgerSettings()
    web: WebSettings = WebSettings()

    def provider(self, name: str) -> ProviderSettings:
        return self.providers.get(name) or ProviderSettings()

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
            max_providers_per_lead=self.waterfall.max_providers_per_lead,
            leads_in_flight=self.waterfall.leads_in_flight,
        )


def settings_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The file that `PHASE3_SETTINGS` names, else `phase3.toml` here if there is one."""
    if named := environment.get(FILE_VARIABLE):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def read_settings(path: Path | None) -> Settings:
    """Raises BadInput with file, line and what is wrong."""
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
        return Settings.model_validate(tomllib.loads(text, parse_float=Decimal))
    except (OSError, UnicodeDecodeError) as failure:
        raise BadInput(
            f"{path}: cannot be read ({type(failure).__name__}); {FILE_VARIABLE} names it"
        ) from None
    except tomllib.TOMLDecodeError as failure:
        raise BadInput(f"{path}: is no TOML: {failure}") from None
    except ValidationError as failure:
        raise BadInput("; ".join(_told(path, text, error) for error in failure.errors())) from None


def _told(path: Path, text: str, error: Any) -> str:
    where = ".".join(str(step) for step in error["loc"])
    return f"{path}:{_line(text, error['loc'])}: {where}: {error['msg']}"


def _line(text: str, location: tuple[int | str, ...]) -> int:
    """The line of the innermost name of the location that stands in the file, 1 if none does."""
    lines = text.splitlines()
    found = 0
    for step in location:
        later = (n for n in range(found, len(lines)) if str(step) in lines[n].partition("#")[0])
        found = next(later, found)
    return found + 1
