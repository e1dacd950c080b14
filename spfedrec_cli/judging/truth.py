"""What was bought, trained on and planted: what guesses are held against."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I32, I64, Bool


@dataclass(frozen=True)
class Truth:
    """`purchased`: the training purchases on the devices, row by row; `trained` (n,) which clients took part in any
    round; `planted` of each canary the item that the coin chose, and `both` (n, 2) those that it chose from. `between`:
    what was bought after the training purchases, row by row; `again` (n,) who buys the same things again; `left` (k,)
    which customers of an earlier training have left."""

    purchased: Ragged
    n_items: int
    trained: Bool
    planted: I32 = field(default_factory=lambda: np.empty(0, np.int32))
    both: I32 = field(default_factory=lambda: np.empty((0, 2), np.int32))
    between: Ragged = field(default_factory=lambda: Ragged.from_rows([]))
    again: Bool = field(default_factory=lambda: np.empty(0, np.bool_))
    left: Bool = field(default_factory=lambda: np.empty(0, np.bool_))

    def of(self, claim: str, subjects: I64, items: I64) -> Bool:
        """Whether each claim is true (n,)."""
        return CLAIMS[claim](self, subjects, items)

    def compared(self, claim: str, subjects: I64, items: I64, true: Bool, seed: int) -> I64:
        """Places of the claims that are compared: all; of those about an only buyer, where the whole catalogue is
        guessed at, the true ones and of each subject as many false ones, drawn as the items of all purchases are."""
        if claim != "bought by its only buyer":
            return np.arange(len(true))
        share = np.bincount(self.purchased.values, minlength=self.n_items)[items].astype(np.float64)
        with np.errstate(divide="ignore"):
            arrival = np.random.default_rng(seed).exponential(size=len(items)) / share  # the first ones win
        order = np.lexsort((np.where(true, -1.0, arrival), subjects))
        who, starts, counts = np.unique(subjects[order], return_index=True, return_counts=True)
        rank = np.arange(len(order)) - np.repeat(starts, counts)
        right = np.repeat(np.add.reduceat(true[order].astype(np.int64), starts), counts) if len(who) else rank
        return np.sort(order[rank < 2 * right])

    def coins(self, canaries: I64, items: I64, named: Bool) -> tuple[int, int]:
        """Of the canaries of which one item of both was named: how many rightly, and how many there are."""
        asked = named & (self.both[canaries] == items[:, None]).any(1)
        return int((self.planted[canaries[asked]] == items[asked]).sum()), int(asked.sum())

    def _bought(self, clients: I64, items: I64) -> Bool:
        return self._among(self.purchased, clients, items)

    def _among(self, rows: Ragged, clients: I64, items: I64) -> Bool:
        return np.isin(clients * self.n_items + items, rows.row_index() * self.n_items + rows.values)

    def _by_only_buyer(self, singles: I64, items: I64) -> Bool:
        """Whether the client who bought the one item bought the other. An item with more buyers counts as its last
        one's."""
        buyer = np.full(self.n_items, -1, np.int64)
        buyer[self.purchased.values] = self.purchased.row_index()
        return self._bought(buyer[singles], items)


def _planted(truth: Truth, canaries: I64, items: I64) -> Bool:
    return np.asarray(truth.planted[canaries] == items)


CLAIMS: dict[str, Callable[[Truth, I64, I64], Bool]] = {
    "bought": Truth._bought,
    "trained on": Truth._bought,
    "bought by its only buyer": Truth._by_only_buyer,
    "bought in between": lambda truth, clients, items: truth._among(truth.between, clients, items),
    "buys again": lambda truth, clients, items: truth.again[clients],
    "customer trained on": lambda truth, clients, items: truth.trained[clients],
    "left": lambda truth, customers, items: truth.left[customers],
    "planted": _planted,
}
