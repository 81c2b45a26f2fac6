"""What the ledger's calls show of finders, guesses and verifiers."""

from phase3_core.rates import Seen
from phase3_core.record import Count, Group, Makeup, Roles, Walk, walked
from phase3_core.tiers import Tier

ROLES = Roles(frozenset({"tomba", "muraena"}), "reoon", "mailverify")
FIRST: frozenset[str] = frozenset()


def a_walk(*calls: tuple[str, str], source: str = "", leads: int = 1, delivered: bool = False) -> Walk:
    return Walk(1, delivered, source, bool(source), calls, leads)


def test_a_finder_is_counted_after_those_that_missed_before() -> None:
    record = walked(
        [
            a_walk(("tomba", "hit"), ("reoon", "valid"), source="tomba", leads=6),
            a_walk(("tomba", "miss"), ("muraena", "hit"), ("reoon", "valid"), source="muraena", leads=3),
            a_walk(("tomba", "miss"), ("muraena", "miss")),
        ],
        ROLES,
    )
    assert record.finders == (
        Seen("tomba", FIRST, calls=10, hits=6, accepted=6),
        Seen("muraena", frozenset({"tomba"}), calls=4, hits=3, accepted=3),
    )
    assert record.leads == 10


def test_an_address_that_was_refused_is_a_hit_that_was_not_accepted() -> None:
    record = walked([a_walk(("tomba", "hit"), ("reoon", "invalid"), ("muraena", "miss"))], ROLES)
    assert record.finders == (
        Seen("tomba", FIRST, calls=1, hits=1, accepted=0),
        Seen("muraena", frozenset({"tomba"}), calls=1, hits=0, accepted=0),
    )


def test_what_failed_says_nothing_of_a_finder() -> None:
    record = walked([a_walk(("tomba", "unknown"), ("muraena", "error"))], ROLES)
    assert record.finders == ()


def test_what_is_verified_before_the_first_finder_was_guessed() -> None:
    record = walked(
        [
            a_walk(("reoon", "invalid"), ("reoon", "valid"), source="pattern_guess", leads=2),
            a_walk(("reoon", "invalid"), ("tomba", "hit"), ("reoon", "valid"), source="tomba"),
        ],
        ROLES,
    )
    assert record.guesses == {1: Count(5, 3)}
    assert record.guessed == {1: Count(2, 3)}


def test_a_delivered_address_is_no_guess() -> None:
    record = walked(
        [
            a_walk(("reoon", "valid"), source="delivered", delivered=True, leads=4),
            a_walk(("reoon", "invalid"), ("tomba", "miss"), delivered=True),
        ],
        ROLES,
    )
    assert record.delivered == Count(4, 5)
    assert record.guesses == {1: Count(0, 1)}


def test_a_second_opinion_is_counted_by_candidate() -> None:
    record = walked(
        [
            a_walk(("tomba", "hit"), ("reoon", "catch_all"), ("mailverify", "valid"), source="tomba"),
            a_walk(("tomba", "hit"), ("reoon", "valid"), source="tomba", leads=3),
        ],
        ROLES,
    )
    assert record.doubted == Count(1, 4)


def test_colleagues_who_go_alike_tell_as_much_as_one() -> None:
    big = Group(Tier.A, 1, delivered=False, to_verify=30, colleagues=10)
    alone = Group(Tier.C, 1, delivered=False, to_verify=10)
    assert Makeup([big]).alike(1.0) == 10
    assert Makeup([big]).alike(0.5) == 5.5
    assert Makeup([alone]).alike(1.0) == Makeup([]).alike(1.0) == 1
    assert Makeup([big, alone]).share([Tier.A]) == 0.75
    assert Makeup([big, alone]).alike(1.0, [Tier.A]) < Makeup([big, alone]).alike(1.0)
