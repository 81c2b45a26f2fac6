"""`python -m tests.end_to_end.pictures` makes the documents' pictures of Dagster's UI again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phase3_assets.workplace import project_root
from resources.postgres.embedded.server import running
from tests.caretaker import cared_for
from tests.conftest import Server
from tests.end_to_end import browser
from tests.end_to_end.campaign import Books
from tests.end_to_end.dagster_ui import ADD, PLACE, Dagster, prepared
from tests.end_to_end.shell import Shell
from tests.end_to_end.ui import DIALOG, UI

PICTURES = project_root() / "docs" / "pictures"
ENOUGH = "min_emails = 20\nmin_enriched = 20\nmin_tier_a_ready = 5"  # so that the checks are green
FORM = {"decision": "APPROVE_TIER_A_ONLY", "decided_by": "dana"}


@contextmanager
def served() -> Iterator[Dagster]:
    with cared_for("phase3-pictures-") as folder, running(folder, durable=False) as embedded:
        books = Books(Server(embedded.uri).make("pictures"), "pictures")
        shell = Shell(folder, {"PHASE3_STATE_DIR": str(folder / "state"), "PHASE3_EXPORTS_DIR": str(folder)})
        upgraded = shell.set(DATABASE_URL=books.url)("db", "upgrade")
        assert upgraded.code == 0, upgraded.err
        with prepared(books, shell, folder, ENOUGH) as dagster, dagster.served():
            yield dagster


def campaigns(dagster: Dagster) -> list[str]:
    """Three that Dagster knows."""
    made = [dagster.campaign(name) for name in ("Spring", "Summer", "Autumn")]
    for campaign_id in made:
        dagster.ask(ADD, place=PLACE, key=campaign_id)
    return made


def take(ui: UI, made: list[str], folder: Path) -> None:
    _, shown, _ = made
    for campaign_id in made[1:]:
        ui.materialize_all(campaign_id)
        ui.see_run_succeed()
    ui.open_graph()
    ui.page.see("66% filled")
    ui.page.picture(folder / "ui-assets.png")
    ui.open_campaign("tier_report", shown)
    ui.page.see("Show Markdown")
    ui.page.picture(folder / "ui-campaigns.png")
    ui.open_report(shown)
    ui.page.place(f"{DIALOG} h1")
    ui.page.picture(folder / "ui-report.png")
    ui.open_form(shown)
    ui.fill_in(FORM)
    ui.page.picture(folder / "ui-approval.png")


def main() -> None:
    program = browser.program()
    if program is None:
        sys.exit("No Chromium on PATH: apt-get install chromium")
    with served() as dagster, browser.opened(program) as page:
        take(UI(page, dagster.url), campaigns(dagster), PICTURES)


if __name__ == "__main__":
    main()
