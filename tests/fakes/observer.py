"""Remembers what it was told of progress."""

from dataclasses import dataclass, field

from phase3_core.runs import Advance


@dataclass
class Recorder:
    told: list[Advance] = field(default_factory=list)

    def __call__(self, advance: Advance) -> None:
        self.told.append(advance)
