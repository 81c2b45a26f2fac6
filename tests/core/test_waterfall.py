import pytest

from phase3_core.calls import Billing, Gap, Hit, Judgement, Miss, NoAnswer, Price
from phase3_core.domains import Domain, learn
from phase3_core.email_result import result_of
from phase3_core.leads import MailboxName
from phase3_core.money import ZERO, usd
from phase3_core.order import CheapestValid, Patience
from phase3_core.patterns import Pattern
from phase3_core.plan import Plan, Quote
from phase3_core.progress import (
    DELIVERED,
    GUESS,
    Candidate,
    Progress,
    after_find,
    after_second_opinion,
    after_verify,
    start,
)
from phase3_core.rates import FinderRates
from phase3_core.statuses import EmailStatus, Reason, Verdict
from phase3_core.waterfall import Find, Guess, SecondOpinion, Step, Stop, Verify, next_step
from tests.core.walk import PER_CALL, PER_HIT, STRANGE, Oracle, a_plan, walk
from tests.fakes.clock import NOON
from tests.fakes.people import a_lead

ADA = a_lead()
VALID, RISKY, CATCH_ALL, INVALID, UNKNOWN = (Judgement(verdict) for verdict in Verdict)
LOST, DOWN, PARKED = NoAnswer(Gap.LOST), NoAnswer(Gap.DOWN), NoAnswer(Gap.PARKED)
GUESSED = "ada.lovelace@acme.com"
NO_MAIL = Judgement(Verdict.INVALID, Reason.NO_MAIL_SERVERS)
A, B = "a@acme.com", "b@acme.com"


# Order of work


def test_an_address_that_is_there_already_goes_straight_to_verification() -> None:
    lead = a_lead(email=A)
    went = walk(lead, a_plan("tomba", guessing=True), Oracle(first={A: VALID}))
    assert went.steps == (Verify(A), Stop.ACCEPTED)
    assert (went.result.email, went.result.provider, went.result.status) == (A, DELIVERED, EmailStatus.VALID)


def test_an_address_that_is_there_and_fails_is_looked_for_elsewhere() -> None:
    lead = a_lead(email=A)
    went = walk(lead, a_plan("tomba"), Oracle({"tomba": Hit(B)}, {B: VALID}))
    assert went.steps == (Verify(A), Find("tomba"), Verify(B), Stop.ACCEPTED)


def test_finders_are_asked_in_the_order_of_the_plan() -> None:
    assert walk(ADA, a_plan("tomba", "muraena", "icypeas"), Oracle()).asked == ["tomba", "muraena", "icypeas"]


@pytest.mark.parametrize("verdict", [VALID, RISKY])
def test_the_first_accepted_address_stops_the_waterfall(verdict: Judgement) -> None:
    oracle = Oracle({"tomba": Hit(A), "muraena": Hit(B)}, {A: verdict, B: VALID})
    went = walk(ADA, a_plan("tomba", "muraena"), oracle)
    assert went.steps == (Find("tomba"), Verify(A), Stop.ACCEPTED)
    assert went.result.email == A


@pytest.mark.parametrize("reason", [Reason.ROLE_ACCOUNT, Reason.DISPOSABLE])
def test_a_mailbox_that_works_but_is_nobodys_own_is_not_accepted(reason: Reason) -> None:
    oracle = Oracle({"tomba": Hit(A), "muraena": Hit(B)}, {A: Judgement(Verdict.VALID, reason), B: VALID})
    assert walk(ADA, a_plan("tomba", "muraena"), oracle).result.email == B


def test_no_more_finders_are_asked_than_the_plan_allows() -> None:
    went = walk(ADA, a_plan("tomba", "muraena", "icypeas", most=2), Oracle())
    assert went.asked == ["tomba", "muraena"]
    assert went.stop is Stop.EXHAUSTED


