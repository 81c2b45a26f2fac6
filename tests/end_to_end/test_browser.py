"""A person with a browser: from an imported campaign to the leads that phase 4 may have."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.end_to_end import browser
from tests.end_to_end.conftest import NewBooks
from tests.end_to_end.dagster_ui import ADD, PLACE, Dagster, prepared
from tests.end_to_end.shell import Shell
from tests.end_to_end.ui import DIALOG, UI

pytestmark = pytest.mark.slow

NO_BROWSER = "no Chromium on PATH (`apt-get install chromium`): the UI was not tested in a browser"
DECISION = "SELECT status, personalization_scope, approved_by FROM campaigns WHERE id = %s"
DRAWN = f"[...document.querySelectorAll('{DIALOG} img')].map((picture) => picture.naturalWidth > 100)"


@pytest.fixture
def served(
    new_books: NewBooks, upgraded: str, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Dagster, UI]]:
    program = browser.program() or pytest.skip(NO_BROWSER)
    with (
        prepared(new_books(upgraded), shell, tmp_path_factory.mktemp("browser")) as dagster,
        dagster.served(),
        browser.opened(program) as page,
    ):
        yield dagster, UI(page, dagster.url)


def test_a_person_materializes_a_campaign_reads_its_report_and_approves_it(
    served: tuple[Dagster, UI],
) -> None:
    dagster, ui = served
    bystander, campaign_id = (dagster.campaign(name) for name in ("Bystander", "Chosen"))
    for known in (bystander, campaign_id):
        dagster.ask(ADD, place=PLACE, key=known)
    ui.materialize_all(campaign_id)
    ui.see_run_succeed()
    ui.open_report(campaign_id)
    ui.page.see("Chosen", f"{DIALOG} h1")
    ui.page.see(f"Cost ${Decimal(dagster.vendors.read('bill')['total_usd']):,.2f}", DIALOG)
    assert ui.page.value(DRAWN) == [True, True, True]
    ui.open_form(campaign_id)
    ui.fill_in({"decision": "APPROVE_TIER_A_ONLY", "decided_by": "dana"})
    assert dagster.books.query(DECISION, campaign_id)[0]["status"] == "verification_complete"
    ui.send_form()
    ui.see_run_succeed()
    approved = ("approved_for_personalization", "tier_a_only", "dana")
    assert tuple(dagster.books.query(DECISION, campaign_id)[0].values()) == approved
    assert dagster.books.query(DECISION, bystander)[0]["status"] == "phase3_failed"
