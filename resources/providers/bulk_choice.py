"""Whether a provider's questions go one by one or many in a task."""

from resources.providers.gate import Limits
from resources.providers.spec import ProviderSpec
from resources.settings_tables import ProviderSettings

LONGEST_ALONE_S = 1_800.0  # single calls may take so long; what would take longer is done in bulk
QUESTIONS_PER_LEAD = 1.5
ANSWER_S = 3.0


def takes_tasks(spec: ProviderSpec) -> bool:
    return any(operation.bulk or operation.pack for operation in spec.operations)


def in_bulk(own: ProviderSettings, spec: ProviderSpec, limits: Limits, waiting: int) -> bool:
    """As the settings say; `auto`: where single calls would take over half an hour for the leads waiting."""
    if own.bulk != "auto" or not takes_tasks(spec):
        return own.bulk == "always"
    return _alone_s(limits, waiting) > LONGEST_ALONE_S


def _alone_s(limits: Limits, waiting: int) -> float:
    """A lead is expected to cost one reading where readings are what the vendor counts.

    Else one and a half questions of three seconds, so many at once and in a second as the vendor takes.
    """
    if limits.reads_per_minute:
        return waiting / limits.reads_per_minute * 60
    questions = waiting * QUESTIONS_PER_LEAD
    return max(questions * ANSWER_S / limits.in_flight, questions / limits.rate if limits.rate else 0.0)