def test_nobody_else_is_asked_about_a_suppressed_lead() -> None:
    oracle = Oracle({"tomba": NoAnswer(Gap.SUPPRESSED), "muraena": Hit(A)})
    went = walk(ADA, a_plan("tomba", "muraena"), oracle)
    assert went.steps == (Find("tomba"), Stop.SUPPRESSED)
    assert (went.result.status, went.result.suppressed) == (None, True)


@pytest.mark.parametrize("gap", [gap for gap in Gap if gap is not Gap.SUPPRESSED])
def test_a_finder_that_gives_no_answer_is_passed_over(gap: Gap) -> None:
    oracle = Oracle({"tomba": NoAnswer(gap), "muraena": Hit(A)}, {A: VALID})
    assert walk(ADA, a_plan("tomba", "muraena"), oracle).result.provider == "muraena"


def test_a_lead_that_nobody_knows_is_not_found() -> None:
    went = walk(ADA, a_plan("tomba"), Oracle())
    assert went.stop is Stop.EXHAUSTED
    assert went.result.status is EmailStatus.NOT_FOUND
    assert went.result.email == ""


# One verification for one address


@pytest.mark.parametrize("spelling", [A, "A@Acme.com"])
def test_an_address_found_twice_is_verified_once(spelling: str) -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": Hit(A), "muraena": Hit(spelling)}))
    assert went.verified == [A]
    assert (went.result.email, went.result.provider) == (A, "tomba")


def test_an_address_that_was_delivered_and_found_again_is_verified_once() -> None:
    went = walk(a_lead(email=A), a_plan("tomba"), Oracle({"tomba": Hit(A)}))
    assert went.verified == [A]
    assert went.result.provider == DELIVERED


# Second opinions


def test_a_catch_all_gets_a_second_opinion() -> None:
    oracle = Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}, {A: VALID})
    went = walk(ADA, a_plan("tomba"), oracle)
    assert went.steps == (Find("tomba"), Verify(A), SecondOpinion(A), Stop.ACCEPTED)
    assert (went.result.status, went.result.verifier) == (EmailStatus.VALID, "mailverify")


def test_a_delivered_address_on_a_catch_all_gets_a_second_opinion_too() -> None:
    went = walk(a_lead(email=A), a_plan("tomba"), Oracle({}, {A: CATCH_ALL}, {A: RISKY}))
    assert went.result.status is EmailStatus.RISKY


def test_the_second_opinion_decides_also_against_the_address() -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}, {A: INVALID}))
    assert went.result.status is EmailStatus.INVALID


@pytest.mark.parametrize("silence", [UNKNOWN, LOST, DOWN, PARKED])
def test_where_the_second_verifier_does_not_know_the_first_verdict_stands(
    silence: Judgement | NoAnswer,
) -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}, {A: silence}))
    assert went.second_opinions == [A]
    assert (went.result.status, went.result.verifier) == (EmailStatus.CATCH_ALL, "reoon")


def test_a_catch_all_stays_one_where_there_is_no_second_verifier() -> None:
    went = walk(ADA, a_plan("tomba", second=False), Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}))
    assert went.second_opinions == []
    assert went.result.status is EmailStatus.CATCH_ALL


def test_a_second_catch_all_is_not_asked_about_a_third_time() -> None:
    oracle = Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}, {A: CATCH_ALL})
    went = walk(ADA, a_plan("tomba", "muraena"), oracle)
    assert went.second_opinions == [A]
    assert went.asked == ["tomba", "muraena"]


@pytest.mark.parametrize("verdict", [VALID, RISKY, INVALID, UNKNOWN])
def test_only_a_catch_all_is_worth_a_second_opinion(verdict: Judgement) -> None:
    assert walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: verdict})).second_opinions == []


# Verdicts that never came


def test_a_lost_verdict_goes_to_the_second_verifier() -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: LOST}, {A: VALID}))
    assert went.steps == (Find("tomba"), Verify(A), SecondOpinion(A), Stop.ACCEPTED)


