"""What the columns of the tables are made of: kinds of values, our SQL functions, usual constraints."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, Integer, Numeric, Text, Uuid, func
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import UserDefinedType

USD = Numeric(12, 6)
TIME = DateTime(timezone=True)


class LeadTier(GenericFunction[str]):
    """A, B or C, whatever phase 2 wrote: lower case, an enum, nothing."""

    type = Text()
    name = "phase3_tier"
    inherit_cache = True


class LeadRank(GenericFunction[int]):
    """The score as a whole number, negated: the best lead comes first."""

    type = Integer()
    name = "phase3_rank"
    inherit_cache = True


class BareDomain(GenericFunction[str]):
    """`https://www.Acme.com/en` is `acme.com`; what is no domain is empty."""

    type = Text()
    name = "phase3_domain"
    inherit_cache = True


class Mailbox(GenericFunction[str]):
    """An address in lower case, without its tag: what the suppression list knows it by."""

    type = Text()
    name = "phase3_mailbox"
    inherit_cache = True


class ListedDomain(GenericFunction[str]):
    """The bare domain again, of an entry of the suppression list."""

    type = Text()
    name = "phase3_listed_domain"
    inherit_cache = True


class Word(UserDefinedType[str]):
    """Text that is sent without a type, because phase 2's column may be an enum."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"


def identity() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid())


def moment(name: str) -> Column[Any]:
    return Column(name, TIME, nullable=False, server_default=func.now())


def one_of(column: str, words: Iterable[str]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def never_negative(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0", name=column)
