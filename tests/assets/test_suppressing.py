"""`phase3 suppress`: entries by argument and by file, each once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phase3_assets.suppressing import suppress_all
from phase3_core.errors import BadInput

Query = Callable[..., list[dict[str, Any]]]


def entries(query: Query) -> list[tuple[str | None, str | None]]:
    rows = query("SELECT email, domain FROM suppression_list ORDER BY email, domain")
    return [(row["email"], row["domain"]) for row in rows]


def test_an_entry_is_made_once_and_taken_off_however_it_was_written(database_url: str, query: Query) -> None:
    told: list[str] = []
    query("INSERT INTO suppression_list (email) VALUES ('Ada+old@Acme.com')")
    for who in ("ada@ACME.com", "https://www.blocked.com/", "@Blocked.com"):
        suppress_all(database_url, who, "asked", told.append, remove=False)
    assert entries(query) == [("Ada+old@Acme.com", None), (None, "blocked.com")]
    assert "taken off" in suppress_all(database_url, "ada@acme.com", "", told.append, remove=True)
    assert "not on" in suppress_all(database_url, "ada@acme.com", "", told.append, remove=True)
    assert (entries(query), told) == ([(None, "blocked.com")], [])


def test_a_file_puts_its_good_rows_on_the_list_and_tells_the_bad_ones_by_line(
    database_url: str, query: Query, tmp_path: Path
) -> None:
    file = tmp_path / "stop.csv"
    file.write_text("email,why\nAda@acme.com,asked\n\nnobody,?\nblocked.com,\nada@acme.com,again\n")
    told: list[str] = []
    said = suppress_all(database_url, str(file), "", told.append, remove=False)
    assert said == "2 of 2 entries: put on the suppression list"
    assert told == [f"{file}:4: 'nobody' is neither an address nor a domain"]
    assert entries(query) == [("ada@acme.com", None), (None, "blocked.com")]


@pytest.mark.parametrize("who", ["nobody", "missing.csv", ""])
def test_what_means_nobody_is_a_mistake_told_in_a_line(database_url: str, who: str) -> None:
    with pytest.raises(BadInput):
        suppress_all(database_url, who, "", print, remove=False)
