"""Whom an entry of the suppression list means, and by what a lead is known."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.leads import Lead, MailboxName
from phase3_core.patterns import Pattern, local_part
from phase3_core.statuses import EmailStatus
from phase3_core.suppression import domains_of, entry_of, is_suppressed, normalised, subjects_of
from tests.fakes.people import a_lead

NAME = MailboxName("ada", "lovelace")
ADA = replace(a_lead(), company_domain="acme.com", mailbox_names=(NAME,), email="", email_status=None)

LETTERS = st.text("abcdefgh", min_size=1, max_size=6)
MAILBOXES = st.builds("{}.{}".format, LETTERS, LETTERS)
DOMAINS = st.builds("{}.{}.com".format, LETTERS, LETTERS)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (" Ada@ACME.com ", "ada@acme.com"),
        ("ada+news@acme.com", "ada@acme.com"),
        ("ada+news+old@acme.com", "ada@acme.com"),
        ("+ada@acme.com", "+ada@acme.com"),
        ("a\u200bda@acme.com\x00", "ada@acme.com"),
        ("ada@acme", ""),
        ("@acme.com", ""),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_an_address_is_known_without_case_and_tag(written: str, known: str) -> None:
    assert normalised(written) == known


@given(st.text())
def test_normalising_is_done_once(written: str) -> None:
    once = normalised(written)
    assert normalised(once) in {once, ""}
    assert "\n" not in once


@pytest.mark.parametrize(
    ("note", "entry"),
    [
        ("Ada+x@Acme.com", "ada@acme.com"),
        ("ACME.com", "acme.com"),
        ("@acme.com", "acme.com"),
        ("https://www.acme.com/en", "acme.com"),
        ("mail.acme.com", "mail.acme.com"),
        ("acme", ""),
        ("ada lovelace@acme.com", ""),
        ("a@b@c.com", ""),
        ("", ""),
    ],
)
def test_a_note_means_an_address_or_a_domain(note: str, entry: str) -> None:
    assert entry_of(note) == entry


def test_a_domain_stands_below_those_above_it() -> None:
    assert domains_of("eu.mail.acme.com") == ("eu.mail.acme.com", "mail.acme.com", "acme.com")
    assert domains_of("com") == domains_of("") == ()


@given(mailbox=MAILBOXES, domain=DOMAINS, tag=LETTERS, shouts=st.booleans())
def test_no_way_of_writing_an_address_hides_its_owner(
    *, mailbox: str, domain: str, tag: str, shouts: bool
) -> None:
    written = f"{mailbox}+{tag}@{domain}"
    lead = replace(ADA, email=written.upper() if shouts else written)
    assert is_suppressed(lead, {f"{mailbox}@{domain}"})
    assert is_suppressed(lead, {domain.partition(".")[2]})
    assert is_suppressed(replace(lead, email=""), {f"{mailbox}@{domain}"}, written)


@pytest.mark.parametrize("pattern", Pattern)
def test_who_is_listed_by_address_is_not_asked_about_by_name(pattern: Pattern) -> None:
    listed = {f"{local_part(pattern, NAME)}@acme.com"}
    assert is_suppressed(ADA, listed)
    assert is_suppressed(replace(ADA, email="ada@home.org"), listed)
    assert not is_suppressed(replace(ADA, company_domain="other.com"), listed)


def test_whose_accepted_address_is_known_is_no_namesake() -> None:
    known = replace(ADA, email="ada.lovelace@acme.com", email_status=EmailStatus.VALID)
    assert not is_suppressed(known, {"alovelace@acme.com"})
    assert is_suppressed(known, {"ada.lovelace@acme.com"})


def test_a_domain_does_not_cover_its_namesakes() -> None:
    lead = replace(ADA, company_domain="mail.acme.com")
    assert is_suppressed(lead, {"acme.com"})
    assert not is_suppressed(lead, {"cme.com"})
    assert not is_suppressed(lead, {"eu.mail.acme.com"})


def test_a_lead_without_anything_is_nobody() -> None:
    nobody: Lead = replace(ADA, company_domain="", mailbox_names=())
    assert subjects_of(nobody) == ()
