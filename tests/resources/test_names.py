import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase3_core.leads import MailboxName
from resources.names import MOST_VARIANTS, mailbox_names

LETTERS = set(string.ascii_lowercase)


def spelled(first: str, last: str) -> list[str]:
    return [f"{name.first}.{name.last}" for name in mailbox_names(first, last)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("Ada", "Lovelace", ["ada.lovelace"]),
        (" ADA ", "lovelace\t", ["ada.lovelace"]),
        ("Jürgen", "Müller", ["jurgen.muller", "juergen.mueller"]),
        ("Søren", "Groß", ["soren.gross", "soeren.gross"]),
        ("Małgorzata", "Wałęsa", ["malgorzata.walesa"]),
        ("Conan", "O'Brien", ["conan.obrien"]),
        ("Conan", "O\u2019Brien", ["conan.obrien"]),
        ("D'Angelo", "M'Bala", ["dangelo.mbala"]),
        ("Dr. Hans", "Weber", ["hans.weber"]),
        ("Prof. Dr. Anna", "Weber, PhD", ["anna.weber"]),
        ("Dipl.-Ing. Karl", "Weber", ["karl.weber"]),
        ("John", "Smith Jr.", ["john.smith"]),
        ("John", "Smith III", ["john.smith"]),
        ("John Q.", "Public", ["john.public"]),
        ("J. R.", "Ewing", ["jr.ewing", "j.ewing"]),
        ("\uff2a\uff4f\uff48\uff4e", "Smith 🚀", ["john.smith"]),
        ("William (Bill)", "Gates", ["william.gates", "bill.gates"]),
        ("Sam (he/him)", "Lee", ["sam.lee"]),
    ],
)
def test_a_name_is_spelled_without_what_no_mailbox_has(first: str, last: str, expected: list[str]) -> None:
    assert spelled(first, last) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("Anna", "van der Berg", ["anna.vanderberg", "anna.berg"]),
        ("Luis", "de la Cruz", ["luis.delacruz", "luis.cruz"]),
        ("Ann", "Smith-Jones", ["ann.smithjones", "ann.smith", "ann.jones"]),
        ("Gabriel", "García Márquez", ["gabriel.garciamarquez", "gabriel.garcia", "gabriel.marquez"]),
        ("Anne-Marie", "Dupont", ["annemarie.dupont", "anne.dupont"]),
        ("Juan Carlos", "Ortiz", ["juancarlos.ortiz", "juan.ortiz"]),
        ("Ursula", "von der Leyen", ["ursula.vonderleyen", "ursula.leyen"]),
        ("Ba", "Le", ["ba.le"]),
    ],
)
def test_the_plain_spelling_comes_before_its_variants(first: str, last: str, expected: list[str]) -> None:
    assert spelled(first, last) == expected


@pytest.mark.parametrize(
    ("first", "last", "plain"),
    [
        ("Иван", "Петров", "ivan.petrov"),
        ("Ольга", "Смирнова", "olga.smirnova"),
        ("Γιώργος", "Παπαδόπουλος", "giorgos.papadopoulos"),
        ("伟", "王", "wei.wang"),
        ("민준", "김", "minjun.gim"),
        ("محمد", "حداد", "mhmd.hdd"),
    ],
)
def test_other_scripts_are_transliterated(first: str, last: str, plain: str) -> None:
    assert spelled(first, last)[0] == plain


def test_a_mononym_leaves_one_half_empty() -> None:
    assert mailbox_names("Suharto", "") == (MailboxName("suharto", ""),)
    assert mailbox_names("", "Teller") == (MailboxName("", "teller"),)


@pytest.mark.parametrize("name", ["", "  ", "🚀", "-", "...", "123"])
def test_without_letters_there_is_no_name(name: str) -> None:
    assert mailbox_names(name, name) == ()


def test_a_name_that_is_only_a_title_stays() -> None:
    assert spelled("Dr", "Jr") == ["dr.jr"]


def test_there_are_never_more_than_six() -> None:
    names = mailbox_names("Björn-Åke (Bo)", "von Müller-Lüdenscheidt")
    assert len(names) == MOST_VARIANTS
    assert names[:2] == (
        MailboxName("bjornake", "vonmullerludenscheidt"),
        MailboxName("bjoernaake", "vonmuellerluedenscheidt"),
    )


@given(st.text(max_size=30), st.text(max_size=30))
def test_spellings_are_lower_case_ascii_without_repeats(first: str, last: str) -> None:
    names = mailbox_names(first, last)
    assert all(set(name.first + name.last) <= LETTERS for name in names)
    assert len(set(names)) == len(names) <= MOST_VARIANTS


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_spelling_is_its_own_plain_spelling(first: str, last: str) -> None:
    for name in mailbox_names(first, last):
        assert mailbox_names(name.first, name.last)[0] == name
