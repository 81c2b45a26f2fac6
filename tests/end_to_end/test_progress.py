import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from phase3_assets.following import followed
from phase3_assets.progress import shown_progress, watch
from phase3_core.errors import OutsideFailure
from tests.conftest import MakeCampaign
from tests.end_to_end.shell import until


def checkpoint(query: Callable[..., list[dict[str, Any]]], campaign_id: UUID) -> None:
    query(
        "INSERT INTO workflow_checkpoints (workflow_id, campaign_id, agent_id, step_id, status,"
        " items_processed, items_total, output_data)"
        " VALUES ('run', :campaign, 'email_verification', 'leads', 'in_progress', 250, 632,"
        """ '{"spent_usd": "1.250000"}')""",
        campaign=campaign_id,
    )


def test_a_terminal_sees_how_far_each_agent_is(
    database_url: str, make_campaign: MakeCampaign, query: Callable[..., list[dict[str, Any]]]
) -> None:
    campaign, screen = make_campaign().id, io.StringIO()
    checkpoint(query, campaign)
    with shown_progress(database_url, campaign, Console(file=screen, force_terminal=True, width=100)):
        until(lambda: "250/632" in screen.getvalue(), 20)
    assert "email verification" in screen.getvalue()
    assert "$1.250000" in screen.getvalue()


def test_where_nobody_looks_nothing_is_written(database_url: str, make_campaign: MakeCampaign) -> None:
    file = io.StringIO()
    with shown_progress(database_url, make_campaign().id, Console(file=file)):
        pass
    assert file.getvalue() == ""


def test_who_reads_the_lines_may_go_and_the_run_goes_on(
    database_url: str,
    make_campaign: MakeCampaign,
    query: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign = make_campaign().id
    checkpoint(query, campaign)
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with followed(database_url, campaign):
            query("UPDATE workflow_checkpoints SET items_processed = 500, updated_at = now()")
        ended = True
    assert ended


def test_a_look_that_fails_does_not_end_the_looking() -> None:
    over, looks = threading.Event(), []

    def redraw() -> None:
        looks.append(True)
        if len(looks) > 1:
            over.set()
        raise OutsideFailure("The database is gone.")

    watch(redraw, over)
    assert len(looks) == 2
