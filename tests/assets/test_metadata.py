"""Words of vendors in what the Dagster UI renders."""

import pytest
from markdown_it import MarkdownIt

from phase3_assets import metadata
from phase3_assets.metadata import of_agent
from phase3_core.ports.providers import Skipped
from phase3_core.statuses import Agent
from phase3_core.summary import AgentSummary
from phase3_core.waiting import Wait, Waiting
from tests.attacks import attack, replaced
from tests.fakes.reports import COUNTS
from tests.resources.test_report_pages import HOSTILE

PARSER = MarkdownIt("commonmark").enable("table")


@attack(
    "Files and texts",
    "A vendor's error, shown as the reason why leads wait, is a link or a picture from elsewhere",
    defence="Reasons are escaped wherever the Dagster UI renders them",
    without=replaced((metadata, "markdown_text", lambda text: text)),
)
@pytest.mark.parametrize("word", HOSTILE)
def test_a_vendors_words_are_words_in_metadata(word: str) -> None:
    waiting, skipped = Waiting(Wait("reoon", f"bad key: {word}"), 3), Skipped(word, word)
    summary = AgentSummary(Agent.ENRICHMENT, "spring", COUNTS, [], [skipped], 1.0, 1, 0, waiting=[waiting])
    shown = of_agent(summary)
    for told in (shown["waiting"].value, shown["skipped"].value):
        rendered = PARSER.render(told)
        assert rendered.count("<li>") == 1
        assert not [tag for tag in ("<a ", "<img", "<script", "<code", "<h1", "<em>") if tag in rendered]
