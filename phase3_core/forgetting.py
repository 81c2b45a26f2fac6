"""Forgetting a person: by what they are recognised afterwards, and what is taken out of whatever names them.

Whoever is forgotten stays on the suppression list under keyed hashes of what identifies them: addresses, the
LinkedIn profile, the name at the company. Without the key nobody can tell from a hash whom it means, nor
find out by hashing guesses.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
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
    """What names a person in a text: alone (addresses, profiles), or at their company (first, last name)."""

    alone: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    companies: tuple[str, ...] = ()

    @property
    def phrases(self) -> tuple[str, ...]:
        """In lower case, all that may stand in one piece."""
        return (*self.alone, *(f"{first} {last}".lower() for first, last in self.names))


def marks_of(people: Sequence[Lead], addresses: Iterable[str]) -> Marks:
    """`addresses` as they were written, with and without tags."""
    written = [address.strip().lower() for address in addresses]
    profiles = [profile_of(lead.linkedin_url) for lead in people]
    alone = filter(None, (*written, *map(normalised, written), *profiles))
    names = ((lead.first_name, lead.last_name) for lead in people if lead.first_name and lead.last_name)
    companies = filter(None, (lead.company_domain for lead in people))
    return Marks(tuple(dict.fromkeys(alone)), tuple(dict.fromkeys(names)), tuple(dict.fromkeys(companies)))


def without(value: Any, marks: Marks, *, at_their_company: bool) -> Any:
    """JSON or text with nothing in it that names the person; names count `at_their_company` alone.

    A name in two pieces is taken out where one object holds both.
    """
    phrases = marks.phrases if at_their_company else marks.alone
    if not phrases:
        return value
    pattern = re.compile("|".join(map(re.escape, sorted(phrases, key=len, reverse=True))), re.IGNORECASE)
    return _without(value, pattern, marks.names if at_their_company else ())


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