@pytest.mark.parametrize("second", [UNKNOWN, LOST, DOWN, PARKED])
@pytest.mark.parametrize("with_second", [True, False])
def test_a_lost_verdict_is_never_read_as_invalid(second: Judgement | NoAnswer, *, with_second: bool) -> None:
    plan = a_plan("tomba", second=with_second)
    went = walk(ADA, plan, Oracle({"tomba": Hit(A)}, {A: LOST}, {A: second}))
    assert went.stop is Stop.EXHAUSTED
    assert (went.result.status, went.result.email) == (EmailStatus.UNKNOWN, A)


@pytest.mark.parametrize("gone", [DOWN, PARKED, NoAnswer(Gap.NO_INPUT)])
def test_while_the_verifier_is_gone_the_lead_waits_and_no_second_finder_is_asked(gone: NoAnswer) -> None:
    went = walk(ADA, a_plan("tomba", "muraena"), Oracle({"tomba": Hit(A)}, {A: gone}))
    assert went.steps == (Find("tomba"), Verify(A), Stop.VERIFIER_GONE)
    assert went.result.status is None


# Guesses


def test_guesses_come_before_any_finder() -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(first={GUESSED: VALID}))
    assert went.steps == (Guess(GUESSED), Verify(GUESSED), Stop.ACCEPTED)
    assert (went.result.provider, went.result.status) == (GUESS, EmailStatus.VALID)


def test_every_guess_worth_its_verification_is_made_before_the_first_finder() -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle({"tomba": Hit(A)}, {A: VALID}))
    assert went.guessed == [GUESSED, "alovelace@acme.com", "ada@acme.com", "adalovelace@acme.com"]
    assert went.result.email == A


def test_a_guess_is_not_made_where_a_finder_is_expected_to_be_cheaper() -> None:
    dear = Price(usd("0.008"), Billing.PER_CALL)
    plan = Plan((Quote("tomba", PER_HIT),), dear, second_opinion=True)
    assert walk(ADA, plan, Oracle()).guessed == [GUESSED]
    dearer = Price(usd("0.02"), Billing.PER_CALL)
    assert walk(ADA, Plan((Quote("tomba", PER_HIT),), dearer, second_opinion=True), Oracle()).guessed == []


def test_no_guess_is_made_where_guessing_is_off() -> None:
    assert walk(ADA, a_plan("tomba", guessing=False), Oracle()).guessed == []


def test_no_guess_is_made_on_a_domain_known_to_take_everything() -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(), Domain(Pattern.FIRST, catch_all=True))
    assert went.guessed == []
    assert went.asked == ["tomba"]


def test_no_guess_is_made_on_a_domain_known_to_take_no_mail() -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(), Domain(without_mail=True))
    assert (went.guessed, went.asked) == ([], ["tomba"])


def test_guesses_end_where_no_server_takes_mail_and_finders_may_know_another_domain() -> None:
    oracle = Oracle({"tomba": Hit("ada@acme.net")}, {GUESSED: NO_MAIL, "ada@acme.net": VALID})
    went = walk(ADA, a_plan("tomba", guessing=True), oracle)
    assert went.guessed == [GUESSED]
    assert went.result.email == "ada@acme.net"
    assert learn(Domain(), ADA, went.progress) == Domain(without_mail=True)


def test_a_delivered_address_without_mail_servers_is_sign_enough() -> None:
    brought = a_lead(email=A)
    went = walk(brought, a_plan("tomba", guessing=True), Oracle(first={A: NO_MAIL}))
    assert (went.guessed, went.verified) == ([], [A])


def test_a_pattern_seen_at_the_company_is_guessed_alone() -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(), Domain(Pattern.F_LAST))
    assert went.guessed == ["alovelace@acme.com"]


@pytest.mark.parametrize("sign", [CATCH_ALL, UNKNOWN, LOST])
def test_guesses_end_at_the_first_sign_that_they_prove_nothing(sign: Judgement | NoAnswer) -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(first={GUESSED: sign}, second={GUESSED: VALID}))
    assert went.guessed == [GUESSED]
    assert went.second_opinions == []
    assert went.asked == ["tomba"]


