import random
from collections import Counter
from itertools import islice

import pytest

from sandbox.names import folded
from sandbox.people import Person
from sandbox.population import identities, make_world
from sandbox.scenarios import SCENARIOS, Fate, apportion
from sandbox.world import World


@pytest.fixture(scope="module")
def full() -> World:
    return make_world("reference", 7, 1.0)


def first_finders(people: list[Person]) -> Counter[str]:
    return Counter(person.finders[0] if person.finders else "" for person in people)


def tiers_of_accepted(people: list[Person]) -> Counter[str]:
    return Counter(person.tier for person in people if person.fate.accepted)


@pytest.mark.slow
def test_the_full_campaign_has_the_reported_counts(full: World) -> None:
    assert first_finders(full.people) == {
        "tomba": 18_000,
        "muraena": 8_500,
        "voila_norbert": 5_200,
        "nimbler": 3_100,
        "icypeas": 2_100,
        "anymailfinder": 1_200,
        "findymail": 400,
        "": 3_600,
    }
    fates = Counter(person.fate.value for person in full.people)
    assert fates == {"valid": 31_360, "risky": 3_640, "doubtful": 1_500, "dead": 2_000, "unknown": 3_600}
    assert tiers_of_accepted(full.people) == {"A": 8_230, "B": 14_600, "C": 12_170}


def test_a_hundredth_of_the_campaign_still_sums(world: World) -> None:
    assert len(world.people) == 421
    assert first_finders(world.people) == {
        "tomba": 180,
        "muraena": 85,
        "voila_norbert": 52,
        "nimbler": 31,
        "icypeas": 21,
        "anymailfinder": 12,
        "findymail": 4,
        "": 36,
    }
    assert sum(person.fate.accepted for person in world.people) == 350


@pytest.mark.parametrize("scale", [0.00002, 0.0003, 0.001, 0.0033, 0.02, 0.1])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_scale_sums(scale: float, seed: int) -> None:
    world = make_world("reference", seed, scale)
    leads = max(1, round(42_100 * scale))
    assert len(world.people) == leads
    assert sum(map(len, (person.finders[:1] for person in world.people))) in {
        round(leads * 38_500 / 42_100) + slack for slack in (-1, 0, 1)
    }


def test_the_same_seed_makes_the_same_world() -> None:
    one, two = (_anew(7) for _ in range(2))
    assert one.people == two.people
    assert one.people != _anew(8).people


def test_shares_sum_and_round_the_largest_remainders_up() -> None:
    assert apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert apportion(385, SCENARIOS["reference"].fates)[Fate.VALID] == 314


def test_companies_are_shared_and_skewed(full: World) -> None:
    sizes = Counter(person.company.domain for person in full.people)
    assert 11_500 < len(full.companies) < 12_500
    assert 5 < sum(size >= 100 for size in sizes.values()) < 60
    assert all(domain.endswith(".example") for domain in sizes)
    assert len({company.name.casefold() for company in full.companies}) == len(full.companies)


def test_names_come_in_all_shapes(full: World) -> None:
    names = [person.name for person in full.people]
    assert any("O'Brien" in name for name in names)
    assert any("van der Berg" in name for name in names)
    assert any("Smith-Jones" in name for name in names)
    assert any("王" in name for name in names)
    assert any(person.last == "" for person in full.people)
    assert all(count == 1 for count in namesakes(full).values())


def namesakes(world: World) -> Counter[tuple[str, str]]:
    return Counter((person.company.domain, folded(person.name)) for person in world.people)


def test_namesakes_are_known_to_the_same_finders() -> None:
    world = make_world("namesakes", 7, 1.0)
    assert sum(count > 1 for count in namesakes(world).values()) > 20
    seen: dict[tuple[str, str], Person] = {}
    for person in world.people:
        first = seen.setdefault((person.company.domain, folded(person.name)), person)
        assert (first.finders, first.fate) == (person.finders, person.fate)


