"""Whether a provider is asked at all: what ends its use for this run."""

from dataclasses import dataclass, field

BREAKDOWNS_IN_A_ROW = 5  # then the provider is left alone for the rest of the run


@dataclass
class Health:
    """Why a provider is left alone for this run, if it is."""

    parked: str = ""
    breakdowns: int = 0
    latest: object = field(default=None, repr=False)

    def broke(self, why: str, by: object) -> None:
        """`by`: the failure itself, which is one breakdown however many calls it ends."""
        self.breakdowns += by is not self.latest
        self.latest = by
        if self.breakdowns >= BREAKDOWNS_IN_A_ROW:
            self.parked = f"{self.breakdowns} breakdowns in a row, the last: {why}"

    def answered(self) -> None:
        self.breakdowns = 0
