"""The address where clicks arrive, on a socket: whoever posts there, and whatever."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from resources.http_client import HttpClient, Sending, http_client
from resources.slack import clicks, endpoint
from resources.slack.clicks import Click, read_click
from resources.slack.endpoint import LARGEST_BODY, serving
from tests.attacks import attack, replaced
from tests.sockets import listening_at

SECRET = "8f742231b10e"
BODY = urlencode({"payload": json.dumps({"type": "block_actions"})}).encode()


@dataclass
class Door:
    """The endpoint, what it let in, and a way to knock."""

    url: str
    http: HttpClient
    taken: list[dict[str, Any]] = field(default_factory=list)

    async def knocked(
        self, body: bytes = BODY, *, secret: str = SECRET, stamp: str = "", age_s: int = 0
    ) -> int:
        stamp = stamp or str(int(time.time()) - age_s)
        signed = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signed}"}
        return (await self.http.send(Sending("POST", self.url, {}, headers, None, None, 30.0, body))).status


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    taken: list[dict[str, Any]] = []

    async def take(payload: dict[str, Any]) -> None:
        taken.append(payload)

    async with serving(SECRET, 0, take) as url, http_client() as http:
        yield Door(url, http, taken)


async def test_what_slack_signed_is_let_in(door: Door) -> None:
    assert await door.knocked() == 200
    assert door.taken == [{"type": "block_actions"}]


@attack(
    "Decisions",
    "Somebody posts a click of his own making",
    defence="A click counts with Slack's signature over the raw body alone",
    without=replaced((endpoint, "signed_by_slack", lambda *_: True)),
)
async def test_a_click_that_slack_did_not_sign_is_not_let_in(door: Door) -> None:
    assert await door.knocked(secret="another") == 401
    assert door.taken == []


@attack(
    "Decisions",
    "An old click is posted again",
    defence="A signature holds for five minutes",
    without=replaced((clicks, "WINDOW_S", 10**9)),
)
@pytest.mark.parametrize("age_s", [302, -302])
async def test_a_click_of_another_hour_is_not_let_in(door: Door, age_s: int) -> None:
    assert await door.knocked(age_s=age_s) == 401
    assert door.taken == []


@attack(
    "Decisions",
    "A timestamp of thousands of digits makes the endpoint fail before it has looked at the signature",
    defence="What is no time of day is refused unread",
    without=replaced((clicks, "_is_number", str.isdigit)),
)
@pytest.mark.parametrize("stamp", ["9" * 5_000, "-1", "1e9", "٣", "0x10", " "])
async def test_a_timestamp_that_is_none_is_refused(door: Door, stamp: str) -> None:
    assert await door.knocked(stamp=stamp) == 401


@pytest.mark.parametrize(
    "payload",
    ["[" * 200_000, '{"a":' * 30_000, "9" * 5_000, "[1]", "null", '"\\ud800"', "", "\x00"],
    ids=range(8),
)
async def test_whatever_the_payload_is_the_endpoint_stands(door: Door, payload: str) -> None:
    assert await door.knocked(urlencode({"payload": payload}).encode()) == 200
    assert door.taken == [{}]


@attack(
    "Decisions",
    "The endpoint is knocked at from elsewhere, past the proxy that has the certificate",
    defence="It listens on loopback alone",
    without=replaced((endpoint, "LOOPBACK", "0.0.0.0")),
)
async def test_the_endpoint_listens_on_loopback_alone(door: Door) -> None:
    assert listening_at(door.url) == ["127.0.0.1"]


@attack(
    "Decisions",
    "A body without end fills the memory",
    defence="A megabyte is taken and no more",
    without=replaced((endpoint, "LARGEST_BODY", 10**9)),
)
async def test_a_body_beyond_all_measure_is_refused(door: Door) -> None:
    assert await door.knocked(b"payload=" + b"x" * LARGEST_BODY) == 413
    assert door.taken == []


def test_what_no_row_can_hold_is_taken_out_of_a_click() -> None:
    odd = "da\x00na \ud800"
    click = read_click(
        {
            "user": {"id": odd, "username": odd},
            "actions": [{"action_id": "reject", "value": "00000000-0000-0000-0000-000000000007"}],
            "state": {"values": {"feedback": {"why": {"value": odd}}}},
            "response_url": odd,
        }
    )
    assert isinstance(click, Click)
    assert {click.user_id, click.user_name, click.feedback, click.response_url} == {"dana ?"}
