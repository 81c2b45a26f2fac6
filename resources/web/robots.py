"""RFC 9309: what a site's robots.txt lets us ask for. Pure.

The standard library's parser takes the first matching rule and reads `*` literally; the standard wants the
longest match and wildcards, and `Disallow: /*` is a common way to say "keep out".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

_MAX_RULES = 5_000
_SAFE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Rule:
    """One `Allow` or `Disallow` line."""

    allowed: bool
    pattern: str


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules that concern us; without any, everything is allowed."""

    rules: tuple[Rule, ...] = ()

    @property
    def letters(self) -> int:
        """How much there is to remember."""
        return sum(len(rule.pattern) for rule in self.rules)

    def allow(self, path_and_query: str) -> bool:
        """The longest matching rule decides, and of two equally long ones the permission."""
        matching = [rule for rule in self.rules if _matches(rule.pattern, path_and_query)]
        return max(((len(rule.pattern), rule.allowed) for rule in matching), default=(0, True))[1]


def read_robots(text: str, product: str) -> Robots:
    """The rules of the groups naming `product`, or else of the groups for everybody."""
    named: list[Rule] = []
    general: list[Rule] = []
    is_named = False
    for agents, rules in _groups(_lines(text)):
        if product.lower() in agents:
            is_named = True
            named += rules
        elif "*" in agents:
            general += rules
    return Robots(tuple((named if is_named else general)[:_MAX_RULES]))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.lstrip("\ufeff").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _groups(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[set[str], list[Rule]]]:
    agents: set[str] = set()
    rules: list[Rule] = []
    for key, value in lines:
        if key == "user-agent":
            if rules:  # an agent line after rules opens the next group
                yield agents, rules
                agents, rules = set(), []
            agents.add(value.partition("/")[0].strip().lower())
        elif key in ("allow", "disallow") and value:  # an empty Disallow forbids nothing
            rules.append(Rule(key == "allow", quote(value, safe=_SAFE)))
    yield agents, rules


def _matches(pattern: str, path: str) -> bool:
    """Glob matching by hand: a pattern with many stars must not cost more than a look at the path each."""
    head, *pieces = pattern.removesuffix("$").split("*")
    if not path.startswith(head):
        return False
    position = len(head)
    anchored = pattern.endswith("$")
    if not pieces:
        return not anchored or position == len(path)
    last = pieces.pop() if anchored else ""
    for piece in pieces:
        found = path.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return not anchored or (path.endswith(last) and len(path) - len(last) >= position)
