"""Vendors count whom they let in: what came beside what their quotas allow, and what runs say of it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.providers.standing import QUOTA_SPENT
from sandbox.app import Sandbox
from sandbox.limits import Gate, Quota
from tests.stage.age import Age
from tests.stage.stage import Stage

MINUTE_S = 60.0
ON_THE_WAY = 1  # had its moment, and had yet to come in when the stage grew old
USED = """
SELECT split_part(split_part(name, '/', 1), ':', 1) AS vendor,
    CASE WHEN day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN used_today ELSE 0 END AS used
FROM rate_limits WHERE name NOT LIKE 'appointment/%'
"""
HELD = "SELECT name, held FROM rate_limit_places"


class Turnstile(Gate):
    """Turns nobody away, and remembers when each came."""

    def __init__(self, quota: Quota, age: Age) -> None:
        super().__init__(Quota())
        self.allowed = quota
        self._age = age
        self._came: list[float] = []
        self._by_day: Counter[object] = Counter()
        self._most_at_once = 0

    def enter(self) -> None:
        super().enter()
        self._came.append(self._age.now())
        self._by_day[self._age.today()] += 1
        self._most_at_once = max(self._most_at_once, self.in_flight)

    @property
    def today(self) -> int:
        return self._by_day[self._age.today()]

    def exceeded(self, runs_of_one: int = 1) -> Iterator[str]:
        """`runs_of_one`: of a campaign that may be at work at once."""
        allowed, came = self.allowed, most_within(MINUTE_S, self._came)
        if allowed.per_minute and came > allowed.per_minute + ON_THE_WAY:
            yield f"{came} within a minute instead of {allowed.per_minute}"
        if allowed.per_day and (most := max(self._by_day.values(), default=0)) > allowed.per_day:
            yield f"{most} on a day instead of {allowed.per_day}"
        if allowed.in_flight and self._most_at_once > allowed.in_flight * runs_of_one:
            yield f"{self._most_at_once} at once instead of {allowed.in_flight}"


def most_within(span_s: float, times: Sequence[float]) -> int:
    """The most of them in any window."""
    return max((sum(start <= at < start + span_s for at in times) for start in times), default=0)


@dataclass(frozen=True)
class Turnstiles:
    """By vendor."""

    of: Mapping[str, Turnstile]

    def exceeded(self, stage: Stage, runs_of_one: int) -> Iterator[str]:
        """More came than is allowed, or than the limits know of."""
        came = {vendor: one.today for vendor, one in self.of.items()}
        used = {told["vendor"]: told["used"] for told in stage.query(USED)}
        for vendor, one in self.of.items():
            yield from (f"{vendor} let in {what}" for what in one.exceeded(runs_of_one))
            if one.allowed.per_day and (counted := used.get(vendor, 0)) < came[vendor]:
                yield f"{vendor} let in {came[vendor]} today, and {counted} are counted"

    def untold_waits(self, report: Mapping[str, Any]) -> Iterator[str]:
        """Who is not done waits for somebody, and a day is spent only where days are counted."""
        if (leads := sum(report["waiting"].values())) and not report["waiting_for"]:
            yield f"{leads} leads are not done, and nobody says for whom they wait"
        counted = {vendor for vendor, one in self.of.items() if one.allowed.per_day}
        for vendor in days_spent(report) - counted:
            yield f"{vendor} is said to be spent, and may be asked all day"


def days_spent(report: Mapping[str, Any]) -> set[str]:
    """Vendors whose next day is waited for; of some each question is told apart."""
    waits = (wait for wait in report["waiting_for"] if wait["why"] == QUOTA_SPENT)
    return {wait["provider"].partition(":")[0] for wait in waits}


def turnstiles(sandbox: Sandbox, quotas: Mapping[str, Quota], age: Age) -> Turnstiles:
    """For questions, in the sandbox's vendors."""
    of = {vendor: Turnstile(quota, age) for vendor, quota in quotas.items()}
    for vendor, one in of.items():
        sandbox.parts.vendors[vendor].gates["default"] = one
    return Turnstiles(of)


def places_not_given_back(stage: Stage) -> Iterator[str]:
    """When each campaign has had a run that ended well, and took over the places of those that died."""
    for place in stage.query(HELD):
        yield f"{place['held']} places at {place['name']} were never given back"
