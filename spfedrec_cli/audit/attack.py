"""What an attack is: a row of the table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from spfedrec_cli.audit.views import View
from spfedrec_cli.dtypes import F64, I64, Bool

Claim = Literal[
    "bought",
    "bought by its only buyer",
    "bought in between",
    "buys again",
    "customer trained on",
    "left",
    "planted",
    "trained on",
]


@dataclass(frozen=True)
class Guess:
    """Claims about subjects (n,) and items (n,): the higher the score (n,), the likelier the claim. `named` (n,) are
    those that the attack asserts, and `decided` those that it is sure of either way, where it is of any."""

    subjects: I64
    items: I64
    scores: F64
    decided: Bool | None = None
    named: Bool | None = None

    def take(self, places: I64) -> "Guess":
        """Those of the claims."""
        decided, named = (None if each is None else each[places] for each in (self.decided, self.named))
        return Guess(self.subjects[places], self.items[places], self.scores[places], decided, named)


@dataclass(frozen=True)
class Attack:
    """`needs` are the parts of a view that it is given and no other; `claim` what it claims of a subject (a client, an
    item with one buyer, a canary) and an item."""

    name: str
    party: str
    view: str
    needs: tuple[str, ...]
    claim: Claim
    assumption: str
    guess: Callable[[View], Guess]
