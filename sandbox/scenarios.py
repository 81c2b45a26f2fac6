"""Campaigns the sandbox can replay: counts at full size, scaled so that every split still sums."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Fate(StrEnum):
    """What becomes of a lead that a fixed waterfall without guesses asks for."""

    VALID = "valid"
    RISKY = "risky"  # on a catch-all domain, and the second opinion says deliverable
    DOUBTFUL = "doubtful"  # on a catch-all domain, and the second opinion does not
    DEAD = "dead"  # a finder hands out an address that takes no mail
    UNKNOWN = "unknown"  # no finder knows the person

    @property
    def accepted(self) -> bool:
        """Whether verification accepts the address a finder hands out."""
        return self in {Fate.VALID, Fate.RISKY}


@dataclass(frozen=True)
class Scenario:
    """One campaign at full size."""

    leads: int
    companies: int
    finders: Mapping[str, int]  # first finder in this order that knows the lead
    fates: Mapping[Fate, int]  # of the leads that some finder knows
    accepted_tiers: Mapping[str, int]
    not_enrichable: int  # accepted leads whose company nobody can describe
    later_finder_knows: float
    namesakes: float = 0.0  # share of leads with a colleague of the same name: the same question to a finder
    dead_because: Mapping[str, int] = field(
        default_factory=lambda: {
            "invalid": 70,
            "disabled": 8,
            "role_account": 6,
            "inbox_full": 5,
            "unknown": 5,
            "disposable": 4,
            "spamtrap": 2,
        },
    )

    @property
    def found(self) -> int:
        """Leads that at least one finder knows."""
        return sum(self.finders.values())


REFERENCE = Scenario(
    leads=42_100,
    companies=12_000,
    finders={
        "tomba": 18_000,
        "muraena": 8_500,
        "voila_norbert": 5_200,
        "nimbler": 3_100,
        "icypeas": 2_100,
        "anymailfinder": 1_200,
        "findymail": 400,
    },
    fates={Fate.VALID: 31_360, Fate.RISKY: 3_640, Fate.DOUBTFUL: 1_500, Fate.DEAD: 2_000},
    accepted_tiers={"A": 8_230, "B": 14_600, "C": 12_170},
    not_enrichable=1_000,
    later_finder_knows=0.5,
)
SCENARIOS = {"reference": REFERENCE, "namesakes": replace(REFERENCE, namesakes=0.06)}


def apportion(total: int, weights: Mapping[T, int]) -> dict[T, int]:
    """Whole shares of `total` by weight, summing exactly: the largest remainders are rounded up."""
    whole = sum(weights.values())
    exact = {name: total * weight / whole for name, weight in weights.items()}
    shares = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: shares[name] - exact[name])
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return shares
