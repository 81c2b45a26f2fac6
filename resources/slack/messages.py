"""A request for approval as Block Kit: pure functions from what is known to what Slack is sent.

Limits and field names: docs.slack.dev, Block Kit reference. Everything that came from data is escaped, so
that no company's name can mention people or fake a link.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from phase3_core.approval import Decision
from phase3_core.approval_request import HASH_SHOWN, ApprovalRequest, in_words
from phase3_core.money import usd
from phase3_core.statuses import ApprovalStatus

Block = dict[str, Any]

LONGEST_HEADER = 150
LONGEST_TEXT = 3_000
FEEDBACK_BLOCK, FEEDBACK_FIELD = "feedback", "why"
BUTTONS = {
    Decision.APPROVE_FULL: ("Approve all", "primary"),
    Decision.APPROVE_TIER_A_ONLY: ("Tier A only", ""),
    Decision.REQUEST_MORE_ENRICHMENT: ("Enrich more", ""),
    Decision.REJECT: ("Reject", "danger"),
}
SURE = {
    Decision.APPROVE_FULL: "Phase 4 gets every ready lead of the tiers A and B.",
    Decision.REJECT: "The campaign is closed; nothing of it goes on.",
}


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def announcement(request: ApprovalRequest) -> dict[str, Any]:
    """With four buttons; the request's id is in each, so that an old message can decide nothing new."""
    headline = f"Approve campaign {request.campaign}"
    blocks = [_header(headline), _figures(request.report), *_links(request.report), _feedback_field()]
    return {
        "text": f"{escaped(headline)}: {_in_short(request.report)}",
        "blocks": [*blocks, _buttons(request.request_id)],
        "unfurl_links": False,
        "metadata": {
            "event_type": "campaign_approval",
            "event_payload": {"request_id": str(request.request_id)},
        },
    }


def outcome(request: ApprovalRequest) -> dict[str, Any]:
    """The announcement as it stands when the request is over: no buttons, but who decided what and when."""
    text = outcome_text(request)
    return {
        "text": text,
        "blocks": [_header(f"Campaign {request.campaign}"), _figures(request.report), _section(text)],
    }


def outcome_text(request: ApprovalRequest) -> str:
    when = f" at {request.decided_at:%Y-%m-%d %H:%M} UTC" if request.decided_at else ""
    why = f": {escaped(request.feedback)}" if request.feedback else ""
    if request.status is ApprovalStatus.WITHDRAWN:
        return f"Withdrawn{when}{why}. A new request follows when the report is made again."
    return f"*{in_words(request.status).capitalize()}* by {escaped(request.decided_by)}{when}{why}"


def reminder(request: ApprovalRequest) -> dict[str, Any]:
    return {
        "text": f"Campaign {escaped(request.campaign)} still waits for a decision: see the message above."
    }


def escalation(request: ApprovalRequest, mention: str) -> dict[str, Any]:
    """`mention` is the operator's own (`<@U...>`, `<!subteam^S...>`), so it is not escaped."""
    whom = f"{mention} " if mention else ""
    return {
        "text": f"{whom}Campaign {escaped(request.campaign)} has waited for a decision since its reminder. "
        "Decide above, in the Dagster UI, or with `phase3 approve`."
    }


def _in_short(report: Mapping[str, Any]) -> str:
    ready = report.get("funnel", {}).get("ready", 0)
    return f"{ready:,} leads ready, ${_total(report)} spent, approval needed"


def _total(report: Mapping[str, Any]) -> str:
    return f"{usd(report.get('costs', {}).get('total', '0')):,.2f}"


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text[:LONGEST_HEADER]}}


def _section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:LONGEST_TEXT]}}


def _figures(report: Mapping[str, Any]) -> Block:
    tiers = {f"Tier {row['tier']} ready": f"{row['ready']:,} of {row['total']:,}" for row in report["tiers"]}
    funnel = report["funnel"]
    rows = {
        **tiers,
        "Ready in all": f"{funnel['ready']:,} of {funnel['leads']:,}",
        "Spent": f"${_total(report)}",
        "Per ready lead": f"${usd(report.get('cost_per_ready_usd', '0')):,.4f}",
        "Report": str(report.get("report_hash", ""))[:HASH_SHOWN],
    }
    fields = [{"type": "mrkdwn", "text": f"*{name}*\n{value}"} for name, value in rows.items()]
    return {"type": "section", "fields": fields}


def _links(report: Mapping[str, Any]) -> Iterator[Block]:
    """Exports that a browser can open; a file on the server is no link."""
    urls = {str(row["kind"]): str(row["url"]) for row in report.get("exports", ())}
    links = [_link(url, kind) for kind, url in urls.items() if url.startswith("https://")]
    if links:
        yield _section("Read it: " + ", ".join(links))


def _link(url: str, words: str) -> str:
    return f"<{escaped(url).replace('|', '%7C')}|{escaped(words)}>"


def _feedback_field() -> Block:
    label = "Why (needed for Enrich more and Reject)"
    field = {"type": "plain_text_input", "action_id": FEEDBACK_FIELD, "max_length": 1_000}
    return {
        "type": "input",
        "block_id": FEEDBACK_BLOCK,
        "optional": True,
        "element": field,
        "label": {"type": "plain_text", "text": label},
    }


def _buttons(request_id: UUID) -> Block:
    buttons = [_button(decision, str(request_id)) for decision in Decision]
    return {"type": "actions", "block_id": "approval", "elements": buttons}


def _button(decision: Decision, value: str) -> Block:
    label, style = BUTTONS[decision]
    button: Block = {"type": "button", "action_id": decision.value, "value": value, "text": _plain(label)}
    if style:
        button["style"] = style
    if decision in SURE:
        sure = {"title": "Sure?", "text": SURE[decision], "confirm": "Yes", "deny": "No"}
        button["confirm"] = {name: _plain(text) for name, text in sure.items()}
    return button


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