@pytest.mark.parametrize("verdict", [CATCH_ALL, UNKNOWN, INVALID, LOST])
def test_a_guess_that_was_not_accepted_is_no_find(verdict: Judgement | NoAnswer) -> None:
    went = walk(ADA, a_plan("tomba", guessing=True), Oracle(first={GUESSED: verdict}))
    assert went.result.status is EmailStatus.NOT_FOUND
    assert went.result.email == ""


def test_a_guess_that_the_delivered_address_answered_is_not_made_again() -> None:
    went = walk(a_lead(email="Ada.Lovelace@acme.com"), a_plan("tomba", guessing=True), Oracle())
    assert GUESSED not in went.guessed
    assert went.guessed[0] == "alovelace@acme.com"


def test_an_address_guessed_in_vain_and_then_found_is_the_finders_find() -> None:
    oracle = Oracle({"tomba": Hit(GUESSED, 90)}, {GUESSED: UNKNOWN})
    went = walk(ADA, a_plan("tomba", guessing=True), oracle)
    assert went.verified == [GUESSED]
    assert (went.result.status, went.result.email) == (EmailStatus.UNKNOWN, GUESSED)
    assert (went.result.provider, went.result.confidence) == ("tomba", 90)


@pytest.mark.parametrize("sign", [CATCH_ALL, LOST])
def test_an_address_guessed_in_vain_and_then_found_gets_its_second_opinion(
    sign: Judgement | NoAnswer,
) -> None:
    oracle = Oracle({"tomba": Hit(GUESSED), "muraena": Hit(A)}, {GUESSED: sign}, {GUESSED: VALID})
    went = walk(ADA, a_plan("tomba", "muraena", guessing=True), oracle)
    assert went.second_opinions == [GUESSED]
    assert went.asked == ["tomba"]
    assert (went.result.status, went.result.provider) == (EmailStatus.VALID, "tomba")


# Results


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (INVALID, Judgement(Verdict.VALID, Reason.DISPOSABLE)),
        (Judgement(Verdict.VALID, Reason.DISPOSABLE), Judgement(Verdict.VALID, Reason.ROLE_ACCOUNT)),
        (Judgement(Verdict.VALID, Reason.ROLE_ACCOUNT), UNKNOWN),
        (UNKNOWN, CATCH_ALL),
        (CATCH_ALL, RISKY),
        (CATCH_ALL, VALID),
    ],
)
@pytest.mark.parametrize("better_first", [True, False])
def test_the_result_is_the_best_candidate(worse: Judgement, better: Judgement, *, better_first: bool) -> None:
    found = {"tomba": Hit(B), "muraena": Hit(A)} if better_first else {"tomba": Hit(A), "muraena": Hit(B)}
    went = walk(ADA, a_plan("tomba", "muraena", second=False), Oracle(found, {A: worse, B: better}))
    assert went.result.email == B


def test_a_delivered_address_gives_way_only_to_an_accepted_one() -> None:
    lead, found = a_lead(email=B), {"tomba": Hit(A)}
    kept = walk(lead, a_plan("tomba", second=False), Oracle(found, {A: CATCH_ALL, B: INVALID})).result
    assert (kept.email, kept.provider, kept.status) == (B, DELIVERED, EmailStatus.INVALID)
    replaced = walk(lead, a_plan("tomba"), Oracle(found, {A: RISKY, B: INVALID})).result
    assert (replaced.email, replaced.provider, replaced.status) == (A, "tomba", EmailStatus.RISKY)


def test_of_two_equally_good_candidates_the_earlier_is_the_result() -> None:
    oracle = Oracle({"tomba": Hit(A), "muraena": Hit(B)}, {A: UNKNOWN, B: UNKNOWN})
    assert walk(ADA, a_plan("tomba", "muraena"), oracle).result.email == A


