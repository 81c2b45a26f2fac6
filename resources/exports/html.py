"""The report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from phase3_core.presentation import Chart, Kind, shown
from phase3_core.report_page import report_page
from resources.exports.charts import bar_chart

OPENABLE = ("https", "file")
MOST_COLUMNS_BESIDE = 8  # of a table that stands beside its picture; a wider one stands below


def report_as_html(report: Mapping[str, Any]) -> str:
    return _template().render(page=report_page(report), exports=report.get("exports", ()))


@cache
def _template() -> Template:
    """Escapes everything; a picture alone is let through, which escapes its own words."""
    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    here.filters |= {"shown": shown, "picture": _picture, "openable": _openable}
    here.globals |= {"TEXT": Kind.TEXT, "BESIDE": MOST_COLUMNS_BESIDE}
    return here.get_template("report.html.j2")


def _picture(chart: Chart) -> Markup:
    return Markup(bar_chart(chart))  # noqa: S704 - charts.py escapes each word it draws


def _openable(url: str) -> bool:
    return urlsplit(url).scheme in OPENABLE
