"""`phase3` as if nothing were shared: each lead asks and pays for itself, its company's questions too."""

from dataclasses import replace
from hashlib import blake2b

from phase3_assets.cli import main
from phase3_core import enrich
from phase3_core.ledger import DIGEST_BYTES, Intent
from resources.providers.client import ProviderClient
from resources.providers.spec import Operation, Question, Request

_shared = ProviderClient._intent  # noqa: SLF001 - what is measured is the product without this one part


def _of_its_own(client: ProviderClient, question: Question, operation: Operation, request: Request) -> Intent:
    intent = _shared(client, question, operation, request)
    own = blake2b(intent.question + question.lead.id.bytes, digest_size=DIGEST_BYTES).digest()
    return replace(intent, question=own)


if __name__ == "__main__":
    ProviderClient._intent = _of_its_own  # type: ignore[assignment,method-assign]  # noqa: SLF001 - see above
    enrich.COMPANIES_REMEMBERED = 0
    main()
