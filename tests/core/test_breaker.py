"""The breaker as a state machine, on a clock that stands still until it is moved."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from phase3_core.breaker import (
    FAILURE_SHARE,
    FAILURES_IN_A_ROW,
    LEAST_CALLS,
    MOST_AHEAD_S,
    OPEN_S,
    PROBES,
    WINDOW_S,
    Answered,
    Breaker,
    Closed,
    Event,
    Failed,
    GivenBack,
    HalfOpen,
    Leased,
    Open,
    after,
    after_all,
    at,
    holds_probe,
)

DOWN: Event = Failed("HTTP 502")
LONGEST_CALL_S = 180.0


def told(events: Iterable[Event], now: float = 1_000.0) -> Breaker:
    return after_all(Closed(), events, now)


def open_at(now: float) -> Breaker:
    return told([DOWN] * FAILURES_IN_A_ROW, now)


def test_five_failures_in_a_row_open_it_for_five_minutes() -> None:
    assert isinstance(told([DOWN] * 4), Closed)
    assert told([DOWN] * 5) == Open(1_300.0, "HTTP 502")


def test_an_answer_starts_the_row_again() -> None:
    assert isinstance(told([*[DOWN] * 4, Answered(), *[DOWN] * 4]), Closed)


def test_thirty_percent_of_twenty_calls_open_it_though_never_five_in_a_row() -> None:
    spread: list[Event] = [DOWN, DOWN, Answered(5)] * 2
    assert isinstance(told([*spread, DOWN, Answered(3)]), Closed)  # 5 of 18
    assert isinstance(told([*spread, DOWN, Answered(4), DOWN]), Open)  # 6 of 20


def test_few_calls_prove_nothing() -> None:
    twelve: list[Event] = [DOWN, DOWN, Answered()] * 4
    assert isinstance(told([*twelve, DOWN]), Closed)


def test_what_the_window_has_left_behind_does_not_count() -> None:
    breaker = told([DOWN, DOWN, Answered(3)], 0.0)
    later = after_all(breaker, [Answered(15), DOWN, DOWN, DOWN, DOWN], WINDOW_S + 60.0)
    assert isinstance(later, Closed)
    assert sum(bucket.calls for bucket in later.window) == 19


def test_the_window_holds_an_outage_in_which_every_call_times_out() -> None:
    assert WINDOW_S > 2 * LONGEST_CALL_S


def test_late_news_does_not_keep_it_open_longer() -> None:
    assert after(open_at(0.0), DOWN, 200.0) == open_at(0.0)
    assert after(open_at(0.0), Answered(), 200.0) == open_at(0.0)


def test_one_that_opened_by_a_clock_that_was_a_day_ahead_is_probed_all_the_same() -> None:
    a_day = 86_400.0
    assert at(open_at(a_day), 0.0) == HalfOpen("HTTP 502")
    assert at(open_at(OPEN_S / 2), 0.0) == open_at(OPEN_S / 2)


def test_three_probes_are_leased_and_no_more() -> None:
    half_open = at(open_at(0.0), OPEN_S)
    breaker = after_all(half_open, [Leased(str(n), 30.0) for n in range(5)], OPEN_S)
    assert [holds_probe(breaker, str(n)) for n in range(5)] == [True] * PROBES + [False] * 2


def test_three_answers_close_it_with_a_clean_slate() -> None:
    leases: list[Event] = [Leased(str(n), 30.0) for n in range(PROBES)]
    assert after_all(open_at(0.0), [*leases, *[Answered()] * PROBES], OPEN_S) == Closed()


def test_one_failure_while_probing_opens_it_again() -> None:
    breaker = after_all(open_at(0.0), [Leased("a", 30.0), Answered(), Leased("b", 30.0), DOWN], OPEN_S)
    assert breaker == Open(2 * OPEN_S, "HTTP 502", reopened=1)


def test_a_probe_whose_worker_died_is_free_when_its_call_must_have_ended() -> None:
    breaker = after_all(open_at(0.0), [Leased(str(n), 30.0) for n in range(PROBES)], OPEN_S)
    assert not holds_probe(after(breaker, Leased("late", 30.0), OPEN_S + 29.0), "late")
    assert holds_probe(after(breaker, Leased("late", 30.0), OPEN_S + 30.0), "late")


def test_a_probe_that_was_not_needed_is_free_at_once() -> None:
    leases: list[Event] = [Leased(str(n), 30.0) for n in range(PROBES)]
    breaker = after_all(open_at(0.0), [*leases, GivenBack("1"), Leased("next", 30.0)], OPEN_S)
    assert holds_probe(breaker, "next")


def test_leads_that_wait_are_tried_ever_more_rarely() -> None:
    waits = [Open(OPEN_S, "", reopened).worth_a_run_at for reopened in range(9)]
    assert waits[:3] == [300.0, 600.0, 1_200.0]
    assert waits[-1] == waits[-2] == 64 * 300.0


@pytest.mark.parametrize("breaker", [Closed(2), Open(MOST_AHEAD_S, "x"), HalfOpen("x", 1, 1)])
@given(times=st.lists(st.floats(0, 5_000), min_size=2).map(sorted))
def test_looking_at_it_often_changes_nothing(breaker: Breaker, times: list[float]) -> None:
    looked: Breaker = breaker
    for now in times:
        looked = at(looked, now)
    assert looked == at(breaker, times[-1])


class Workers(RuleBasedStateMachine):
    """Many workers and one breaker. The model remembers what happened, not how the breaker counts it."""

    probing = Bundle("probing")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker: Breaker = Closed()
        self.since_closed: list[tuple[float, bool]] = []
        self.opened_at = -1.0
        self.leases: dict[str, float] = {}
        self.proven = 0
        self.names = 0

    @rule(seconds=st.sampled_from([0.5, 7.0, 59.0, 61.0, 299.0, 301.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(calls=st.integers(1, 12))
    def calls_are_answered(self, calls: int) -> None:
        if isinstance(at(self.breaker, self.now), Closed):
            self.breaker = after(self.breaker, Answered(calls), self.now)
            self.since_closed += [(self.now, True)] * calls

    @rule()
    def a_call_fails(self) -> None:
        if isinstance(at(self.breaker, self.now), Closed):
            self.breaker = after(self.breaker, DOWN, self.now)
            self.since_closed.append((self.now, False))
            self._opened_rightly()

    def _opened_rightly(self) -> None:
        recent = [fine for when, fine in self.since_closed if when // 60 > self.now // 60 - 10]
        failed = recent.count(False)
        many = len(recent) >= LEAST_CALLS and failed >= FAILURE_SHARE * len(recent)
        row = not any(fine for _, fine in self.since_closed[-FAILURES_IN_A_ROW:])
        too_many = many or (row and len(self.since_closed) >= FAILURES_IN_A_ROW)
        assert isinstance(self.breaker, Open) == too_many
        if too_many:
            self._opens()

    def _opens(self) -> None:
        self.opened_at, self.since_closed, self.leases, self.proven = self.now, [], {}, 0

    @rule(target=probing, lease_s=st.sampled_from([30.0, 210.0]))
    def a_worker_wants_to_probe(self, lease_s: float) -> str:
        self.names += 1
        name = f"worker-{self.names}"
        self.breaker = after(self.breaker, Leased(name, lease_s), self.now)
        if holds_probe(self.breaker, name):
            assert self.now >= self.opened_at + OPEN_S
            self.leases[name] = self.now + lease_s
        return name

    @rule(name=consumes(probing), fine=st.booleans())
    def a_probe_ends(self, name: str, *, fine: bool) -> None:
        if not holds_probe(at(self.breaker, self.now), name):
            return
        self.breaker = after(self.breaker, Answered() if fine else DOWN, self.now)
        if not fine:
            assert isinstance(self.breaker, Open)
            self._opens()
            return
        self.proven += 1
        assert isinstance(self.breaker, Closed) == (self.proven == PROBES)

    @rule(name=consumes(probing))
    def a_probe_is_given_back(self, name: str) -> None:
        self.breaker = after(self.breaker, GivenBack(name), self.now)
        assert not holds_probe(self.breaker, name)
        self.leases.pop(name, None)

    @invariant()
    def never_more_than_three_probe(self) -> None:
        breaker = at(self.breaker, self.now)
        if isinstance(breaker, HalfOpen):
            assert len(breaker.probes) + breaker.answered <= PROBES
            assert all(probe.until == self.leases[probe.holder] for probe in breaker.probes)

    @invariant()
    def nobody_asks_for_five_minutes(self) -> None:
        if 0 <= self.now - self.opened_at < OPEN_S and self.opened_at >= 0:
            assert isinstance(at(self.breaker, self.now), Open)


TestWorkers = Workers.TestCase
