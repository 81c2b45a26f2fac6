"""What a campaign's waterfall may use: finders with their prices, verifiers, a lead's cap."""

from collections.abc import Collection
from dataclasses import dataclass

from phase3_core.calls import Billing, Price
from phase3_core.money import ZERO, Money
from phase3_core.order import NOBODY, CheapestValid, Patience
from phase3_core.rates import USUAL_FIND_RATE, USUAL_VALID_RATE
from phase3_core.routing import Shares, with_first


@dataclass(frozen=True, slots=True)
class Quote:
    """A finder in the plan, with its price."""

    provider: str
    price: Price

    def cost_per_valid(self, verification: float) -> float:
        """Expected USD for one valid address from this finder alone, verification included."""
        per_credit = float(self.price.per_credit)
        fee = per_credit / USUAL_FIND_RATE if self.price.billing is Billing.PER_CALL else per_credit
        return (fee + verification) / USUAL_VALID_RATE


WITHOUT_END = Money("Infinity")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign's waterfall may use. `finders` in the order in which they are asked.

    `lead_cap`: USD that one lead may cost.
    """

    finders: tuple[Quote, ...]
    verifier: Price
    second_opinion: bool
    guessing: bool = True
    max_providers_per_lead: int = 7
    second: Price | None = None
    lead_cap: Money = WITHOUT_END
    order: CheapestValid | None = None
    starts: Shares = ()
    patience: Patience | None = None

    def in_turn(self, missed: Collection[str] = (), start: str = "") -> list[Quote]:
        """Finders in the order in which a lead of whom nothing else is known asks them.

        `start`: with whom it begins, where that is not who would be the first.
        """
        by_name = {quote.provider: quote for quote in self.finders if quote.provider not in missed}
        if self.order is None:
            return [by_name[name] for name in with_first(list(by_name), start)]
        turn = [start] if start in by_name else []
        while bids := self.order.bids(frozenset((*missed, *turn))):
            turn.append(bids[0].provider)
        return [by_name[name] for name in turn]

    @property
    def cost_per_valid(self) -> float:
        """Expected USD for one valid address from the finder that is asked first."""
        if self.order is not None:
            return self.order.bids(NOBODY)[0].cost
        return self.finders[0].cost_per_valid(float(self.verifier.ceiling))

    @property
    def verification(self) -> Money:
        """USD at worst for one address: verified, and by the second verifier too."""
        return self.verifier.ceiling + (self.second.ceiling if self.second else ZERO)
