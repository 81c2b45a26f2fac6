from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.leads import MailboxName
from phase3_core.money import ZERO, usd
from phase3_core.patterns import (
    GUESSED_BLINDLY,
    SEEN_BEFORE,
    Pattern,
    guesses,
    local_part,
    pattern_of,
    worth_guessing,
)
from tests.fakes.people import a_lead

ADA = MailboxName("ada", "lovelace")
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", max_size=6)
NAMES = st.builds(MailboxName, WORDS, WORDS)


@pytest.mark.parametrize(
    ("pattern", "mailbox"),
    [
        (Pattern.FIRST_DOT_LAST, "ada.lovelace"),
        (Pattern.FIRST_LAST, "adalovelace"),
        (Pattern.F_LAST, "alovelace"),
        (Pattern.FIRST, "ada"),
        (Pattern.F_DOT_LAST, "a.lovelace"),
        (Pattern.LAST, "lovelace"),
        (Pattern.FIRST_UNDERSCORE_LAST, "ada_lovelace"),
    ],
)
def test_each_pattern_spells_a_mailbox_and_is_known_again(pattern: Pattern, mailbox: str) -> None:
    assert local_part(pattern, ADA) == mailbox
    assert pattern_of(f"{mailbox}@acme.com", [ADA]) is pattern


@pytest.mark.parametrize("pattern", Pattern)
def test_a_pattern_needs_the_parts_that_it_spells(pattern: Pattern) -> None:
    without_first = local_part(pattern, MailboxName("", "lovelace"))
    without_last = local_part(pattern, MailboxName("ada", ""))
    assert without_first == ("lovelace" if pattern is Pattern.LAST else "")
    assert without_last == ("ada" if pattern is Pattern.FIRST else "")
    assert local_part(pattern, MailboxName("", "")) == ""


@given(st.sampled_from(Pattern), NAMES)
def test_the_pattern_of_a_spelled_mailbox_spells_it_again(pattern: Pattern, name: MailboxName) -> None:
    mailbox = local_part(pattern, name)
    known = pattern_of(f"{mailbox.upper()}@acme.com", [name])
    if mailbox:
        assert known is not None
        assert local_part(known, name) == mailbox
    else:
        assert known is None


def test_a_variant_of_the_name_shows_the_pattern_too() -> None:
    names = (MailboxName("anna", "vonberg"), MailboxName("anna", "berg"))
    assert pattern_of("anna.berg@acme.com", names) is Pattern.FIRST_DOT_LAST


@pytest.mark.parametrize("email", ["info@acme.com", "@acme.com", ""])
def test_a_mailbox_that_no_name_spells_has_no_pattern(email: str) -> None:
    assert pattern_of(email, [ADA, MailboxName("", "")]) is None


def test_a_stranger_is_guessed_by_the_commonest_patterns_first() -> None:
    addresses = [email for email, _ in guesses(a_lead(), None)]
    assert addresses == [
        "ada.lovelace@acme.com",
        "alovelace@acme.com",
        "ada@acme.com",
        "adalovelace@acme.com",
    ]


def test_a_guess_counts_on_the_ones_before_it_having_failed() -> None:
    chances = [chance for _, chance in guesses(a_lead(), None)]
    shares = sorted(GUESSED_BLINDLY.values(), reverse=True)
    left = 1.0
    for chance, share in zip(chances, shares, strict=True):
        assert chance == pytest.approx(share / left)
        left -= share


@given(NAMES)
def test_chances_are_chances(name: MailboxName) -> None:
    assert all(0 < chance <= 1 for _, chance in guesses(a_lead(mailbox_names=(name,)), None))


def test_a_pattern_seen_at_the_company_is_the_only_guess() -> None:
    assert guesses(a_lead(), Pattern.F_DOT_LAST) == (("a.lovelace@acme.com", SEEN_BEFORE),)


def test_a_name_that_lacks_what_the_seen_pattern_needs_is_not_guessed() -> None:
    assert guesses(a_lead(mailbox_names=(MailboxName("ada", ""),)), Pattern.LAST) == ()


def test_a_first_name_alone_is_guessed_as_far_as_it_goes() -> None:
    only = guesses(a_lead(mailbox_names=(MailboxName("ada", ""),)), None)
    assert only == (("ada@acme.com", GUESSED_BLINDLY[Pattern.FIRST]),)


@pytest.mark.parametrize("lack", [{"company_domain": ""}, {"mailbox_names": ()}])
def test_nothing_is_guessed_without_a_domain_or_a_name(lack: dict[str, Any]) -> None:
    assert guesses(a_lead(**lack), None) == ()
    assert guesses(a_lead(**lack), Pattern.FIRST) == ()


def test_a_guess_is_worth_it_only_while_it_is_cheaper_than_the_first_finder() -> None:
    assert worth_guessing(0.5, usd("0.001"), 0.0021)
    assert not worth_guessing(0.5, usd("0.001"), 0.002)
    assert not worth_guessing(0.0, usd("0.001"), 1.0)
    assert worth_guessing(0.1, ZERO, 0.001)
