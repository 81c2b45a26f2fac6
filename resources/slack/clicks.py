"""A click on a button: proved to be Slack's, and read. What it decides is decided elsewhere."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from phase3_core.approval import Decision
from resources.slack.messages import FEEDBACK_BLOCK, FEEDBACK_FIELD

WINDOW_S = 300
LONGEST_STAMP = 12  # digits; Python refuses to read a number of thousands
VERSION = "v0"


@dataclass(frozen=True, slots=True)
class Click:
    """Who pressed what, on which request; `response_url` takes a word for that person alone.

    `place`: channel and ts of the message that was clicked, as a message's place is kept.
    """

    user_id: str
    user_name: str
    decision: Decision
    request_id: UUID
    feedback: str
    response_url: str
    place: Mapping[str, str]


def signed_by_slack(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Over the raw body, at most five minutes old (docs.slack.dev, verifying requests). No secret: never."""
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    given = headers.get("X-Slack-Signature", "")
    if not secret or not _is_number(stamp) or abs(now_s - int(stamp)) > WINDOW_S:
        return False
    base = b":".join((VERSION.encode(), stamp.encode(), body))
    expected = f"{VERSION}={hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()}"
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _is_number(stamp: str) -> bool:
    return stamp.isascii() and stamp.isdigit() and len(stamp) <= LONGEST_STAMP


def payload_of(body: bytes) -> dict[str, Any]:
    """The JSON in the form field `payload`; empty where there is none."""
    try:
        fields = parse_qs(body.decode())
        payload = json.loads(fields["payload"][0])
    except (UnicodeDecodeError, KeyError, ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def read_click(payload: Mapping[str, Any]) -> Click | None:
    """None for anything but a press of one of our buttons."""
    try:
        (action,) = payload["actions"]
        user = payload["user"]
        return Click(
            user_id=_storable(user["id"]),
            user_name=_storable(user.get("username") or user["id"]),
            decision=Decision(action["action_id"]),
            request_id=UUID(action["value"]),
            feedback=_feedback(payload),
            response_url=_storable(payload.get("response_url") or ""),
            place=_place(payload.get("container") or {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _place(container: Mapping[str, Any]) -> dict[str, str]:
    return {
        "channel": _storable(container.get("channel_id") or ""),
        "ts": _storable(container.get("message_ts") or ""),
    }


def _storable(told: object) -> str:
    """Without what no text column of PostgreSQL and no JSON on a wire can hold: NUL, lone surrogates."""
    return str(told).replace("\x00", "").encode("utf-8", "replace").decode()


def _feedback(payload: Mapping[str, Any]) -> str:
    state = payload.get("state") or {}
    field = state.get("values", {}).get(FEEDBACK_BLOCK, {}).get(FEEDBACK_FIELD, {})
    return _storable(field.get("value") or "")
