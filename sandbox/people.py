"""The leads, and what is true about their addresses."""

from dataclasses import dataclass

from sandbox.companies import Company
from sandbox.scenarios import Fate


@dataclass(frozen=True, slots=True)
class Person:
    """One lead: who it is, the address finders hand out, and what is true about that address."""

    number: int
    first: str
    last: str
    latin: tuple[str, str]
    title: str
    company: Company
    linkedin: str
    email: str
    mailbox: bool
    fate: Fate
    finders: tuple[str, ...]
    score: int
    tier: str

    @property
    def name(self) -> str:
        """Full name as the person writes it; a mononym has no trailing space."""
        return f"{self.first} {self.last}".strip()

    @property
    def handle(self) -> str:
        """The last part of the profile's address."""
        return self.linkedin.rpartition("/")[2]


def linkedin_handle(url: str) -> str:
    """The profile's name out of its address, whatever scheme, host or query it is written with."""
    return url.lower().partition("?")[0].rstrip("/").rpartition("/")[2]
