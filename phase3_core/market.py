"""Whom sellers know: some people and companies are known to nobody, so that a miss of one foretells the next.

A lead that several have missed is likelier one of those. Guesses of addresses sort leads the same way: whom
they do not reach is harder to find, and what is found is refused more often.
"""

from dataclasses import dataclass

GUESSED_AND_KNOWN = 0.94  # of those whom a guess reaches, the part that finders could have named
MOST_GUESSED = 0.80  # leads; of a list that guesses reach better than that nothing is known


@dataclass(frozen=True, slots=True)
class Market:
    """`good`: the share of leads of whom sellers have an answer that holds; `bad`: of whom one of them has
    one that does not. `reach`: P(a seller names something of one whom it can name).
    """

    good: float
    bad: float
    reach: float

    def hit_rate(self, misses: int) -> float:
        """P(the next one names something), after so many sellers brought nothing that held."""
        left = (1 - self.reach) ** misses
        return self.reach * (self.good + self.bad) * left / (1 - self.good * (1 - left))

    @property
    def hold_rate(self) -> float:
        """P(an answer holds)."""
        return self.good / (self.good + self.bad)

    def beyond_guesses(self, reached: float) -> "Market":
        """Among the leads who are left when guesses reached this share of all."""
        reached = min(reached, MOST_GUESSED)
        left = 1 - reached
        return Market((self.good - GUESSED_AND_KNOWN * reached) / left, self.bad / left, self.reach)


FINDERS = Market(good=0.819, bad=0.091, reach=0.45 / 0.91)  # the first names 45 %, nine of ten are accepted
ENRICHERS = Market(good=0.90, bad=0.0, reach=0.70 / 0.90)  # the first knows 70 %
