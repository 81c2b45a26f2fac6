"""The report as HTML, Markdown and pictures: the same figures, and no word in it acts."""

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, Template
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from phase3_core.exports import ExportKind
from phase3_core.money import usd
from phase3_core.ports.providers import Skipped
from phase3_core.presentation import Bar, Chart, Kind, shown
from phase3_core.report import report_hash
from phase3_core.report_page import MOST_BARS, report_page
from resources.exports import charts, html, markdown
from resources.exports.campaign_exports import exporter_of
from resources.exports.charts import bar_chart
from resources.exports.files import Folder
from resources.exports.html import report_as_html
from resources.exports.markdown import report_as_markdown
from tests.attacks import attack, replaced
from tests.fakes.reports import COUNTS, TOMBA, a_report, findings
from tests.resources.test_workbook import CAMPAIGN, FakeReadyLeads

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/p.png)",
    "<https://evil.example>",
    "https://evil.example and www.evil.example and me@evil.example",
    "a | b\n\n# Heading\n\n- item",
    "`code` **bold** &lt;b&gt; {{ 7 * 7 }}",
    "=HYPERLINK(1)",
    "]]>\x00\x07",
]
AUTOLINK = re.compile(r"https?://|www\.|[-.\w+]+@[-\w]+\.", re.IGNORECASE)
PARSER = MarkdownIt("commonmark").enable("table")


def hostile_report(word: str) -> dict[str, Any]:
    report = a_report([Skipped(word, word)], campaign=word)
    report["providers"][0]["provider"] = word
    report["sources"][0]["source"] = word
    return report | {"notes": [word], "exports": [{"kind": word, "url": f"x:{word}", "rows": 1}]}


def tables(html: str) -> dict[str, list[list[str]]]:
    """Each section's rows of text, by its heading."""
    found = {}
    for section in LexborHTMLParser(html).css("section"):
        heading = section.css_first("h2")
        assert heading is not None
        rows = section.css("tbody tr")
        found[heading.text()] = [[cell.text() for cell in row.css("td")] for row in rows]
    return found


# What it says


def test_the_page_shows_what_the_report_says_rounded_for_people() -> None:
    told = tables(report_as_html(a_report()))
    assert told["From lead to ready lead"] == [
        ["Leads", "40", "100.0%", "100.0%"],
        ["Found", "20", "50.0%", "50.0%"],
        ["Accepted", "15", "37.5%", "75.0%"],
        ["Enriched", "8", "20.0%", "53.3%"],
        ["Ready", "7", "17.5%", "87.5%"],
    ]
    assert told["Tiers"][0] == ["A", "10", "6", "3", "3", "91.5", "$1.20", "$0.4000"]
    assert told["Quality"][0] == ["Validity", "75.0%"]
    tomba = next(row for row in told["Providers"] if row[0] == "tomba")
    assert tomba[6:] == ["60.0%", "$1.50", "$0.1000", "$0.1333", "80.0%"]
    assert [row[0] for row in told["What it would take to get the rest"]] == ["20", "4", "5", "3"]


def test_costs_stand_beside_the_budget_where_there_is_one() -> None:
    capped = {"total": usd("4"), "tier_a": usd("1.6"), "enrichment": usd("0.05")}
    rows = {row[0]: row[1:] for row in tables(report_as_html(a_report(caps=capped)))["Cost against budget"]}
    assert rows["Total"] == ["$2.00", "$4.00", "$2.00", "50.0%"]
    assert rows["Tier A"] == ["$1.20", "$1.60", "$0.4000", "75.0%"]
    assert rows["Agent: enrichment"] == ["$0.1000", "$0.0500", "-$0.0500", "200.0%"]
    assert rows["Tier B"] == ["$0.8000", *["\N{EN DASH}"] * 3]


