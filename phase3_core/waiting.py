"""Leads that are left for later because a provider may not be asked now: who waits for whom, why, until when.

One mechanism for every such reason: a day's quota that is spent, a cap, an open breaker. Whoever finds that
a provider may not be asked answers `NoAnswer(Gap.LATER, why, until)`, and the rest follows from it:

- a finder: the waterfall goes on to the next one, unless that is too dear (`order.Patience`);
- a verifier: the candidate waits, nobody else is paid;
- a lead that found no address elsewhere stays unfinished (no status), and the next run goes on with it; so
  does one about whom every finder that was its turn is parked, for then nobody was asked;
- an enricher: the next source is asked; only a lead that lacks a required field, which that enricher could
  have told, stays unfinished;
- checkpoint, metadata, report and `phase3 status` tell how many leads wait for whom until when;
- where an `until` is known, the sensor `waiting_leads` starts the campaign again once it has passed. Without
  one (a cap) a person has to act.

`why` is the same few words for all leads that wait for the same thing, so that they can be counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Wait:
    """A provider that may not be asked now, in words for the user; `until` None: until a person acts.

    `briefly`: its breaker has opened lately.
    """

    provider: str
    why: str
    until: datetime | None = None
    briefly: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many leads wait for one provider."""

    wait: Wait
    leads: int

    def as_json(self) -> dict[str, Any]:
        until = self.wait.until
        told = {"provider": self.wait.provider, "why": self.wait.why, "leads": self.leads}
        return told | {"until": until.isoformat() if until else None}

    def __str__(self) -> str:
        leads = "1 lead waits" if self.leads == 1 else f"{self.leads:,} leads wait"
        until = f", until {self.wait.until:%Y-%m-%d %H:%M} UTC" if self.wait.until else ""
        return f"{leads} for {self.wait.provider} ({self.wait.why}{until})"


def from_json(told: Mapping[str, Any]) -> Waiting:
    """What `Waiting.as_json` wrote."""
    until = told["until"]
    wait = Wait(told["provider"], told["why"], datetime.fromisoformat(until) if until else None)
    return Waiting(wait, told["leads"])


@dataclass
class WaitingRoom:
    """The leads of one run that wait, counted once for each provider and reason; the latest time holds."""

    _waiting: dict[tuple[str, str], Waiting] = field(default_factory=dict)

    def add(self, waits: Iterable[Wait]) -> None:
        """One lead's."""
        for key, wait in {(wait.provider, wait.why): wait for wait in waits}.items():
            before = self._waiting.get(key, Waiting(wait, 0))
            until = max(filter(None, (before.wait.until, wait.until)), default=None)
            self._waiting[key] = Waiting(replace(wait, until=until), before.leads + 1)

    def told(self) -> list[Waiting]:
        return list(self._waiting.values())


def in_brief(waiting: Sequence[Waiting]) -> str:
    """One line; leads that wait for several providers for the same reason are told of once."""
    by_reason: dict[str, list[Waiting]] = {}
    for one in waiting:
        by_reason.setdefault(one.wait.why, []).append(one)
    return "; ".join(_in_brief(group) for group in by_reason.values())


def _in_brief(group: Sequence[Waiting]) -> str:
    most = max(group, key=lambda one: one.leads)
    names = ", ".join(one.wait.provider for one in group)
    return str(replace(most, wait=replace(most.wait, provider=names)))


def until(waiting: Sequence[Waiting]) -> datetime | None:
    """When the first of them can go on by itself."""
    return min((one.wait.until for one in waiting if one.wait.until), default=None)
