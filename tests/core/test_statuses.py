from itertools import pairwise

import pytest

from phase3_core.statuses import (
    ACCEPTED,
    CampaignStatus,
    EmailStatus,
    Reason,
    Verdict,
    email_status,
    may_become,
)

S = CampaignStatus
RUNNABLE = set(S) - {S.APPROVED, S.REJECTED}
MOVES = {
    S.IMPORT_COMPLETE: set[S](),
    S.VERIFYING_EMAILS: RUNNABLE,
    S.EMAILS_VERIFIED: {S.VERIFYING_EMAILS},
    S.ENRICHING: RUNNABLE - {S.IMPORT_COMPLETE},
    S.ENRICHED: {S.ENRICHING},
    S.VERIFICATION_COMPLETE: {S.ENRICHED, S.VERIFICATION_COMPLETE, S.FAILED, S.STOPPED},
    S.APPROVED: {S.VERIFICATION_COMPLETE},
    S.REJECTED: {S.VERIFICATION_COMPLETE},
    S.RE_ENRICHMENT_REQUESTED: {S.VERIFICATION_COMPLETE},
    S.FAILED: RUNNABLE,
    S.STOPPED: RUNNABLE,
}


@pytest.mark.parametrize("to", S)
@pytest.mark.parametrize("of", S)
def test_every_move_is_allowed_or_refused(of: S, to: S) -> None:
    assert (of in may_become(to)) is (of in MOVES[to])


def test_nobody_but_phase_2_hands_over_a_campaign() -> None:
    assert may_become(S.IMPORT_COMPLETE) == frozenset()


@pytest.mark.parametrize("decided", [S.APPROVED, S.REJECTED])
def test_a_decided_campaign_moves_no_more(decided: S) -> None:
    assert not [to for to in S if decided in may_become(to)]


def test_the_usual_way_is_open_from_end_to_end() -> None:
    way = [
        S.IMPORT_COMPLETE,
        S.VERIFYING_EMAILS,
        S.EMAILS_VERIFIED,
        S.ENRICHING,
        S.ENRICHED,
        S.VERIFICATION_COMPLETE,
        S.APPROVED,
    ]
    assert all(of in may_become(to) for of, to in pairwise(way))


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.VALID, EmailStatus.VALID),
        (Verdict.RISKY, EmailStatus.RISKY),
        (Verdict.CATCH_ALL, EmailStatus.CATCH_ALL),
        (Verdict.INVALID, EmailStatus.INVALID),
        (Verdict.UNKNOWN, EmailStatus.UNKNOWN),
    ],
)
def test_a_verdict_keeps_its_word_in_the_seeds_spelling(verdict: Verdict, status: EmailStatus) -> None:
    plain = set(Reason) - {Reason.DISPOSABLE, Reason.ROLE_ACCOUNT, Reason.INBOX_FULL}
    assert {email_status(verdict, reason) for reason in plain} == {status}
    assert email_status(verdict) is status


@pytest.mark.parametrize("verdict", Verdict)
def test_a_disposable_or_role_address_is_named_for_what_it_is(verdict: Verdict) -> None:
    assert email_status(verdict, Reason.DISPOSABLE) is EmailStatus.DISPOSABLE
    assert email_status(verdict, Reason.ROLE_ACCOUNT) is EmailStatus.ROLE_BASED


@pytest.mark.parametrize("verdict", Verdict)
def test_a_full_inbox_is_not_to_be_sent_to_and_not_invalid_either(verdict: Verdict) -> None:
    assert email_status(verdict, Reason.INBOX_FULL) is EmailStatus.UNKNOWN


def test_only_valid_and_risky_are_accepted() -> None:
    accepted = {(v, r) for v in Verdict for r in Reason if email_status(v, r) in ACCEPTED}
    assert {verdict for verdict, _ in accepted} == {Verdict.VALID, Verdict.RISKY}
    assert not {reason for _, reason in accepted} & {
        Reason.DISPOSABLE,
        Reason.ROLE_ACCOUNT,
        Reason.INBOX_FULL,
    }
