"""`phase3 run --follow`: progress as JSON lines while the run goes on, for whoever called it."""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import typer

from phase3_assets.looking import look
from phase3_assets.progress import watched
from phase3_core.errors import Phase3Error
from resources.assembly import outbox_relay
from resources.relay import webhook_terms
from resources.settings import read_settings, settings_path

BEFORE_ANYTHING = datetime(1970, 1, 1, tzinfo=UTC)


@contextmanager
def followed(url: str, campaign_id: UUID) -> Iterator[None]:
    """Each line is a JSON object with an id; what an earlier run told is not told again."""
    follower = Follower(url, campaign_id, look(url, lambda books: books.events.newest(campaign_id)))
    try:
        with watched(follower):
            yield
    finally:
        with suppress(Phase3Error):
            follower()


@dataclass
class Follower:
    """Tells what is new since it was last called."""

    url: str
    campaign_id: UUID
    told_until: datetime | None

    def __call__(self) -> None:
        after = self.told_until or BEFORE_ANYTHING
        for at, event in look(self.url, lambda books: books.events.since(self.campaign_id, after)):
            with suppress(OSError):  # whoever read the lines has gone: the run and the webhook go on
                typer.echo(json.dumps(event))
            self.told_until = at
        post_events(self.url)


def post_events(url: str) -> None:
    """To the webhook, where there is one; what cannot be posted is tried again by the sensor `outbox`."""
    settings = read_settings(settings_path())
    if webhook_terms(settings.webhook, os.environ):
        with suppress(Phase3Error):
            asyncio.run(outbox_relay(url, settings).deliver())


def post_result(url: str, campaign_id: UUID, result: Mapping[str, Any]) -> None:
    """The result document as the run's last event."""
    if webhook_terms(read_settings(settings_path()).webhook, os.environ):
        with suppress(Phase3Error):
            look(url, lambda books: books.events.add(campaign_id, {"event": "result", **result}))
    post_events(url)