def test_no_two_people_share_an_address_unless_it_is_nobodys(full: World) -> None:
    addresses = [person.email for person in full.people if person.email]
    assert len(addresses) == len(set(addresses))


def test_scores_lie_in_their_tiers_band(world: World) -> None:
    bands = {"A": range(80, 101), "B": range(60, 80), "C": range(60)}
    assert all(person.score in bands[person.tier] for person in world.people)


def test_verdicts_follow_from_the_address_alone(full: World) -> None:
    for person in full.people:
        verdict, opinion = full.reoon(person.email), full.second_opinion(person.email)
        match person.fate:
            case Fate.VALID:
                assert (verdict, opinion) == ("safe", "DELIVERABLE")
            case Fate.RISKY:
                assert (verdict, opinion) == ("catch_all", "DELIVERABLE")
            case Fate.DOUBTFUL:
                assert verdict == "catch_all"
                assert opinion in {"UNKNOWN", "UNDELIVERABLE"}
            case Fate.DEAD:
                assert verdict not in {"safe", "catch_all"}
                assert opinion != "DELIVERABLE"
            case Fate.UNKNOWN:
                assert person.finders == ()


def test_dead_addresses_are_mostly_invalid_and_of_every_kind(full: World) -> None:
    verdicts = Counter(full.reoon(person.email) for person in full.people if person.fate is Fate.DEAD)
    assert verdicts["invalid"] > 1_300
    assert set(verdicts) == {
        "invalid",
        "disabled",
        "role_account",
        "inbox_full",
        "unknown",
        "disposable",
        "spamtrap",
    }


def test_guesses_get_the_right_verdict(world: World) -> None:
    catch_all = next(company for company in world.companies if company.catch_all)
    strict = next(company for company in world.companies if company.has_mail and not company.catch_all)
    assert world.reoon(f"no.such.person@{catch_all.domain}") == "catch_all"
    assert world.reoon(f"no.such.person@{strict.domain}") == "invalid"
    assert world.reoon(f"info@{strict.domain}") == "role_account"
    assert world.reoon("anybody@unheard-of.example") == "invalid"
    assert world.reoon("no address") == "invalid"


def test_half_of_the_people_no_finder_knows_have_a_mailbox(full: World) -> None:
    lost = [person for person in full.people if person.fate is Fate.UNKNOWN]
    assert sum(person.mailbox for person in lost) == 1_800
    assert all(bool(person.email) == person.mailbox for person in lost)


def test_later_finders_know_about_half_of_the_accepted(full: World) -> None:
    toms = [one for one in full.people if one.finders[:1] == ("tomba",)]
    accepted = [one for one in toms if one.fate.accepted]
    share = sum("findymail" in one.finders for one in accepted) / len(accepted)
    assert 0.48 < share < 0.52
    assert all(one.finders == ("tomba",) for one in toms if not one.fate.accepted)


def test_about_97_percent_of_the_accepted_can_be_enriched(full: World) -> None:
    accepted = [person.company for person in full.people if person.fate.accepted]
    described = sum(one.site.describes or "apollo" in one.known_to for one in accepted)
    assert 0.965 < described / len(accepted) < 0.975


def test_people_are_found_by_every_spelling_of_their_name(world: World) -> None:
    person = next(one for one in world.people if one.name != folded(one.name) and not one.name.isascii())
    for name in (person.name, person.name.upper(), " ".join(person.latin)):
        found = world.person(name, person.company.domain)
        assert found is not None
        assert found.email == person.email
    assert world.person(person.name, person.company.name) == world.person(person.name, person.company.domain)


def _anew(seed: int) -> World:
    make_world.cache_clear()
    return make_world("reference", seed, 0.01)


def test_there_are_names_for_the_companies_of_421_000_leads() -> None:
    named = list(islice(identities(random.Random(7)), 120_003))
    assert len({name for name, _, _ in named}) == len({domain for _, domain, _ in named}) == 120_003
