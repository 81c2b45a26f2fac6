"""Every answer that the verifiers' sheets describe, and what each is taken for."""

import json
from typing import Any

import pytest

from phase3_core.calls import Billing, Judgement
from phase3_core.statuses import Reason, Verdict
from resources.providers.answers import Remedy
from resources.providers.catalogue import CATALOGUE, Row
from resources.providers.request import Question, Request
from resources.providers.verifiers import mailverify, reoon
from tests.resources.providers.sheet import (
    DANA,
    EMAIL,
    HTML,
    KEY,
    MAILVERIFY,
    REOON,
    Said,
    operation,
    read,
    response,
    without,
)

VALID, RISKY, CATCH_ALL = Verdict.VALID, Verdict.RISKY, Verdict.CATCH_ALL
INVALID, UNKNOWN = Verdict.INVALID, Verdict.UNKNOWN
BAD_KEY, BROKE, LIMITED = Remedy.BAD_KEY, Remedy.OUT_OF_CREDITS, Remedy.RATE_LIMITED
NO_MAIL = {"mx_accepts_mail": False, "mx_records": []}
BAD_INPUT, DOWN, NONSENSE = Remedy.BAD_INPUT, Remedy.DOWN, Remedy.NONSENSE


# --- Reoon -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("safe", Judgement(VALID, score=98)),
        ("SAFE", Judgement(VALID, score=98)),
        ("invalid", Judgement(INVALID, score=98)),
        ("disabled", Judgement(INVALID, Reason.DISABLED, 98)),
        ("disposable", Judgement(INVALID, Reason.DISPOSABLE, 98)),
        ("inbox_full", Judgement(RISKY, Reason.INBOX_FULL, 98)),
        ("catch_all", Judgement(CATCH_ALL, score=98)),
        ("role_account", Judgement(RISKY, Reason.ROLE_ACCOUNT, 98)),
        ("spamtrap", Judgement(INVALID, Reason.SPAMTRAP, 98)),
        ("unknown", Judgement(UNKNOWN, score=98)),
        ("valid", NONSENSE),  # a word of the quick mode, which proves nothing
        ("hopeful", NONSENSE),
        ("", NONSENSE),
        (None, NONSENSE),
        (7, NONSENSE),
    ],
)
def test_reoons_verdicts(status: object, expected: Said) -> None:
    answer = response(200, REOON | {"status": status})
    assert read(reoon.SPEC, operation(reoon.SPEC, "verify-power").read, answer) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, REOON | NO_MAIL | {"status": "invalid"}, Judgement(INVALID, Reason.NO_MAIL_SERVERS, 98)),
        (200, REOON | NO_MAIL | {"status": "unknown"}, Judgement(UNKNOWN, score=98)),
        (200, REOON | {"status": "invalid", "mx_accepts_mail": None}, Judgement(INVALID, score=98)),
        (200, without(REOON, "overall_score"), Judgement(VALID)),
        (200, REOON | {"overall_score": "98"}, Judgement(VALID, score=98)),
        (200, REOON | {"overall_score": None}, Judgement(VALID)),
        (200, {"status": "error", "reason": "Invalid API key."}, BAD_KEY),
        (200, {"status": "error", "reason": "This API key is not authorized."}, BAD_KEY),
        (200, {"status": "error", "reason": "Not enough credits."}, BROKE),
        (200, {"status": "error", "reason": "Insufficient balance for this key."}, BROKE),
        (200, {"status": "error", "reason": "Too many parallel requests, the limit is 5."}, LIMITED),
        (200, {"status": "Error", "reason": "RATE exceeded"}, LIMITED),
        (200, {"status": "error", "reason": "Invalid email address or mode."}, BAD_INPUT),
        (200, {"status": "error"}, BAD_INPUT),
        (401, {"status": "error", "reason": "Invalid API key."}, BAD_KEY),
        (402, {"status": "error", "reason": "Not enough credits."}, BROKE),
        (429, {"status": "error", "reason": "Too many requests"}, LIMITED),
        (401, "", BAD_KEY),
        (402, "", BROKE),
        (429, "Too Many Requests", LIMITED),
        (400, "", BAD_INPUT),
        (404, HTML, NONSENSE),
        (500, HTML, DOWN),
        (500, {"status": "error", "reason": "Internal server error."}, DOWN),
        (200, REOON | {"overall_score": 10**12}, Judgement(VALID)),
        (200, HTML, NONSENSE),
        (200, [], NONSENSE),
    ],
)
def test_reoons_other_answers(status: int, body: Any, expected: Said) -> None:
    answer = response(status, body)
    assert read(reoon.SPEC, operation(reoon.SPEC, "verify-power").read, answer) == expected


def test_reoon_is_asked_to_look_at_the_mailbox() -> None:
    request = operation(reoon.SPEC, "verify-power").ask(Question(DANA, EMAIL))
    assert request == Request("GET", "/verify", {"email": EMAIL, "mode": "power"})


