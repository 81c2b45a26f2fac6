from phase3_core.enrichment import FIELDS_OF
from phase3_core.leads import MailboxName
from phase3_core.money import usd
from phase3_core.tiers import PROFILES, Tier, Topic
from tests.fakes.people import a_lead


def test_a_higher_tier_buys_all_that_a_lower_one_does_and_may_cost_more() -> None:
    a, b, c = (PROFILES[tier] for tier in Tier)
    assert a.topics > b.topics > c.topics
    assert a.required > b.required > c.required
    assert a.cap > b.cap > c.cap


def test_the_profiles_are_the_seeds() -> None:
    assert [(profile.name, profile.cap) for profile in PROFILES.values()] == [
        ("full", usd("0.50")),
        ("standard", usd("0.20")),
        ("basic", usd("0.05")),
    ]
    assert PROFILES[Tier.A].topics == frozenset(Topic)
    assert PROFILES[Tier.C].topics == {Topic.NEWS, Topic.WEBSITE}


def test_what_a_profile_requires_one_of_its_topics_can_tell() -> None:
    for profile in PROFILES.values():
        assert profile.required <= frozenset().union(*(FIELDS_OF[topic] for topic in profile.topics))


def test_a_full_name_has_no_loose_ends() -> None:
    assert a_lead(name="Ada Lovelace").full_name == "Ada Lovelace"
    assert a_lead(name="Ada", mailbox_names=(MailboxName("ada", ""),)).full_name == "Ada"
