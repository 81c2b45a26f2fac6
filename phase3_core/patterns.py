"""Mail patterns: how companies build mailboxes from names, and which guess is worth a verification."""

from collections.abc import Iterable
from enum import StrEnum

from phase3_core.leads import Lead, MailboxName
from phase3_core.money import Money


class Pattern(StrEnum):
    FIRST_DOT_LAST = "first.last"
    FIRST_LAST = "firstlast"
    F_LAST = "flast"
    FIRST = "first"
    F_DOT_LAST = "f.last"
    LAST = "last"
    FIRST_UNDERSCORE_LAST = "first_last"


# Share of companies that use a pattern: the prior for a domain of which nothing is known.
# Only these are guessed blindly (design: pattern guesses); the others only once seen on a valid address.
GUESSED_BLINDLY: dict[Pattern, float] = {
    Pattern.FIRST_DOT_LAST: 0.45,
    Pattern.FIRST_LAST: 0.10,
    Pattern.F_LAST: 0.20,
    Pattern.FIRST: 0.12,
}
SEEN_BEFORE = 0.85  # P(valid) of a guess by the pattern that a colleague's valid address shows


def local_part(pattern: Pattern, name: MailboxName) -> str:
    """The mailbox before the @, or empty where the name lacks a part that the pattern needs."""
    first, last = name.first, name.last
    spelled = {
        Pattern.FIRST_DOT_LAST: f"{first}.{last}",
        Pattern.FIRST_LAST: first + last,
        Pattern.F_LAST: first[:1] + last,
        Pattern.FIRST: first,
        Pattern.F_DOT_LAST: f"{first[:1]}.{last}",
        Pattern.LAST: last,
        Pattern.FIRST_UNDERSCORE_LAST: f"{first}_{last}",
    }
    needs_first = pattern is not Pattern.LAST
    needs_last = pattern is not Pattern.FIRST
    if (needs_first and not first) or (needs_last and not last):
        return ""
    return spelled[pattern]


def pattern_of(email: str, names: Iterable[MailboxName]) -> Pattern | None:
    """The pattern that turns one of a person's names into this address, if any does."""
    mailbox = email.partition("@")[0].casefold()
    for name in names:
        for pattern in Pattern:
            if mailbox and local_part(pattern, name) == mailbox:
                return pattern
    return None


def guesses(lead: Lead, seen: Pattern | None) -> tuple[tuple[str, float], ...]:
    """Addresses worth a thought, each with P(valid | the ones before it were not).

    With a pattern seen at the company only that one is guessed: another would be the exception's exception.
    """
    if not lead.company_domain or not lead.mailbox_names:
        return ()
    if seen is not None:
        mailbox = local_part(seen, lead.mailbox_names[0])
        return ((f"{mailbox}@{lead.company_domain}", SEEN_BEFORE),) if mailbox else ()
    ranked = sorted(GUESSED_BLINDLY.items(), key=lambda item: -item[1])
    addresses: list[tuple[str, float]] = []
    missed = 0.0
    for pattern, share in ranked:
        if mailbox := local_part(pattern, lead.mailbox_names[0]):
            addresses.append((f"{mailbox}@{lead.company_domain}", share / (1 - missed)))
            missed += share
    return tuple(addresses)


def worth_guessing(chance: float, verification: Money, finder_cost_per_valid: float) -> bool:
    """A guess is made only while it costs less per valid address than the first finder (design §2)."""
    return chance > 0 and float(verification) / chance < finder_cost_per_valid
