"""JAX eight clients at a time as in `jax_in_parts.py`, but updates are clipped and rounded, and only integers summed.

That is what spfedrec's fixed point does (`federated/wire/fixed_point.py`): q = round(x · qmax / c), halves to even, cut
at ±qmax, and cut coordinates counted.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from harness import main
from jax import Array
from jax_in_parts import EIGHT
from jax_vmap import prepare
from work import DIM, ITEMS, PARAMETERS, TEMPERATURE, Sums

QMAX = 2**20 - 1  # below ⌊(2³¹ − 1) / 1,000⌋, so that the sum over as many clients cannot overflow 32 bits
LIMIT_QUERY, LIMIT_ITEM = 0.3, 1 / TEMPERATURE  # spfedrec's own; the largest that a gradient of cosine / .1 can have


class Integers(NamedTuple):
    """In place of `jax_vmap.Floats`."""

    query: Array
    items: Array
    cut: Array

    @staticmethod
    def zeros() -> "Integers":
        query, items = jnp.zeros(PARAMETERS, jnp.int32), jnp.zeros((ITEMS + 1, DIM), jnp.int32)
        return Integers(query, items, jnp.zeros((), jnp.int32))

    def add(self, moved: Array, ids: Array, of_items: Array) -> "Integers":
        query, cut = _encoded(moved, LIMIT_QUERY)
        rows, cut_rows = _encoded(of_items, LIMIT_ITEM)
        return Integers(self.query + query.sum(0), self.items.at[ids].add(rows), self.cut + cut + cut_rows)

    def read(self) -> Sums:
        """Raises ValueError where coordinates were cut: the sum would not be that of the work."""
        if self.cut:
            raise ValueError(f"{self.cut} coordinates were cut: raise the limits of jax_integers.py")
        query, items = (np.asarray(total, np.float64) for total in (self.query, self.items[:ITEMS]))
        return Sums(query * (LIMIT_QUERY / QMAX), items * (LIMIT_ITEM / QMAX))


def _encoded(values: Array, limit: float) -> tuple[Array, Array]:
    """int32 of the same shape, and how many were cut."""
    rounded = jnp.rint(values * (QMAX / limit))
    kept = jnp.clip(rounded, -QMAX, QMAX)
    return kept.astype(jnp.int32), (rounded != kept).sum(dtype=jnp.int32)


if __name__ == "__main__":
    main("jax_integers", ["jax", "jaxlib", "numpy"], partial(prepare, together=EIGHT, summed=Integers))
