"""What names a person in a text, and who merely has a name, an address or a profile like theirs."""

from dataclasses import replace
from typing import Any

import pytest

from phase3_core.forgetting import FORGOTTEN, Marks, marks_of, without
from phase3_core.leads import MailboxName
from tests.fakes.people import a_lead

ADA = replace(
    a_lead(),
    first_name="Ada",
    last_name="Lóvelace",
    company_domain="acme.com",
    linkedin_url="https://www.linkedin.com/in/ada/",
    mailbox_names=(MailboxName("ada", "lovelace"),),
)
MARKS = marks_of([ADA], ["Ada+x@acme.com"])


def reworded(value: Any) -> Any:
    return without(value, MARKS, at_their_company=True)


@pytest.mark.parametrize(
    "words",
    [
        *("ada@acme.com", "ADA@ACME.COM", "ada+news@acme.com", "ada%40acme.com", "ada%2Bx%40acme.com"),
        *("linkedin.com/in/ada", "LinkedIn.com/in/ADA"),
        *("Ada Lóvelace", "ada lovelace", "Lovelace, Ada", "ada.lovelace", "ada-lovelace", "ADA_LOVELACE"),
        *("Ada K. Lovelace", "Ada Augusta Lovelace", "Ada%20Lovelace", "lovelace,%20ada"),
    ],
)
def test_whatever_names_them_is_taken_out_of_its_sentence(words: str) -> None:
    for said in ("{} called", "mailto:{}", "it is '{}'", "x={}&y", "<{}>", "so says {}.", "a%20{}%20b"):
        assert reworded(said.format(words)) == said.format(FORGOTTEN)


@pytest.mark.parametrize(
    "words",
    [
        *("rada@acme.com", "x.ada@acme.com", "o'ada@acme.com", "ada@acme.com.au", "ada@acme.computer"),
        *("linkedin.com/in/adam", "linkedin.com/in/ada-king", "linkedin.com/in/ada%C3%A9"),
        *("Nada Lovelace", "Ada Lovelacey", "Ada", "Lovelace", "Ada met Bob, then Charles Lovelace"),
    ],
)
def test_who_merely_has_something_like_it_is_somebody_else(words: str) -> None:
    assert reworded(words) == words


def test_a_name_in_two_pieces_is_taken_out_where_one_object_holds_both() -> None:
    told = {"staff": [{"first": "ADA", "last": "Lovelace", "age": 36}, {"first": "Ada", "last": "King"}]}
    gone = {"first": FORGOTTEN, "last": FORGOTTEN, "age": 36}
    assert reworded(told) == {"staff": [gone, {"first": "Ada", "last": "King"}]}
    assert reworded({"ada@acme.com": ["ada lovelace", 1]}) == {FORGOTTEN: [FORGOTTEN, 1]}


def test_away_from_their_company_a_name_is_anybodys() -> None:
    told = "Ada Lovelace, ada@acme.com"
    assert without(told, MARKS, at_their_company=False) == f"Ada Lovelace, {FORGOTTEN}"


def test_nothing_names_who_is_known_by_nothing() -> None:
    assert not Marks()
    assert without("Ada", Marks(), at_their_company=True) == "Ada"