def test_the_json_is_the_report_to_the_last_digit(tmp_path: Path) -> None:
    exporter = exporter_of([ExportKind.JSON], Folder(tmp_path))
    report = a_report()
    asyncio.run(exporter.write(CAMPAIGN, report, FakeReadyLeads([])))
    (file,) = tmp_path.iterdir()
    assert file.name.endswith(f"{report['report_hash'][:12]}.json")
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert stored == {**report, "exports": [], "notes": []}
    assert report_hash(stored) == report["report_hash"]


def test_agents_tiers_and_calls_without_a_lead_add_up_on_the_page() -> None:
    section = next(one for one in report_page(a_report()).sections if one.title == "Cost against budget")
    spent = {row["what"]: row["spent"] for row in section.table.rows}
    of_agents = sum(amount for what, amount in spent.items() if what.startswith("Agent"))
    of_tiers = sum(amount for what, amount in spent.items() if what.startswith("Tier"))
    assert of_agents == of_tiers == spent["Total"] == Decimal(2)


def test_who_is_suppressed_is_counted_on_every_page() -> None:
    report = a_report(counts=replace(COUNTS, suppressed=1_206))
    rows = tables(report_as_html(report))["What it would take to get the rest"]
    assert rows[-1][:2] == ["1,206", "on the suppression list, and in no other figure here"]
    assert "**Suppressed leads** 1,206" in report_as_markdown(report)
    figures = {figure.name for figure in report_page(a_report()).figures}
    assert "Suppressed leads" not in figures


def test_markdown_and_html_hold_the_same_cells() -> None:
    report = a_report([Skipped("muraena", "set MURAENA_API_KEY")])
    rendered = LexborHTMLParser(PARSER.render(report_as_markdown(report)))
    of_markdown = [cell.text().strip() for cell in rendered.css("td")]
    of_html = [cell.text() for cell in LexborHTMLParser(report_as_html(report)).css("td")]
    assert of_markdown == of_html
    assert len(rendered.css("h2")) == len(report_page(report).sections)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ("1234.5678", Kind.MONEY, "$1,234.57"),
        ("0.030444", Kind.MONEY, "$0.0304"),
        ("1.125", Kind.MONEY, "$1.13"),
        ("0.000049", Kind.MONEY, "< $0.0001"),
        ("0", Kind.MONEY, "$0.00"),
        (None, Kind.MONEY, "\N{EN DASH}"),
        (0, Kind.COUNT, "0"),
        (0.0, Kind.RATE, "0.0%"),
        (42100, Kind.COUNT, "42,100"),
    ],
)
def test_figures_are_rounded_to_what_people_read(value: Any, kind: Kind, text: str) -> None:
    assert shown(value, kind) == text


# Nothing in it acts


def unescaped() -> Template:
    here = Environment(loader=html._template().environment.loader, autoescape=False)
    here.filters |= html._template().environment.filters
    here.globals |= html._template().environment.globals
    return here.get_template("report.html.j2")


@attack(
    "Files and texts",
    "A campaign's, provider's or file's name is HTML, a script or a link",
    defence="The page escapes everything, and its content policy lets nothing run or load",
    without=replaced((html, "_template", unescaped)),
)
@pytest.mark.parametrize("word", HOSTILE)
def test_html_shows_hostile_words_and_does_nothing_with_them(word: str) -> None:
    page = LexborHTMLParser(report_as_html(hostile_report(word)))
    assert page.css("script, img, iframe, object, embed, form, base, link") == []
    assert page.css("a") == []
    loaded = [name for node in page.css("*") for name in node.attributes if name.startswith("on")]
    assert loaded == []
    assert len(page.css("h2")) == len(report_page(a_report()).sections) + 1
    title = page.css_first("h1")
    assert title is not None
    assert "49" not in title.text()


@attack(
    "Files and texts",
    "The same names are Markdown in the Dagster UI: links, pictures from elsewhere, new rows",
    defence="Every sign of Markdown stands for itself, and no address becomes a link",
    without=replaced((markdown, "markdown_text", lambda text: text)),
)
@given(st.text(max_size=60) | st.sampled_from(HOSTILE))
def test_markdown_shows_any_words_as_words(word: str) -> None:
    text = report_as_markdown(hostile_report(word))
    rendered = LexborHTMLParser(PARSER.render(text))
    assert rendered.css("a, script, em em, code, strong strong, ul, ol, blockquote") == []
    pictures = [node.attributes["src"] or "" for node in rendered.css("img")]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in pictures)
    assert len(rendered.css("h1")) == 1
    cells = [cell.text() for row in rendered.css("tr") for cell in row.css("td")]
    assert not [cell for cell in cells if AUTOLINK.search(cell)]


