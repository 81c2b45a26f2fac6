"""Who must not be asked about: people and companies on the suppression list, and how leads are known by it.

A *subject* is what an entry of the list can name: an address without its tag, or a bare domain. A lead is
suppressed where one of its subjects is listed.
"""

import re
from collections.abc import Set as AbstractSet
from functools import lru_cache

from phase3_core.leads import Lead, MailboxName
from phase3_core.patterns import Pattern, local_part
from phase3_core.statuses import ACCEPTED

LEADS_REMEMBERED = 4_096

_SITE = re.compile(r"^(?:[a-z]+://|@)?(?:www\.)?")
_ENTRY = re.compile(r"(?:[^\s@,;]+@)?[^\s@,;:/]+\.[^\s@,;:/.]+")


def normalised(address: str) -> str:
    """In lower case, without the tag behind a plus; empty for what is no address."""
    mailbox, at, domain = _visible(address).lower().rpartition("@")
    name = mailbox.partition("+")[0] or mailbox
    return f"{name}@{domain}" if name and at and "." in domain else ""


def entry_of(text: str) -> str:
    """The subject that a note means: an address, a domain, a URL of one; empty where it means none."""
    words = _visible(text).lower()
    subject = normalised(words) if "@" in words.lstrip("@") else _SITE.sub("", words).partition("/")[0]
    return subject if _ENTRY.fullmatch(subject) else ""


def _visible(text: str) -> str:
    shown = text if text.isprintable() else "".join(filter(str.isprintable, text))
    return shown.strip()


@lru_cache(LEADS_REMEMBERED)
def domains_of(domain: str) -> tuple[str, ...]:
    """The domain and those above it, as far as they have a dot: `mail.acme.com`, `acme.com`."""
    labels = _visible(domain).lower().strip(".").split(".")
    return tuple(".".join(labels[place:]) for place in range(len(labels) - 1))


def subjects_of_address(address: str) -> tuple[str, ...]:
    known = normalised(address)
    return (known, *domains_of(known.rpartition("@")[2])) if known else ()


def subjects_of(lead: Lead, *addresses: str) -> tuple[str, ...]:
    """All that the list may know the lead by, each once; `addresses` that are held to be the lead's too.

    Whose accepted address is not known may be behind any mailbox that the name makes at the company.
    """
    known = lead.email_status in ACCEPTED
    by_name = () if known else _by_name(lead.mailbox_names, lead.company_domain)
    of_addresses = (
        subject for address in (lead.email, *addresses) for subject in subjects_of_address(address)
    )
    return tuple(dict.fromkeys((*domains_of(lead.company_domain), *of_addresses, *by_name)))


@lru_cache(LEADS_REMEMBERED)
def _by_name(names: tuple[MailboxName, ...], domain: str) -> tuple[str, ...]:
    mailboxes = dict.fromkeys(local_part(pattern, name) for name in names for pattern in Pattern)
    return tuple(f"{mailbox}@{domain}" for mailbox in mailboxes if mailbox and domain)


def is_suppressed(lead: Lead, listed: AbstractSet[str], *addresses: str) -> bool:
    """`listed`: subjects, as `normalised` and bare domains."""
    return not listed.isdisjoint(subjects_of(lead, *addresses))
