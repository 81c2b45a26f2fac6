"""A person's name as mailboxes spell it: from any script, without titles, with the usual variants."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from anyascii import anyascii

from phase3_core.leads import MailboxName

MOST_VARIANTS = 6

_TITLE = re.compile(r"dr|prof|professor|mr|mrs|ms|miss|mx|sir|dame|rev|herr|frau|mag|ing|dipl-ing|mme|mlle")
_SUFFIX = re.compile(r"jr|sr|ii|iii|iv|phd|md|mba|msc|bsc|llm|cpa|cfa|pmp|esq")
_PARTICLE = re.compile(
    r"van|von|der|den|de|la|las|los|del|della|di|da|das|do|dos|du|le|bin|ibn|bint|al|el|ter|ten|te|"
    r"zu|zum|zur|af|av|y|e"
)
_TWO_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_GREEK_U = re.compile("(?<=\u03bf)[\u03c5\u03cd]")  # upsilon after omicron; alone it is y
_NICKNAME = re.compile(r"[(\"“«]([^)\"”»]*)[)\"”»]")


def mailbox_names(first_name: str, last_name: str) -> tuple[MailboxName, ...]:
    """The plain spelling first; empty where no letter can be written in ASCII."""
    spellings = list(dict.fromkeys(_spellings(_given_names(first_name), _surnames(last_name))))
    plain = spellings[0]
    if not plain.first and not plain.last:
        return ()
    whole = [name for name in spellings if _lacks_no_more(name, plain)]
    return tuple(whole[:MOST_VARIANTS])


def _lacks_no_more(name: MailboxName, plain: MailboxName) -> bool:
    return bool(name.first) == bool(plain.first) and bool(name.last) == bool(plain.last)


def _spellings(firsts: Sequence[str], lasts: Sequence[str]) -> Iterator[MailboxName]:
    """The whole name with a for ä, then with ae; then shorter surnames, then shorter given names."""
    pairs = [(firsts[0], last) for last in lasts] + [(first, lasts[0]) for first in firsts[1:]]
    in_both = [(_ascii, pair) for pair in pairs] + [(_ascii_in_two_letters, pair) for pair in pairs]
    in_both.insert(1, (_ascii_in_two_letters, pairs[0]))
    for spelled, (first, last) in in_both:
        yield MailboxName(spelled(first), spelled(last))


def _ascii(name: str) -> str:
    return "".join(filter(str.isalpha, anyascii(_GREEK_U.sub("u", name)).lower()))


def _ascii_in_two_letters(name: str) -> str:
    return _ascii(name.translate(_TWO_LETTERS))


def _given_names(text: str) -> list[str]:
    """All of them, then the first alone, then nicknames in brackets or quotes."""
    words, nicknames = _words(text)
    while len(words) > 1 and _TITLE.fullmatch(words[0]):
        del words[0]
    names = _halves(word for word in words if len(word) > 1) or words
    return ["".join(names), *names[:1], *nicknames]


def _surnames(text: str) -> list[str]:
    """All of it, then without particles, then each half of a double name."""
    words, _ = _words(text.partition(",")[0])
    while len(words) > 1 and _SUFFIX.fullmatch(words[-1]):
        del words[-1]
    names = [word for word in words if not _PARTICLE.fullmatch(word)] or words
    halves = _halves(names)
    return ["".join(words), "".join(names), *halves[:1], *halves[-1:]]


def _words(text: str) -> tuple[list[str], list[str]]:
    """Lower-case words without dots and apostrophes, hyphens kept; and the nicknames among them."""
    folded = unicodedata.normalize("NFKC", text).lower()
    nicknames = [name for name in _NICKNAME.findall(folded) if name.isalpha()]
    words = (_letters(word) for word in _NICKNAME.sub(" ", folded).split())
    return [word for word in words if word], nicknames


def _letters(word: str) -> str:
    return "".join(_sign(unicodedata.category(sign), sign) for sign in word).strip("-")


def _sign(category: str, sign: str) -> str:
    """A letter or its mark, any dash as a hyphen, nothing else."""
    if category == "Pd":
        return "-"
    return sign if category[0] in "LM" else ""


def _halves(words: Iterable[str]) -> list[str]:
    return [half for word in words for half in word.split("-") if half]
