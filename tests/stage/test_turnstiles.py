"""The vendors' own count: it finds a call too many, and nothing else."""

from sandbox.limits import Quota
from tests.stage.age import DAY_S, Age
from tests.stage.turnstiles import ON_THE_WAY, Turnstile, Turnstiles

A_LITTLE_MORE_S = 61.0


def come(turnstile: Turnstile, times: int) -> None:
    for _ in range(times):
        turnstile.enter()
        turnstile.leave()


def test_so_many_in_any_minute() -> None:
    age = Age()
    turnstile = Turnstile(Quota(per_minute=2), age)
    come(turnstile, 2 + ON_THE_WAY)
    age.add(A_LITTLE_MORE_S)
    come(turnstile, 2)
    assert list(turnstile.exceeded()) == []
    come(turnstile, 1 + ON_THE_WAY)
    assert list(turnstile.exceeded()) == ["4 within a minute instead of 2"]


def test_so_many_on_any_day() -> None:
    age = Age()
    turnstile = Turnstile(Quota(per_day=2), age)
    come(turnstile, 2)
    age.add(DAY_S)
    come(turnstile, 2)
    assert list(turnstile.exceeded()) == []
    come(turnstile, 1)
    age.add(DAY_S)
    assert list(turnstile.exceeded()) == ["3 on a day instead of 2"]


def test_so_many_at_once() -> None:
    turnstile = Turnstile(Quota(in_flight=1), Age())
    come(turnstile, 3)
    assert list(turnstile.exceeded()) == []
    turnstile.enter()
    turnstile.enter()
    assert list(turnstile.exceeded()) == ["2 at once instead of 1"]
    assert list(turnstile.exceeded(runs_of_one=2)) == []


def test_who_is_not_done_waits_for_somebody_whose_days_are_counted() -> None:
    turnstiles = Turnstiles({"tomba": Turnstile(Quota(per_day=2), Age())})
    waits = {"waiting": {"verification": 1, "enrichment": 1}}
    for_tomba = {"provider": "tomba", "why": "its quota is spent"}
    for_apollo = {"provider": "apollo", "why": "its quota is spent"}
    assert list(turnstiles.untold_waits({**waits, "waiting_for": [for_tomba]})) == []
    assert len(list(turnstiles.untold_waits({**waits, "waiting_for": []}))) == 1
    assert len(list(turnstiles.untold_waits({**waits, "waiting_for": [for_apollo]}))) == 1
