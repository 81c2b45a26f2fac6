"""Whether a provider's questions go one by one or many in a task."""

from resources.providers.gate import Limits
from resources.providers.spec import ProviderSpec
from resources.settings_tables import ProviderSettings

LONGEST_ALONE_S = 1_800.0  # single calls may take so long; what would take longer is done in bulk
QUESTIONS_PER_LEAD = 1.5


def takes_tasks(spec: ProviderSpec) -> bool:
    return any(operation.bulk or operation.pack for operation in spec.operations)


def in_bulk(own: ProviderSettings, spec: ProviderSpec, limits: Limits, waiting: int, answer_s: float) -> bool:
    """As the settings say; `auto`: where single calls would take over half an hour for the leads waiting.

    `answer_s`: how long a single call's answer takes.
    """
    if own.bulk != "auto" or not takes_tasks(spec):
        return own.bulk == "always"
    return _alone_s(limits, waiting, answer_s) > LONGEST_ALONE_S


def _alone_s(limits: Limits, waiting: int, answer_s: float) -> float:
    """A lead is expected to cost one reading where readings are what the vendor counts.

    Else one and a half questions, so many at once and in a second as the vendor takes.
    """
    if limits.reads_per_minute:
        return waiting / limits.reads_per_minute * 60
    questions = waiting * QUESTIONS_PER_LEAD
    return max(questions * answer_s / limits.in_flight, questions / limits.rate if limits.rate else 0.0)
