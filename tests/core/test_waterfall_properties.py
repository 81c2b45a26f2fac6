"""What holds of the waterfall whatever finders and verifiers answer."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from phase3_core.calls import FinderReply, Gap, Hit, Judgement, Miss, NoAnswer, VerifierReply
from phase3_core.domains import Domain, learn
from phase3_core.leads import Lead, MailboxName
from phase3_core.money import ZERO, Money
from phase3_core.patterns import GUESSED_BLINDLY, Pattern
from phase3_core.plan import Plan, Quote
from phase3_core.progress import GUESS
from phase3_core.statuses import ACCEPTED, EmailStatus, Reason, Verdict
from phase3_core.waterfall import Stop
from tests.core.walk import PER_CALL, PER_HIT, Oracle, Walk, walk
from tests.fakes.people import a_lead

FINDERS = ("tomba", "muraena", "voila_norbert", "nimbler", "icypeas", "anymailfinder", "findymail")
MAILBOXES = ("ada.lovelace", "alovelace", "ada", "adalovelace", "a.lovelace", "info", "Ada.Lovelace")
EMAILS = tuple(f"{mailbox}@{host}" for mailbox in MAILBOXES for host in ("acme.com", "gmail.com"))

NO_ANSWERS = st.builds(NoAnswer, st.sampled_from(Gap))
JUDGEMENTS = st.builds(
    Judgement,
    st.sampled_from(Verdict),
    st.sampled_from([Reason.NONE, *Reason]),
    st.none() | st.integers(0, 100),
)
FOUND: st.SearchStrategy[FinderReply] = (
    st.builds(Hit, st.sampled_from(EMAILS), st.none() | st.integers(0, 100)) | st.just(Miss()) | NO_ANSWERS
)
JUDGED: st.SearchStrategy[VerifierReply] = JUDGEMENTS | NO_ANSWERS
LEADS = st.builds(
    a_lead,
    email=st.sampled_from(["", *EMAILS]),
    company_domain=st.sampled_from(["acme.com", "acme.com", ""]),
    mailbox_names=st.sampled_from([(MailboxName("ada", "lovelace"),), (MailboxName("ada", ""),), ()]),
)
ORACLES = st.builds(
    Oracle,
    st.dictionaries(st.sampled_from(FINDERS), FOUND),
    st.dictionaries(st.sampled_from(EMAILS), JUDGED),
    st.dictionaries(st.sampled_from(EMAILS), JUDGED),
)
PLANS = st.builds(
    Plan,
    st.permutations(FINDERS).flatmap(
        lambda order: st.integers(1, 7).map(lambda n: tuple(Quote(name, PER_HIT) for name in order[:n]))
    ),
    st.just(PER_CALL),
    st.booleans(),
    st.booleans(),
    st.integers(0, 7),
)
DOMAINS = st.builds(Domain, st.none() | st.sampled_from(Pattern), st.booleans())
CASES = st.tuples(LEADS, PLANS, ORACLES, DOMAINS)
Case = tuple[Lead, Plan, Oracle, Domain]


def cost(went: Walk, oracle: Oracle) -> Money:
    """What the vendors would take: a hit each, a verification each, also for an answer that was lost."""
    hits = [oracle.finders.get(name, Miss()) for name in went.asked]
    found = sum((PER_HIT.charge(hit) for hit in hits if not isinstance(hit, NoAnswer)), ZERO)
    return found + PER_CALL.ceiling * (len(went.verified) + len(went.second_opinions))


@given(CASES)
def test_it_comes_to_a_stop_within_its_bound(case: Case) -> None:
    lead, plan, *_ = case
    sources = len(plan.finders) + len(GUESSED_BLINDLY) + 1
    assert len(walk(*case).steps) <= 4 * sources + 1
    assert isinstance(walk(*case).stop, Stop)
    assert lead.id == walk(*case).result.lead_id


@given(CASES)
def test_no_finder_is_asked_twice_and_all_in_their_order(case: Case) -> None:
    plan, asked = case[1], walk(*case).asked
    assert asked == [quote.provider for quote in plan.finders][: len(asked)]
    assert len(asked) <= plan.max_providers_per_lead


@given(CASES)
def test_no_address_is_verified_twice_by_the_same_verifier(case: Case) -> None:
    went = walk(*case)
    for emails in (went.verified, went.second_opinions):
        assert all(count == 1 for count in Counter(email.casefold() for email in emails).values())
    assert set(went.second_opinions) <= {*went.verified, *(email for email in EMAILS)}


@given(CASES)
def test_the_same_answers_give_the_same_steps(case: Case) -> None:
    assert walk(*case) == walk(*case)


@given(CASES)
def test_it_never_costs_more_than_its_steps_at_their_worst(case: Case) -> None:
    plan = case[1]
    asked = min(len(plan.finders), plan.max_providers_per_lead)
    looked_at = asked + len(GUESSED_BLINDLY) + 1
    bound = PER_HIT.ceiling * asked + PER_CALL.ceiling * looked_at * (1 + plan.second_opinion)
    assert cost(walk(*case), case[2]) <= bound


@given(CASES)
def test_at_most_one_address_is_accepted_and_it_is_the_result(case: Case) -> None:
    went = walk(*case)
    accepted = [candidate for candidate in went.progress.candidates if candidate.status in ACCEPTED]
    assert len(accepted) <= 1
    assert (went.stop is Stop.ACCEPTED) is bool(accepted and not went.progress.verifier_gone)
    if went.stop is Stop.ACCEPTED:
        assert went.result.email == accepted[0].email
        assert went.result.status is accepted[0].status


@given(CASES)
def test_nothing_is_bought_after_an_accepted_address(case: Case) -> None:
    went = walk(*case)
    accepted = {c.email for c in went.progress.candidates if c.status in ACCEPTED}
    assert went.stop is not Stop.EXHAUSTED or not accepted


@given(CASES)
def test_no_finder_is_asked_once_the_verifier_is_gone(case: Case) -> None:
    went = walk(*case)
    gone = went.progress.verifier_gone
    assert (went.stop is Stop.VERIFIER_GONE) is gone
    unwritten = gone or bool(went.result.waits) or went.result.suppressed
    assert (went.result.status is None) is unwritten
    if gone:
        assert went.progress.candidates[-1].email == went.verified[-1]


@given(CASES)
def test_a_lead_waits_for_who_may_be_asked_later_unless_it_is_accepted_or_suppressed(case: Case) -> None:
    went = walk(*case)
    later = {wait.provider for wait in went.progress.waits}
    assert later <= {*went.asked, "reoon", "mailverify"}
    waits_for_nobody = went.stop in {Stop.ACCEPTED, Stop.SUPPRESSED}
    assert went.result.waits == (() if waits_for_nobody else went.progress.awaited)


@given(CASES)
def test_who_is_parked_is_waited_for_only_where_no_other_finder_was_asked(case: Case) -> None:
    progress = walk(*case).progress
    if awaited := set(progress.awaited) - set(progress.waits):
        assert {wait.provider for wait in awaited} == set(progress.tried)


@given(CASES)
def test_guesses_are_made_before_any_finder_and_never_on_a_catch_all(case: Case) -> None:
    _, plan, _, domain = case
    went = walk(*case)
    kinds = [type(step).__name__ for step in went.steps]
    if "Guess" in kinds:
        assert plan.guessing
        assert not domain.catch_all
        assert "Find" not in kinds[: len(kinds) - kinds[::-1].index("Guess")]


@given(CASES)
def test_a_guess_never_gets_a_second_opinion_unless_a_finder_found_it_too(case: Case) -> None:
    went, oracle = walk(*case), case[2]
    found = {hit.email.casefold() for name in went.asked if isinstance(hit := oracle.finders.get(name), Hit)}
    delivered = {case[0].email.casefold()}
    assert {email.casefold() for email in went.second_opinions} <= found | delivered


@given(CASES)
def test_a_row_never_shows_an_unaccepted_guess(case: Case) -> None:
    result = walk(*case).result
    if result.provider == GUESS:
        assert result.status in ACCEPTED
    written = result.status not in {None, EmailStatus.NOT_FOUND}
    assert bool(result.email) is written or result.suppressed


@given(CASES)
def test_a_lost_verdict_never_makes_an_address_invalid(case: Case) -> None:
    lead, plan, oracle, domain = case
    silent = Oracle(oracle.finders, dict.fromkeys(EMAILS, NoAnswer(Gap.LOST)))
    statuses = {candidate.status for candidate in walk(lead, plan, silent, domain).progress.candidates}
    unscripted = {c.email for c in walk(lead, plan, silent, domain).progress.candidates} - set(EMAILS)
    assert unscripted or statuses <= {EmailStatus.UNKNOWN}


@given(CASES)
def test_what_is_learned_is_never_forgotten(case: Case) -> None:
    lead, _, _, domain = case
    after = learn(domain, lead, walk(*case).progress)
    assert after.catch_all >= domain.catch_all
    assert domain.pattern in {None, after.pattern}
