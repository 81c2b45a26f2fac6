"""Whether a click is Slack's, and what it says."""

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest

from phase3_core.approval import Decision
from resources.slack.clicks import payload_of, read_click, signed_by_slack

SECRET, NOW = "8f742231b10e", 1_758_000_000.0
REQUEST = UUID(int=7)
BODY = b"payload=%7B%7D"


def headers(stamp: str = "1758000000", secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    base = b"v0:" + stamp.encode() + b":" + body
    signature = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={signature}"}


def test_slacks_own_example_is_proved() -> None:
    """The request, secret and signature that Slack's documentation shows."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
        b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    given = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    assert signed_by_slack("8f742231b10e8888abcd99yyyzzz85a5", given, body, 1531420618.0)


@pytest.mark.parametrize("age_s", [0, 300, -300])
def test_a_signature_holds_for_five_minutes(age_s: int) -> None:
    assert signed_by_slack(SECRET, headers(), BODY, NOW + age_s)


@pytest.mark.parametrize(
    ("secret", "given", "body", "now"),
    [
        (SECRET, headers(), BODY, NOW + 301),
        (SECRET, headers(), BODY, NOW - 301),
        (SECRET, headers(), BODY + b"x", NOW),
        (SECRET, headers(secret="another"), BODY, NOW),
        (SECRET, headers(stamp="1758000000 "), BODY, NOW),
        (SECRET, headers(stamp="soon"), BODY, NOW),
        (SECRET, headers() | {"X-Slack-Signature": "v0=é"}, BODY, NOW),
        (SECRET, {}, BODY, NOW),
        ("", headers(secret=""), BODY, NOW),
    ],
    ids=["old", "early", "body", "secret", "space", "words", "unicode", "nothing", "no secret"],
)
def test_whatever_is_not_slacks_is_refused(
    secret: str, given: dict[str, str], body: bytes, now: float
) -> None:
    assert not signed_by_slack(secret, given, body, now)


def payload(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "user": {"id": "U0MANAGER", "username": "dana"},
        "state": {"values": {"feedback": {"why": {"value": "too dear"}}}},
        "container": {"channel_id": "C0CAMPAIGN1", "message_ts": "1758000000.000247"},
        "response_url": "https://hooks.slack.com/actions/1",
        "actions": [{"action_id": "reject", "value": str(REQUEST)}],
    }
    return usual | changes


def test_a_press_is_read() -> None:
    click = read_click(payload())
    assert click is not None
    assert (click.user_id, click.user_name) == ("U0MANAGER", "dana")
    assert (click.decision, click.request_id) == (Decision.REJECT, REQUEST)
    assert click.feedback == "too dear"
    assert click.place == {"channel": "C0CAMPAIGN1", "ts": "1758000000.000247"}


@pytest.mark.parametrize(
    "other",
    [
        {},
        payload(actions=[]),
        payload(actions=[{"action_id": "explode", "value": str(REQUEST)}]),
        payload(actions=[{"action_id": "reject", "value": "apr_7f3c"}]),
        payload(user=None),
        {"type": "view_submission"},
    ],
)
def test_anything_else_is_nothing(other: dict[str, Any]) -> None:
    assert read_click(other) is None


def test_the_form_holds_the_payload() -> None:
    assert payload_of(urlencode({"payload": json.dumps({"a": 1})}).encode()) == {"a": 1}
    for odd in (b"", b"payload=", b"payload=[1]", b"\xff", b"payload=%7B"):
        assert payload_of(odd) == {}
