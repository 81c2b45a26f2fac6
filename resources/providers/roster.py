"""Who may be asked in a run: every provider's terms, key and address, and why it is left out, if it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from phase3_core.calls import Role
from phase3_core.errors import BadInput
from phase3_core.ports.providers import Skipped
from resources.providers.catalogue import CATALOGUE, Row, Terms
from resources.providers.enrichers import website
from resources.providers.gates import account_name
from resources.providers.keys import Keys
from resources.providers.line_up import agreed, chosen, in_order, own_settings
from resources.providers.spec import ProviderSpec
from resources.providers.website import SANDBOX_WEB
from resources.settings import Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider before a run: its row, the terms that hold, and why it would be left out, if it would."""

    row: Row
    why_not: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Roster:
    """The catalogue under the settings; `environment` holds keys and base URLs."""

    settings: Settings
    environment: Mapping[str, str] = field(repr=False)

    def rows(self) -> list[Row]:
        """In the order of asking; raises BadInput for settings that cannot be meant."""
        return chosen(in_order(self.settings), self.environment)

    def entries(self) -> list[Entry]:
        """Every provider that could be used, in order, and why one would be left out."""
        return [Entry(row, self._left_out(row), self.terms(row)) for row in self.rows()]

    def former(self) -> list[Row]:
        """Finders that are not asked, and may have been before."""
        asked = [row for row in self.rows() if not self.skipped(row)]
        return [row for row in CATALOGUE if row.spec.role is Role.FINDER and row not in asked]

    def terms(self, row: Row) -> Terms:
        """The catalogue's, with what the settings say instead."""
        return agreed(row.terms, own_settings(self.settings, row.spec))

    def skipped(self, row: Row) -> Skipped | None:
        """None where the provider can be used."""
        if why := self._why_not(row):
            return Skipped(row.name, why)
        options = self.options(row.spec)
        unset = [name for name in row.spec.options if not options[name]]
        return Skipped(row.spec.label, f"set {' and '.join(unset)}") if unset else None

    def options(self, spec: ProviderSpec) -> dict[str, str]:
        """By variable; empty where a provider needs one that is not set."""
        return {name: self.environment.get(name) or usual for name, usual in spec.options.items()}

    def account_name(self, row: Row) -> str:
        """Whose limits a provider's calls count against, without its key."""
        return account_name(row, self.secrets(row.spec), self.base_url(row.spec))

    def secrets(self, spec: ProviderSpec) -> Keys:
        """Of a provider that is not skipped; raises KeyError for one without its key."""
        return Keys({name: self.environment[name] for name in spec.secrets})

    def base_url(self, spec: ProviderSpec, usual: str = "") -> str:
        """Where it answers: the environment's, else `usual`, else its own; without a slash at the end."""
        url = self.environment.get(f"{spec.env}_BASE_URL") or usual or spec.base_url
        return url.rstrip("/")

    def sandbox_web(self) -> str | None:
        """Raises BadInput where its door would stand open in a run that asks real vendors."""
        if door := self.environment.get(SANDBOX_WEB):
            for each in self.entries():
                url = self.base_url(each.row.spec)
                if url and not each.why_not and not _on_loopback(url):
                    raise BadInput(
                        f"{SANDBOX_WEB} is set, but {each.row.name} would be asked at {url}: unset it, "
                        f"or set {each.row.spec.env}_BASE_URL to the sandbox's."
                    )
        return door

    def _left_out(self, row: Row) -> str:
        skipped = self.skipped(row)
        return skipped.why if skipped else ""

    def _why_not(self, row: Row) -> str:
        """Why a provider is left out, in words for the user; empty when it is usable."""
        own = own_settings(self.settings, row.spec)
        missing = [name for name in row.spec.secrets if not self.environment.get(name)]
        if not own.enabled:
            return "switched off in the settings"
        if missing:
            return f"no key: set {' and '.join(missing)}"
        nameless = not self.settings.web.contact and SANDBOX_WEB not in self.environment
        if row.spec is website.SPEC and nameless:
            return (
                "set web.contact in the settings: site owners must be able to reach whoever reads their sites"
            )
        if not row.terms.confirmed and not own.opt_in:
            return "its protocol is unconfirmed: set opt_in = true in the settings to use it"
        return ""


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
