"""Keys of accounts: held where they sign, shown nowhere, taken out of whatever a vendor echoes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from urllib.parse import quote, quote_plus

SHORTEST = 6  # characters; anything shorter would take ordinary words out of texts
IN_ITS_PLACE = "[secret]"
NO_SECRETS = ("_USERNAME",)  # vendors tell a person's or company's name in data as well
PASSWORDS = ("_PASSWORD",)  # made up by people, not by chance


class Keys(Mapping[str, str]):
    """By the names of their variables, which are all that `repr` shows: in a log, in a traceback."""

    __slots__ = ("_by_name",)

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._by_name = dict(by_name)

    def __getitem__(self, name: str) -> str:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Keys({', '.join(self)})"

    @property
    def hidden(self) -> list[str]:
        """What must not be written down, however it is spelled."""
        secrets = (value for name, value in self.items() if not name.endswith(NO_SECRETS))
        return spellings(secrets)


def telling_apart(secrets: Mapping[str, str]) -> dict[str, str]:
    """What an account's name is hashed from: no password, for it could be guessed from the hash."""
    return {name: secrets[name] for name in sorted(secrets) if not name.endswith(PASSWORDS)}


def spellings(secrets: Iterable[str]) -> list[str]:
    """As they are and as URLs, JSON and HTML spell them; longest first, so that none is left in part."""
    long = [secret for secret in secrets if len(secret) >= SHORTEST]
    spelled = {form for secret in long for form in _forms(secret)}
    return sorted(spelled, key=lambda form: (-len(form), form))


def _forms(secret: str) -> tuple[str, ...]:
    in_json = json.dumps(secret)[1:-1]
    return (
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        in_json,
        in_json.replace("/", r"\/"),
        escape(secret),
    )


def without(hidden: Iterable[str], text: str) -> str:
    for secret in hidden:
        text = text.replace(secret, IN_ITS_PLACE)
    return text
