"""The public pool of a round: items that serve everybody as training negatives.

Drawn by popularity, a pool estimates the softmax over a large catalogue far better: what weighs most in its denominator
is what sells most, and hardly ever in a uniform draw. Half of the slots go by nothing, so that every item comes.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.dtypes import F64, I64
from spfedrec_cli.federated.sampling.slate import EVEN_SHARE
from spfedrec_cli.rng import distinct, uniform


@dataclass(frozen=True)
class Pool:
    """The items of a round's pool (M,), and the probability of each to be in it (M,) or () of all."""

    items: I64
    chance: F64

    @classmethod
    def of(cls, client: ClientConfig, q: F64, items: I64) -> "Pool":
        """As it was drawn, q (n_items,) being the public distribution of purchases."""
        return cls(items, chance_of(client, q, items))


def pool_chances(client: ClientConfig, q: F64) -> F64:
    """The probability of an item to be in a round's pool: one number () for all, or by popularity (n_items,).

    By popularity it is min(1, c · w_j) with w_j = ½ / n_items + ½ · q_j, q (n_items,) being its share of all purchases,
    and c such that a pool has `pool_size` items.
    """
    size = min(client.pool_size, len(q))
    if client.pool == "uniform" or size == len(q):
        return np.asarray(size / len(q))
    weights = EVEN_SHARE / len(q) + (1 - EVEN_SHARE) * q / q.sum()
    # The heaviest are certain: so many that what is left of the slots gives no other one a chance above 1.
    heaviest = np.sort(weights)[::-1]
    rest = weights.sum() - np.concatenate([[0.0], np.cumsum(heaviest)[:-1]])
    certain = int(np.argmax((size - np.arange(size)) * heaviest[:size] <= rest[:size]))
    return np.asarray(np.minimum(1.0, (size - certain) / rest[certain] * weights), np.float64)


def draw_items(client: ClientConfig, q: F64, seed: int, round_: int) -> I64:
    """The pool of a round (M,), ascending. By popularity: systematic sampling, which takes each item with exactly its
    probability and always as many (Madow, "On the theory of systematic sampling, II", 1949), in an order of items
    that is drawn anew."""
    chances = pool_chances(client, q)
    if not chances.ndim:
        return distinct(seed, "pool", len(q), client.pool_size, round_)
    order = np.argsort(uniform(seed, "pool/order", 0, round_, np.arange(len(q))), kind="stable")
    ends = np.cumsum(chances[order])
    marks = uniform(seed, "pool/start", 0, round_) + np.arange(client.pool_size)
    return np.unique(order[np.minimum(np.searchsorted(ends, marks, side="right"), len(q) - 1)]).astype(np.int64)


def chance_of(client: ClientConfig, q: F64, items: npt.NDArray[np.integer]) -> F64:
    """The probability of each item (M,) of a pool to be in it, or () the one of all."""
    if not len(items):
        return np.asarray(1.0)
    chances = pool_chances(client, q)
    return chances[items] if chances.ndim else chances
