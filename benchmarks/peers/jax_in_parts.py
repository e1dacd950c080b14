"""JAX as in `jax_vmap.py`, but eight clients at a time, so that their weights and moments stay in the cache."""

from functools import partial

from harness import main
from jax_vmap import prepare

EIGHT = 8

if __name__ == "__main__":
    main("jax_in_parts", ["jax", "jaxlib", "numpy"], partial(prepare, together=EIGHT))