@pytest.mark.parametrize(("judgement", "confidence"), [(Judgement(Verdict.VALID, score=0), 0), (VALID, 77)])
def test_the_verifiers_score_counts_before_the_finders_confidence(
    judgement: Judgement, confidence: int
) -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A, 77)}, {A: judgement}))
    assert went.result.confidence == confidence


# What a lead teaches about its company's mail


def test_a_valid_address_shows_the_pattern() -> None:
    went = walk(
        ADA, a_plan("tomba"), Oracle({"tomba": Hit("a.lovelace@acme.com")}, {"a.lovelace@acme.com": VALID})
    )
    assert learn(Domain(), ADA, went.progress) == Domain(Pattern.F_DOT_LAST)


def test_the_first_pattern_seen_stands() -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit("ada@acme.com")}, {"ada@acme.com": VALID}))
    assert learn(Domain(Pattern.F_LAST), ADA, went.progress).pattern is Pattern.F_LAST


@pytest.mark.parametrize("second", [VALID, INVALID, DOWN])
def test_a_catch_all_is_one_whatever_the_second_opinion(second: Judgement | NoAnswer) -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: CATCH_ALL}, {A: second}))
    assert learn(Domain(), ADA, went.progress).catch_all


def test_a_confirmed_catch_all_is_one_too() -> None:
    confirmed = Judgement(Verdict.RISKY, Reason.CATCH_ALL_CONFIRMED)
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit(A)}, {A: confirmed}))
    assert learn(Domain(), ADA, went.progress) == Domain(catch_all=True)


def test_an_address_elsewhere_teaches_nothing_of_the_company() -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit("ada@gmail.com")}, {"ada@gmail.com": VALID}))
    assert learn(Domain(), ADA, went.progress) == Domain()


@pytest.mark.parametrize("verdict", [INVALID, UNKNOWN, RISKY, LOST])
def test_only_a_valid_address_teaches_a_pattern(verdict: Judgement | NoAnswer) -> None:
    went = walk(ADA, a_plan("tomba"), Oracle({"tomba": Hit("ada@acme.com")}, {"ada@acme.com": verdict}))
    assert learn(Domain(), ADA, went.progress) == Domain()


def test_a_valid_address_that_no_pattern_spells_teaches_nothing() -> None:
    lead = a_lead(mailbox_names=(MailboxName("ada", "king"),))
    went = walk(lead, a_plan("tomba"), Oracle({"tomba": Hit(GUESSED)}, {GUESSED: VALID}))
    assert not learn(Domain(), lead, went.progress).known


@pytest.mark.parametrize("domain", [Domain(Pattern.LAST), Domain(catch_all=True), Domain(without_mail=True)])
def test_a_domain_is_known_by_its_pattern_or_by_taking_everything_or_nothing(domain: Domain) -> None:
    assert domain.known
    assert not Domain().known


# Prices


def test_the_cost_of_a_valid_address_counts_misses_only_where_they_cost() -> None:
    assert Quote("x", PER_HIT).cost_per_valid(0.001) == pytest.approx((0.01 + 0.001) / 0.9)
    assert Quote("x", PER_CALL).cost_per_valid(0.001) == pytest.approx((0.001 / 0.45 + 0.001) / 0.9)
    assert Quote("x", Price(ZERO, Billing.FREE)).cost_per_valid(0.0) == 0


def test_answers_to_the_latest_candidate_leave_the_earlier_ones_alone() -> None:
    oracle = Oracle({"tomba": Hit(A), "muraena": Hit(B)}, {A: CATCH_ALL, B: CATCH_ALL}, {B: INVALID})
    went = walk(ADA, a_plan("tomba", "muraena"), oracle)
    assert [candidate.status for candidate in went.progress.candidates] == [
        EmailStatus.CATCH_ALL,
        EmailStatus.INVALID,
    ]


def test_a_start_without_an_address_has_no_candidate() -> None:
    assert start(ADA).candidates == ()
    assert Miss().why == ""


