"""The report as Markdown with its charts in it: what Dagster shows of the materialization."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phase3_core.presentation import Chart, Column, Kind, ReportPage, Section, Table, shown
from phase3_core.report_page import report_page
from resources.exports.charts import bar_chart
from resources.exports.neutral import markdown_text


def report_as_markdown(report: Mapping[str, Any]) -> str:
    """Tables in the GitHub dialect; pictures as data URIs."""
    return "\n\n".join(_blocks(report_page(report)))


def _blocks(page: ReportPage) -> Iterator[str]:
    yield f"# {markdown_text(page.title)}"
    yield f"Phase 3 tier report **{page.tag}** · campaign {markdown_text(page.campaign_id)}"
    yield " · ".join(f"**{figure.name}** {markdown_text(figure.shown)}" for figure in page.figures)
    for section in page.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    if section.chart and section.chart.bars:
        yield _picture(section.chart)
    yield _table(section.table) if section.table.rows else section.nothing
    if section.words and section.table.rows:
        yield f"*{section.words}*"


def _picture(chart: Chart) -> str:
    encoded = b64encode(bar_chart(chart).encode()).decode()
    return f"![{chart.title}](data:image/svg+xml;base64,{encoded})"


def _table(table: Table) -> str:
    head = _line([column.title for column in table.columns])
    rule = _line(["---" if column.kind is Kind.TEXT else "---:" for column in table.columns])
    return "\n".join([head, rule, *(_row(table.columns, row) for row in table.rows)])


def _row(columns: Sequence[Column], row: Mapping[str, Any]) -> str:
    return _line([markdown_text(shown(row.get(column.key), column.kind)) for column in columns])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
