"""The gates of one run: one for each account and kind of request, known to other processes by name."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from phase3_core.rate_limits import RateLimits
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.gate import Gate, Limits
from resources.providers.keys import telling_apart
from resources.providers.naps import Naps

CALLS, READINGS, TASKS = "calls", "readings", "tasks"


@dataclass
class Gates:
    """With `limits`, gates are shared with every process that uses the same account."""

    monotonic: Callable[[], float]
    naps: Naps
    limits: RateLimits | None = None
    _made: dict[tuple[str, Limits], Gate] = field(default_factory=dict)

    def of(self, name: str, limits: Limits) -> Gate:
        """The same one for the same name and limits. Without a name it is nobody else's."""
        share = self.limits.of if self.limits and name else None
        gate = Gate(limits, self.monotonic, self.naps, share, name)
        return self._made.setdefault((name, limits), gate) if name else gate

    async def close(self) -> None:
        await asyncio.gather(*(gate.close() for gate in self._made.values()))


def account_name(row: Row, secrets: Mapping[str, str], base_url: str) -> str:
    """An account's name from a hash of its key; two keys are two accounts. Empty without a key.

    Questions that the catalogue lists under the same terms are counted together.
    """
    if not secrets:
        return ""
    told = "\n".join([base_url, *telling_apart(secrets).values()])
    key = blake2b(told.encode(), digest_size=8, person=b"phase3 account"[:16]).hexdigest()
    counted_with = next(other for other in CATALOGUE if (other.name, other.terms) == (row.name, row.terms))
    return f"{counted_with.spec.label}/{key}"


def kind_of(account: str, kind: str) -> str:
    return f"{account}/{kind}" if account else ""
