"""A campaign whose vendors quote our requests, keys and all: afterwards no key stands anywhere."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from itertools import cycle
from pathlib import Path

import pytest

from resources.http_client import HttpClient, Received, Sending, http_client
from resources.providers import channel
from sandbox.app import serve
from sandbox.options import Options
from tests.attacks import attack, replaced
from tests.canary import files_below, leaks, rows_of, secrets_in
from tests.stage.stage import HURRY, Hurried, Play, Stage, everyone_is_needed, staged

PASSWORD = "canary-of-the-database"
EVERY = 3  # so that the campaign goes on
STATUSES = (200, 400, 500, 422, 429, 503)


@dataclass
class Quoting(HttpClient):
    """Between us and the vendors: some answers are the request itself, as a careless gateway tells errors."""

    inner: HttpClient
    number: int = 0
    statuses = cycle(STATUSES)

    async def send(self, sending: Sending) -> Received:
        received = await self.inner.send(sending)
        self.number += 1
        if self.number % EVERY:
            return received
        quoted = {field.name: str(getattr(sending, field.name)) for field in fields(sending)}
        url = f"{sending.method} {sending.url}?{'&'.join(f'{k}={v}' for k, v in sending.query.items())}"
        told = {**quoted, "error": url, "message": str(quoted), "reason": url, "status": "error"}
        return Received(next(self.statuses), json.dumps(told), received.headers)


class Quoted(Play):
    @asynccontextmanager
    async def _http(self) -> AsyncIterator[HttpClient]:
        async with http_client() as http:
            yield Quoting(Hurried(http, HURRY))


@attack(
    "Secrets",
    "Vendors quote whole requests in their errors: keys in headers, in queries (Reoon, BuiltWith), in bodies",
    defence="What a vendor says is cleaned before it reaches ledger, leads, report, exports or log",
    without=replaced((channel, "without", lambda _, told: told)),
)
async def test_no_key_is_written_anywhere(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(Options(latency_ms=0, rate_factor=0)) as sandbox:
        people = everyone_is_needed(sandbox.parts.world.people)
        stage = await staged(sandbox, database_url, tmp_path, people, web=False)
        await stage.break_something({"vendor": "reoon", "kind": "timeout_after_billing", "count": 2})
        await stage.break_something({"vendor": "builtwith", "kind": "reset_before_billing", "count": 2})
        await stage.break_something({"vendor": "findymail", "kind": "unauthorized", "count": None})
        quoted = Stage(sandbox, Quoted(**{one.name: getattr(stage.play, one.name) for one in fields(Play)}))
        await quoted.perform()
        await quoted.perform()
    secrets = secrets_in(stage.play.environment)
    assert {"REOON_API_KEY", "BUILTWITH_API_KEY", "TOMBA_API_SECRET"} <= secrets.keys()
    kept = dict(rows_of(database_url))
    assert "[secret]" in kept["public.provider_calls"]
    assert leaks(secrets, [*kept.items(), *files_below(tmp_path), ("the log", caplog.text)]) == []
