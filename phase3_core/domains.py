"""What a company's leads show about its mail."""

from dataclasses import dataclass, replace

from phase3_core.leads import Lead
from phase3_core.patterns import Pattern, pattern_of
from phase3_core.progress import Progress
from phase3_core.statuses import EmailStatus, Reason

MOST_LEADERS = 3  # leads of a domain that go one after another until its mail pattern is known


@dataclass(frozen=True, slots=True)
class Domain:
    """What a company's other leads have shown about its mail."""

    pattern: Pattern | None = None
    catch_all: bool = False
    without_mail: bool = False  # no server takes any

    @property
    def known(self) -> bool:
        return self.catch_all or self.without_mail or self.pattern is not None


def learn(domain: Domain, lead: Lead, progress: Progress) -> Domain:
    """What this lead's verified candidates show about its company's mail."""
    for candidate in progress.candidates:
        if candidate.email.partition("@")[2].casefold() != lead.company_domain:
            continue
        if candidate.catch_all:
            return replace(domain, catch_all=True)
        if candidate.judgement and candidate.judgement.reason is Reason.NO_MAIL_SERVERS:
            return replace(domain, without_mail=True)
        if candidate.status is EmailStatus.VALID:
            pattern = pattern_of(candidate.email, lead.mailbox_names)
            return replace(domain, pattern=domain.pattern or pattern)
    return domain
