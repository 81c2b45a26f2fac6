"""How much of a run's progress is kept as events."""

from itertools import pairwise

import pytest

from phase3_core.money import ZERO
from phase3_core.runs import Advance, Milestones
from phase3_core.statuses import Agent

BATCH = 250
TWELVE_HOURS_S = 12 * 3_600.0


def advance(done: int, total: int, *alerts: str) -> Advance:
    return Advance(Agent.EMAIL_VERIFICATION, done, total, ZERO, alerts)


def moments(leads: int, lasting_s: float) -> list[float]:
    """When a run tells of progress that writes its results in batches, at an even pace."""
    milestones, every_s = Milestones(began=0.0), lasting_s * BATCH / leads
    batches = range(1, leads // BATCH + 1)
    return [n * every_s for n in batches if milestones.passed(advance(n * BATCH, leads), n * every_s)]


@pytest.mark.parametrize("leads", [42_000, 421_000, 4_210_000])
@pytest.mark.parametrize("lasting_s", [60.0, 3_600.0, TWELVE_HOURS_S])
def test_neither_many_leads_nor_a_long_time_makes_many_events(leads: int, lasting_s: float) -> None:
    assert 80 <= len(moments(leads, lasting_s)) <= 200


def test_in_its_first_hour_a_run_tells_of_progress_every_minute() -> None:
    told = [0.0, *moments(421_000, TWELVE_HOURS_S)]
    early = [after - before for before, after in pairwise(told) if after < 3_000]
    assert max(early) < 90


def test_every_batch_of_a_small_campaign_is_told() -> None:
    assert len(moments(5_000, 10.0)) == 20


def test_an_alert_is_told_at_once() -> None:
    milestones = Milestones(began=0.0)
    assert milestones.passed(advance(1_000, 42_100), 1.0)
    assert not milestones.passed(advance(1_001, 42_100), 2.0)
    assert milestones.passed(advance(1_001, 42_100, "80 % of a cap"), 3.0)
