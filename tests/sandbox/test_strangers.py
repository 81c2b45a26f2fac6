"""Leads of one's own: the same answers whatever is asked first, and a finder's address is judged as it is."""

import pytest

from sandbox.population import make_world
from sandbox.strangers import PATTERNS, OpenWorld, opened

NAMES = [f"{first} {last}" for first in ("Ann", "Bob", "Zoë") for last in ("Abel", "O'Brien", "van Dam")]
DOMAINS = [f"firm-{number}.example" for number in range(60)]


@pytest.fixture
def world() -> OpenWorld:
    return opened(make_world("reference", 7, 0.01), 7)


def told(world: OpenWorld, name: str, domain: str) -> tuple[str, str, tuple[str, ...]]:
    person = world.person(name, domain)
    assert person is not None
    return person.email, world.reoon(person.email), person.finders


def test_the_order_of_questions_changes_nothing(world: OpenWorld) -> None:
    questions = [(name, domain) for name in NAMES for domain in DOMAINS]
    forward = {question: told(world, *question) for question in questions}
    again = opened(make_world("reference", 7, 0.01), 7)
    assert {question: told(again, *question) for question in reversed(questions)} == forward


def test_most_addresses_are_good_some_are_dead_some_domains_take_everything(world: OpenWorld) -> None:
    verdicts = [told(world, name, domain)[1] for name in NAMES for domain in DOMAINS]
    assert set(verdicts) == {"safe", "invalid", "catch_all"}
    assert verdicts.count("safe") > len(verdicts) / 2


def test_a_guess_by_another_pattern_is_dead(world: OpenWorld) -> None:
    for domain in DOMAINS:
        company = world.company(domain)
        assert company is not None
        other = {"first.last": "a.abel", "f.last": "ann.abel"}[company.pattern]
        assert company.pattern in PATTERNS
        assert company.catch_all or world.reoon(f"{other}@{domain}") == "invalid"


def test_the_scenarios_own_people_stay_who_they_are(world: OpenWorld) -> None:
    closed = make_world("reference", 7, 0.01)
    for person in closed.people:
        assert world.person(person.name, person.company.domain) is closed.person(
            person.name, person.company.domain
        )
        if person.email:
            assert world.reoon(person.email) == closed.reoon(person.email)
    assert world.person("Nobody Atall", closed.companies[0].domain) is None
    assert world.company("Nobody's Company") is None
