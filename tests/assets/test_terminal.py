"""What a terminal shows of leads and vendors: their words, and none of their wishes."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.table import Table
from rich.text import Text

import phase3_assets
from phase3_assets import terminal
from phase3_assets.terminal import Terminal, visible
from tests.attacks import attack, replaced

FILES = sorted(Path(phase3_assets.__file__).parent.glob("*.py"))
OWN = re.compile(r"\x1b\[[0-9;]*m")  # colours and weights, which rich sets itself
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WORDS = st.text(max_size=30) | st.sampled_from(
    [
        "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
        "\x1b[2J\x1b[1;1Hall is well",
        "\x9b31mred",
        "[link=https://evil.example]click[/link]",
        "[/]",
        "invoice\u202egpj.exe",
        "\x07\x08\r\x0b\x0c",
        "שלום \u200f(1)",
    ]
)


def shown(word: str) -> str:
    """In every place where a word of somebody else's can stand."""
    table = Table("name", word, title=word)
    table.add_row(word, Text(word))
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, color_system="truecolor", width=200)
    console.print(word)
    console.print(table, Text(word), Group(Text(word), word), soft_wrap=True)
    return out.getvalue()


@attack(
    "Files and texts",
    "A company's name holds escape sequences, links or marks that turn text round, and is listed in a shell",
    defence="The terminal spells out what it would obey, and reads no markup",
    without=replaced((terminal, "visible", lambda text: text)),
)
@given(WORDS)
def test_no_word_is_obeyed(word: str) -> None:
    printed = OWN.sub("", shown(word))
    assert not OBEYED.search(printed)
    assert "]8;" not in OWN.sub("", shown("[link=https://evil.example]x[/link]"))


@pytest.mark.parametrize("name", ["Zoë", "東京", "Jean\u200dLuc", "नमस्ते", "👩\u200d🚀", "a\tb\nc", "[bold]"])
def test_names_are_shown_as_they_are(name: str) -> None:
    assert visible(name) == name


def test_what_would_be_obeyed_is_spelled_out() -> None:
    assert visible("\x1b[2J\u202e") == r"\u001b[2J\u202e"


def tabulated(**options: Any) -> str:
    table = Table("campaign", "status", "spent USD", "why", title="Campaigns")
    table.add_row("e9a77c5a", "approved_for_personalization", "1234.567890", "two leads wait for tomba")
    out = io.StringIO()
    Terminal(file=out, **options).tabulate(table)
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 60, 70, 200])
def test_no_word_of_a_table_is_cut_off_however_narrow_the_terminal(width: int) -> None:
    printed = tabulated(width=width)
    assert all(len(line) <= width for line in printed.splitlines())
    for word in ("e9a77c5a", "1234.567890", "spent USD", "leads"):
        assert word in printed


def test_a_table_that_nobody_looks_at_is_as_wide_as_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    (row,) = (line for line in tabulated().splitlines() if "e9a77c5a" in line)
    assert "two leads wait for tomba" in row


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nobody_makes_a_console_of_his_own(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert file.name == "terminal.py" or not re.search(r"\bConsole\(|rich import print", source)