def test_reoons_key_stands_in_the_query() -> None:
    signature = reoon.SPEC.sign({"REOON_API_KEY": KEY})
    assert signature.query == {"key": KEY}
    assert signature.headers == {}


# --- MailVerify ------------------------------------------------------------------------------------------


def judged(**flags: Any) -> Said:
    answer = response(200, {"message": "Email verified", "data": MAILVERIFY["data"] | flags})
    return read(mailverify.SPEC, operation(mailverify.SPEC, "verify-single").read, answer)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("DELIVERABLE", VALID),
        ("VALID", VALID),
        ("deliverable", VALID),
        ("UNDELIVERABLE", INVALID),
        ("RISKY", CATCH_ALL),
        ("ACCEPT_ALL", CATCH_ALL),
        ("UNKNOWN", UNKNOWN),
    ],
)
def test_mailverifys_verdicts(status: str, verdict: Verdict) -> None:
    assert judged(status=status) == Judgement(verdict)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"catch_all": True}, Judgement(RISKY, Reason.CATCH_ALL_CONFIRMED)),
        ({"role": True}, Judgement(RISKY, Reason.ROLE_ACCOUNT)),
        ({"mailbox_full": True}, Judgement(RISKY, Reason.INBOX_FULL)),
        ({"disposable": True}, Judgement(INVALID, Reason.DISPOSABLE)),
        ({"disposable": True, "catch_all": True}, Judgement(INVALID, Reason.DISPOSABLE)),
        ({"status": "UNDELIVERABLE", "catch_all": True}, Judgement(INVALID)),
        ({"status": "UNKNOWN", "catch_all": True}, Judgement(UNKNOWN)),
        ({"status": "UNDELIVERABLE", "role": True}, Judgement(INVALID)),
        ({"catch_all": "false"}, Judgement(VALID)),
        ({"catch_all": None, "role": None}, Judgement(VALID)),
    ],
)
def test_mailverifys_flags_refine_the_verdict(flags: dict[str, Any], expected: Said) -> None:
    assert judged(**flags) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"message": "Email verified", "data": without(MAILVERIFY["data"], "status")}, NONSENSE),
        (200, {"message": "Email verified", "data": {"status": "PONDERING"}}, NONSENSE),
        (200, {"message": "Email verified"}, NONSENSE),
        (200, {"status": "DELIVERABLE"}, NONSENSE),
        (200, HTML, NONSENSE),
        (400, {"message": "email is required"}, BAD_INPUT),
        (422, {"message": "…"}, BAD_INPUT),
        (401, {"message": "Unauthorized"}, BAD_KEY),
        (403, {"message": "Forbidden"}, BAD_KEY),
        (402, {"message": "Insufficient credits"}, BROKE),
        (404, HTML, NONSENSE),
        (429, {"message": "Too many requests"}, LIMITED),
        (500, HTML, DOWN),
        (503, {"message": "…"}, DOWN),
    ],
)
def test_mailverifys_other_answers(status: int, body: Any, expected: Said) -> None:
    answer = response(status, body)
    assert read(mailverify.SPEC, operation(mailverify.SPEC, "verify-single").read, answer) == expected


def test_mailverify_is_asked_in_a_body() -> None:
    request = operation(mailverify.SPEC, "verify-single").ask(Question(DANA, EMAIL))
    assert request == Request("POST", "/verify/single", body={"email": EMAIL})


def test_mailverifys_key_stands_in_its_own_header() -> None:
    assert mailverify.SPEC.sign({"MAILVERIFY_API_KEY": KEY}).headers == {"x-auth-mailverify": KEY}


# --- both ------------------------------------------------------------------------------------------------

VERIFIERS = [one for one in CATALOGUE if one.spec.role == "verifier"]
each_verifier = pytest.mark.parametrize("one", VERIFIERS, ids=lambda one: one.name)


def test_reoon_is_asked_before_mailverify() -> None:
    assert [one.name for one in VERIFIERS] == ["reoon", "mailverify"]


@each_verifier
def test_without_an_address_nothing_is_asked(one: Row) -> None:
    assert all(operation_.ask(Question(DANA)) is None for operation_ in one.spec.operations)


@each_verifier
def test_every_verification_is_billed_and_none_is_repeated_in_doubt(one: Row) -> None:
    assert one.terms.price.billing is Billing.PER_CALL
    assert one.terms.replay == "billed_per_call"


@each_verifier
def test_a_told_wait_is_kept(one: Row) -> None:
    problem = one.spec.problem(response(429, "", {"retry-after": "7"}))
    assert problem is not None
    assert (problem.remedy, problem.wait_s) == (LIMITED, 7.0)


@each_verifier
def test_no_secret_stands_in_a_request(one: Row) -> None:
    signature = one.spec.sign(dict.fromkeys(one.spec.secrets, KEY))
    assert KEY in json.dumps([dict(signature.headers), dict(signature.query)])
    for operation_ in one.spec.operations:
        request = operation_.ask(Question(DANA, EMAIL))
        assert request is not None
        assert KEY not in json.dumps(request.as_json())