def test_a_row_keeps_its_cells_whatever_is_in_them() -> None:
    rendered = LexborHTMLParser(PARSER.render(report_as_markdown(hostile_report("a|b\\|c\n|d"))))
    widths = {len(row.css("td")) for row in rendered.css("table")[-2].css("tbody tr")}
    assert widths == {2}


@pytest.mark.parametrize(
    ("url", "opens"),
    [
        ("https://docs.google.com/spreadsheets/d/x", True),
        ("file:///x.xlsx", True),
        ("javascript:alert(1)", False),
    ],
)
def test_only_addresses_that_open_documents_are_links(*, url: str, opens: bool) -> None:
    report = a_report() | {"exports": [{"kind": "sheets", "url": url, "rows": 7}]}
    assert bool(LexborHTMLParser(report_as_html(report)).css("a")) is opens


# Pictures


@attack(
    "Files and texts",
    "A name breaks out of a chart's SVG",
    defence="A chart has only shapes and escaped words",
    without=replaced((charts, "escape", lambda text, *_: text)),
)
@pytest.mark.parametrize("word", [*HOSTILE, "x" * 5_000])
def test_a_picture_is_well_formed_small_and_has_only_shapes_and_words(word: str) -> None:
    drawn = bar_chart(Chart(word[:200], [Bar(word, 1, 3, word[:40])] * MOST_BARS))
    names = {element.tag.partition("}")[2] for element in ET.fromstring(drawn).iter()}
    assert names == {"svg", "rect", "text"}
    assert len(drawn) < 30_000


def test_bars_are_as_long_as_their_values() -> None:
    drawn = ET.fromstring(bar_chart(Chart("t", [Bar("a", 30, 40, "30"), Bar("b", 10, 40, "10")])))
    tracks = [float(e.attrib["width"]) for e in drawn.iter() if e.attrib.get("rx")]
    assert tracks == [300, 225, 300, 75]


@pytest.mark.parametrize("figure", ["$0.8211", "42,100 (100.0%)", "$1,234,567.89"])
def test_figures_stand_within_the_picture(figure: str) -> None:
    """DejaVu Sans, the widest that is common, makes a digit 0.636 of the font's size wide."""
    drawn = ET.fromstring(bar_chart(Chart("t", [Bar("people_data_labs", 1, 1, figure)])))
    told = next(e for e in drawn.iter() if e.text == figure)
    assert float(told.attrib["x"]) + 0.636 * 13 * len(figure) <= float(drawn.attrib["width"])


def test_many_providers_share_the_last_bar() -> None:
    spend = [
        TOMBA.__class__(TOMBA.agent, f"p{n:02}", "find", 1, 1, 0, 0, usd(30 - n), usd(0)) for n in range(20)
    ]
    section = next(one for one in report_page(a_report(spend=spend)).sections if one.title == "Providers")
    assert section.chart is not None
    assert [bar.label for bar in section.chart.bars][-2:] == ["p10", "9 others"]
    assert len(section.chart.bars) == MOST_BARS
    assert sum(bar.value for bar in section.chart.bars) == sum(range(11, 31))
    assert findings().counts.by_finder == {"tomba": 20}


def test_the_pictures_of_the_markdown_are_drawn() -> None:
    pictures = re.findall(r"base64,([^)]*)\)", report_as_markdown(a_report()))
    drawn = [ET.fromstring(b64decode(picture)) for picture in pictures]
    assert [picture.attrib["aria-label"] for picture in drawn] == [
        "Leads at each step",
        "Ready leads of all leads, by tier",
        "Cost by provider",
    ]
