"""How places in flight are divided among processes, whatever their work and whenever they ask."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from phase3_core.rate_limits import TURN_S, Allowance, Holder, fair_part, places

LIMITS = st.integers(1, 30)
NEEDS = st.lists(st.integers(0, 40), min_size=1, max_size=10)


@dataclass
class Office:
    """Processes that renew one after another, and are busy with what they hold as far as they have work."""

    limit: int
    holders: list[Holder] = field(default_factory=list)

    @classmethod
    def of(cls, limit: int, needs: list[int]) -> "Office":
        return cls(limit, [Holder(0, min(need, limit)) for need in needs])

    @property
    def held(self) -> list[int]:
        return [holder.held for holder in self.holders]

    def renew(self, who: int) -> None:
        me = self.holders[who]
        now = places(self.limit, me, self.holders[:who] + self.holders[who + 1 :])
        since_s = me.since_s if bool(now) == bool(me.held) else 0.0
        self.holders[who] = replace(me, held=now, since_s=since_s)

    def round(self, seconds: float = 1.0) -> None:
        for who in range(len(self.holders)):
            self.renew(who)
            assert sum(self.held) <= self.limit
        self.holders = [replace(one, since_s=one.since_s + seconds) for one in self.holders]


@given(LIMITS, NEEDS)
def test_never_are_more_places_held_than_there_are_and_none_lies_idle(limit: int, needs: list[int]) -> None:
    office = Office.of(limit, needs)
    for _ in range(len(needs) + 3):
        office.round()
    assert sum(office.held) >= min(limit, sum(holder.need for holder in office.holders))


@given(LIMITS, NEEDS)
def test_after_a_few_rounds_everybody_has_a_fair_part_of_what_they_need(limit: int, needs: list[int]) -> None:
    office = Office.of(limit, needs)
    wanted = [holder.need for holder in office.holders]
    part = fair_part(limit, [need for need in wanted if need] or [0])
    for _ in range(len(needs) + 3):
        office.round()
    assert all(held >= min(need, part) for held, need in zip(office.held, wanted, strict=True))


@given(LIMITS, NEEDS, st.data())
def test_a_newcomer_gets_its_part_as_others_step_down(
    limit: int, needs: list[int], data: st.DataObject
) -> None:
    office = Office.of(limit, needs)
    for _ in range(3):
        office.round()
    office.holders.append(Holder(0, data.draw(st.integers(1, limit))))
    for _ in range(len(needs) + 4):
        office.round()
    part = fair_part(limit, [holder.need for holder in office.holders if holder.need])
    assert office.held[-1] >= min(part, office.holders[-1].need)


def test_one_alone_has_all_places_at_once() -> None:
    assert places(20, Holder(0, 1), []) == 20
    assert places(20, Holder(20, 1), [Holder(0, 0)]) == 20


def test_who_needs_little_leaves_the_rest_to_others() -> None:
    office = Office.of(20, [1, 100, 100])
    for _ in range(5):
        office.round()
    assert sorted(office.held) == [1, 9, 10]


def test_one_without_work_gives_its_places_back() -> None:
    assert places(20, Holder(20, 0), [Holder(0, 5)]) == 0


def test_with_fewer_places_than_processes_everybody_has_a_turn() -> None:
    office = Office.of(3, [5] * 8)
    seen: set[int] = set()
    for _ in range(int(TURN_S) * 4):
        office.round()
        seen |= {who for who, held in enumerate(office.held) if held}
        assert sum(office.held) <= 3
    assert seen == set(range(8))


def test_an_allowance_without_pace_and_day_is_not_counted() -> None:
    assert not Allowance("x", in_flight=5).counted
    assert Allowance("x", per_day=5).counted
    assert Allowance("x", gap_s=0.1).counted
