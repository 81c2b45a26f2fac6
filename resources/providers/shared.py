"""What the clients of one run have in common."""

from dataclasses import dataclass, field

from resources.providers.accounts import Account
from resources.providers.exchange import Exchange
from resources.providers.gates import Gates
from resources.providers.health import Health
from resources.providers.naps import Naps
from resources.providers.settlement import Tally
from resources.providers.tokens import TokenDesk


@dataclass
class Shared:
    """Tally, naps and gates; of one vendor health, account and token.

    Questions under the same terms pass one gate: terms are what a vendor counts by.
    """

    tally: Tally
    exchange: Exchange
    gates: Gates
    healths: dict[str, Health] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    desks: dict[str, TokenDesk] = field(default_factory=dict)

    @property
    def naps(self) -> Naps:
        return self.exchange.naps

    def health(self, provider: str) -> Health:
        if provider not in self.healths:
            self.healths[provider] = Health()
            self.healths[provider].begin(provider, self.exchange)
        return self.healths[provider]