def test_a_first_verdict_that_is_lost_keeps_the_address_unjudged_until_the_second() -> None:
    lost = after_verify(start(a_lead(email=A)), "reoon", LOST)
    assert lost.candidates[-1].status is EmailStatus.UNKNOWN
    assert lost.candidates[-1].judged
    found = after_second_opinion(lost, "mailverify", VALID).candidates[-1]
    assert (found.status, found.lost, found.verifier) == (EmailStatus.VALID, False, "mailverify")


# --- a lead's own cap ------------------------------------------------------------------------------------


def step_after(spent: str, cap: str, *tried: str) -> Step:
    """Finders at a cent and at four, verification at a tenth of a cent with either verifier."""
    dear = Price(usd("0.04"), Billing.PER_HIT)
    plan = Plan(
        (Quote("dear", dear), Quote("tomba", PER_HIT)),
        PER_CALL,
        True,
        False,
        second=PER_CALL,
        lead_cap=usd(cap),
    )
    return next_step(a_lead(), plan, STRANGE, Progress(tried=tried), usd(spent))


def test_a_finder_is_asked_only_if_its_find_can_be_verified_too() -> None:
    assert step_after("0", "0.042") == Find("dear")
    assert step_after("0.000001", "0.042") == Find("tomba")


def test_a_lead_stops_at_its_cap_and_is_finished() -> None:
    assert step_after("0.031", "0.042", "dear") is Stop.OVER_BUDGET
    assert result_of(a_lead(), Progress(tried=("dear",))).status is EmailStatus.NOT_FOUND


def test_what_a_waiting_finder_will_cost_is_kept_for_it() -> None:
    later = after_find(Progress(), "tomba", NoAnswer(Gap.LATER, "its quota is spent"))
    plan = Plan(
        (Quote("tomba", PER_HIT), Quote("muraena", PER_HIT)), PER_CALL, False, False, lead_cap=usd("0.02")
    )
    assert next_step(a_lead(), plan, STRANGE, later) is Stop.OVER_BUDGET


def step_while_out(most: str, *, briefly: bool = True, max_providers: int = 7) -> Step:
    """Tomba, which costs nothing, is out."""
    prices = {"tomba": Price(ZERO, Billing.FREE), "muraena": Price(usd("0.1"), Billing.PER_CALL)}
    plan = Plan(
        tuple(Quote(name, price) for name, price in prices.items()),
        PER_CALL,
        second_opinion=False,
        guessing=False,
        max_providers_per_lead=max_providers,
        patience=Patience(usd(most), CheapestValid(prices, 0.001, FinderRates())),
    )
    out = NoAnswer(Gap.LATER, "its service fails", NOON, briefly)
    return next_step(a_lead(), plan, STRANGE, after_find(Progress(), "tomba", out))


def test_a_lead_waits_for_a_finder_that_is_out_only_where_going_on_is_too_dear() -> None:
    assert step_while_out("0.01") is Stop.PATIENT
    assert step_while_out("0.10") == Find("muraena")


def test_for_what_is_no_brief_outage_nobody_waits() -> None:
    assert step_while_out("0.01", briefly=False) == Find("muraena")


def test_who_may_ask_nobody_else_is_done_with_the_others() -> None:
    assert step_while_out("0.01", max_providers=1) is Stop.EXHAUSTED


def test_without_money_for_it_the_first_verdict_stands() -> None:
    judged = Candidate("ada@acme.com", DELIVERED, judgement=Judgement(Verdict.CATCH_ALL))
    plan = Plan((), PER_CALL, True, False, second=PER_CALL, lead_cap=usd("0.0015"))
    progress = Progress(candidates=(judged,))
    assert next_step(a_lead(), plan, STRANGE, progress, usd("0.0005")) == SecondOpinion("ada@acme.com")
    assert next_step(a_lead(), plan, STRANGE, progress, usd("0.001")) is Stop.EXHAUSTED
