"""Forgetting a person: by what they are recognised afterwards, and what is taken out of whatever names them.

Whoever is forgotten stays on the suppression list under keyed hashes of what identifies them: addresses, the
LinkedIn profile, the name at the company. Without the key nobody can tell from a hash whom it means, nor
find out by hashing guesses.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from phase3_core.leads import Lead
from phase3_core.statuses import ACCEPTED
from phase3_core.suppression import domains_of, normalised, subjects_of, subjects_of_address

REMEMBERED = 16_384
FORGOTTEN = "[forgotten]"

_PROFILE = re.compile(r"linkedin\.com/(?:in|pub)/[^\s/?#]+", re.IGNORECASE)


# --- whom a hash means


def identities_of(lead: Lead, *addresses: str) -> tuple[str, ...]:
    """As `subjects_of`, of one person alone; a name counts only where no accepted address tells more."""
    by_name = () if lead.email_status in ACCEPTED else _names_at(lead, domains_of(lead.company_domain))
    return (*_by_mail((lead.email, *addresses)), *_by_profile(lead), *by_name)


def identities_to_list(people: Iterable[Lead], addresses: Iterable[str]) -> tuple[str, ...]:
    """All by which any of a person's leads would be known again, wherever it comes from."""
    of_leads = (
        identity
        for lead in people
        for identity in (*_by_profile(lead), *_names_at(lead, (lead.company_domain,)))
    )
    return tuple(dict.fromkeys((*_by_mail(addresses), *of_leads)))


def profile_of(url: str) -> str:
    """`https://www.LinkedIn.com/in/Ada/?x=1` is `linkedin.com/in/ada`; empty for anything else."""
    found = _PROFILE.search(url)
    return found.group().lower() if found else ""


def _by_mail(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"mail:{known}" for address in addresses if (known := normalised(address)))


def _by_profile(lead: Lead) -> tuple[str, ...]:
    profile = profile_of(lead.linkedin_url)
    return (f"profile:{profile}",) if profile else ()


def _names_at(lead: Lead, domains: Iterable[str]) -> tuple[str, ...]:
    whole = [f"{name.first} {name.last}" for name in lead.mailbox_names if name.first and name.last]
    return tuple(f"name:{name}@{domain}" for domain in domains if domain for name in whole)


def lead_subject(lead_id: UUID) -> str:
    """So a lead that a run has in hand is known, whatever becomes of its row."""
    return f"lead-{lead_id}"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes and recognises keyed hashes; without a key it knows the leads that were forgotten, nobody else.

    A hash begins with its key's fingerprint, so that a wrong key is noticed.
    """

    key: bytes = field(default=b"", repr=False)

    @property
    def fingerprint(self) -> str:
        return _keyed(self.key, "fingerprint")[:8] if self.key else ""

    def of(self, identities: Iterable[str]) -> tuple[str, ...]:
        if not self.key:
            return ()
        return tuple(f"{self.fingerprint}-{_keyed(self.key, identity)}" for identity in identities)

    def subjects_of(self, lead: Lead, *addresses: str) -> tuple[str, ...]:
        """All that the suppression list may know the lead by."""
        hashes = self.of(identities_of(lead, *addresses)) if self.key else ()
        return (*subjects_of(lead, *addresses), lead_subject(lead.id), *hashes)

    def subjects_of_address(self, address: str) -> tuple[str, ...]:
        return (*subjects_of_address(address), *self.of(_by_mail((address,))))


@lru_cache(REMEMBERED)
def _keyed(key: bytes, identity: str) -> str:
    return hmac.digest(key, identity.encode("utf-8", "surrogatepass"), "sha256").hex()


# --- what names them


@dataclass(frozen=True, slots=True)
class Marks:
    """What names a person in a text: alone (mailboxes, as local part and domain, and profiles, all in lower
    case), or at their company (first, last name, also as mailboxes spell them).
    """

    mailboxes: tuple[tuple[str, str], ...] = ()
    profiles: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    companies: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.mailboxes or self.profiles or self.names)


def marks_of(people: Sequence[Lead], addresses: Iterable[str]) -> Marks:
    """`addresses` as they were written."""
    mailboxes = (_mailbox(known) for address in addresses if (known := normalised(address)))
    profiles = filter(None, (profile_of(lead.linkedin_url) for lead in people))
    names = (name for lead in people for name in _spellings(lead) if all(name))
    companies = filter(None, (lead.company_domain for lead in people))
    found: tuple[Iterable[Any], ...] = (mailboxes, profiles, names, companies)
    return Marks(*(tuple(dict.fromkeys(several)) for several in found))


def _mailbox(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain


def _spellings(lead: Lead) -> Iterator[tuple[str, str]]:
    yield lead.first_name, lead.last_name
    yield from ((name.first, name.last) for name in lead.mailbox_names)


def without(value: Any, marks: Marks, *, at_their_company: bool) -> Any:
    """JSON or text with nothing in it that names the person; names count `at_their_company` alone.

    A name in two pieces is taken out where one object holds both. Whoever's address, profile or name merely
    contains theirs is somebody else.
    """
    names = marks.names if at_their_company else ()
    pieces = [
        *(_ADDRESS.format(*map(re.escape, mailbox)) for mailbox in marks.mailboxes),
        *(_PROFILE_IN_TEXT.format(re.escape(profile)) for profile in marks.profiles),
        *(_NAME.format(*map(re.escape, order)) for name in names for order in (name, name[::-1])),
    ]
    return _without(value, re.compile("|".join(pieces), re.IGNORECASE), names) if pieces else value


# As a URL spells them, too: `%40` is an at sign, and what stands after `%20` begins there.
_ENCODED = r"(?<=%[0-9a-f][0-9a-f])"
_ADDRESS = (  # with any tag
    rf"(?:(?<![\w.+-])(?<!\w')|{_ENCODED}){{}}(?:(?:\+|%2b)[\w.+-]*)?(?:@|%40){{}}(?![\w-]|\.\w)"
)
_PROFILE_IN_TEXT = r"{}(?![\w-]|%[c-f])"
_APART = r"(?:[\W_]|%[0-9a-f][0-9a-f]){{1,3}}"
# In either order, with dots or hyphens as in addresses, with a name or an initial between.
_NAME = rf"(?:(?<![^\W_])|{_ENCODED}){{}}{_APART}(?:[^\W_]{{{{1,20}}}}{_APART})?{{}}(?![^\W_])"


def _without(value: Any, pattern: re.Pattern[str], names: Sequence[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        return pattern.sub(FORGOTTEN, value)
    if isinstance(value, Mapping):
        kept = _nameless(value, names)
        return {pattern.sub(FORGOTTEN, key): _without(one, pattern, names) for key, one in kept.items()}
    if isinstance(value, list | tuple):
        return [_without(one, pattern, names) for one in value]
    return value


def _nameless(value: Mapping[str, Any], names: Sequence[tuple[str, str]]) -> dict[str, Any]:
    words = {one.strip().casefold() for one in value.values() if isinstance(one, str)}
    parts = {part.casefold() for name in names if set(map(str.casefold, name)) <= words for part in name}
    return {
        key: FORGOTTEN if isinstance(one, str) and one.strip().casefold() in parts else one
        for key, one in value.items()
    }
