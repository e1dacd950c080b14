"""JAX: one jitted program a bucket of similar lengths, vmapped over its padded clients, scanned over their steps.

Their arrays are made beforehand, and every shape fits this cohort exactly: the best case, since another cohort would
compile again, or pad more.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"  # one thread

import sys
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from harness import Train, main
from jax import Array
from work import BETA1, BETA2, DIM, EPS, ITEMS, PARAMETERS, SHAPES, TEMPERATURE, Case, Client, Sums, Work

ENDS = (8, 16, 32, 64, 128, 200)  # of the buckets, in targets


class Floats(NamedTuple):
    """The sums over clients, as floats: of θ_end − θ_start (9,360,), and of item gradients (10,001, 16), the last row
    of which is padding."""

    query: Array
    items: Array

    @staticmethod
    def zeros() -> "Floats":
        return Floats(jnp.zeros(PARAMETERS), jnp.zeros((ITEMS + 1, DIM)))

    def add(self, moved: Array, ids: Array, of_items: Array) -> "Floats":
        """What some clients upload: moved (K, 9,360), ids (n,), of_items (n, 16)."""
        return Floats(self.query + moved.sum(0), self.items.at[ids].add(of_items))

    def read(self) -> Sums:
        return Sums(np.asarray(self.query), np.asarray(self.items)[:ITEMS])


def prepare(work: Work, case: Case, together: int = sys.maxsize, summed: Any = Floats) -> Train:
    """`together`: how many clients of a bucket are vmapped at once; `summed`: how they are added up."""
    buckets = [_padded(members, end, case, together) for end, members in _bucketed(work)]
    table, theta = jnp.asarray(work.items), jnp.concatenate([jnp.ravel(weight) for weight in work.weights])
    cohorts = [jax.tree.map(jnp.asarray, bucket) for bucket in buckets]

    def cohort() -> Sums:
        sums = summed.zeros()
        for bucket in cohorts:
            sums = _bucket(case, sums, table, theta, bucket)
        return sums.read()

    return cohort


def _bucketed(work: Work) -> list[tuple[int, list[Client]]]:
    bucket = np.searchsorted(ENDS, [len(client.positives) for client in work.clients])
    return [(ENDS[one], [work.clients[place] for place in np.flatnonzero(bucket == one)]) for one in np.unique(bucket)]


def _padded(members: list[Client], end: int, case: Case, together: int) -> dict[str, np.ndarray]:
    """Ids of targets and negatives, `ITEMS` where there is none, cut into parts: (parts, clients of a part, …)."""
    few = min(together, len(members))
    clients, hidden = -(-len(members) // few) * few, max(len(client.negatives) for client in members)
    positives, negatives = np.full((clients, end), ITEMS), np.full((clients, hidden), ITEMS)
    features = np.zeros((clients, len(members[0].features)), np.float32)
    for row, client in enumerate(members):
        positives[row, : len(client.positives)] = client.positives
        negatives[row, : len(client.negatives)] = client.negatives
        features[row] = client.features
    size = case.batch_size or end
    arrays = {"features": features, "positives": positives.reshape(clients, end // size, size), "negatives": negatives}
    return {name: array.reshape(-1, few, *array.shape[1:]) for name, array in arrays.items()}


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def _bucket(case: Case, sums, table, theta, bucket):
    """Adds to the sums what the clients of a bucket upload."""

    def part(sums, clients):
        moved, of_items = jax.vmap(partial(_client, case, table, theta))(clients)
        ids = jnp.concatenate([clients["positives"].reshape(len(moved), -1), clients["negatives"]], 1)
        return sums.add(moved, ids.ravel(), of_items.reshape(-1, DIM)), None

    return jax.lax.scan(part, sums, bucket)[0]


def _client(case: Case, table, theta, client):
    """θ_end − θ_start, and the gradients of the client's padded items."""
    others, hidden = table.at[client["negatives"]].get(mode="fill", fill_value=0), client["negatives"] < ITEMS

    def step(carried, batch):
        weights, first, second, number, of_others = carried
        rows, real = table.at[batch].get(mode="fill", fill_value=0), batch < ITEMS
        by = jax.grad(_loss, argnums=(0, 2, 3))(weights, client["features"], rows, others, real, hidden)
        gradient, of_rows, of_hidden = by
        active = real.any()
        number = number + active
        if case.optimizer == "sgd":
            moved = case.lr * gradient
        else:
            first = BETA1 * first + (1 - BETA1) * gradient
            second = BETA2 * second + (1 - BETA2) * gradient**2
            moved = case.lr * (first / (1 - BETA1**number)) / (jnp.sqrt(second / (1 - BETA2**number)) + EPS)
        weights = jnp.where(active, weights - moved, weights)
        return (weights, first, second, number, of_others + of_hidden), of_rows

    start = (theta, jnp.zeros_like(theta), jnp.zeros_like(theta), 0, jnp.zeros_like(others))
    (weights, _, _, steps, of_others), of_rows = jax.lax.scan(step, start, client["positives"])
    of_items = jnp.concatenate([of_rows.reshape(-1, DIM), of_others])
    return weights - theta, jnp.where(steps > 0, of_items / steps, 0)  # a client that is all padding takes no step


def _loss(theta, features, positives, negatives, real, hidden):
    query = _tower(theta, features)
    query = query / jnp.linalg.norm(query)
    others = jnp.where(hidden, negatives @ query / TEMPERATURE, -jnp.inf)
    targets = positives @ query / TEMPERATURE
    each = jnp.logaddexp(targets, jax.nn.logsumexp(others)) - targets
    return jnp.where(real, each, 0).sum() / jnp.maximum(real.sum(), 1)


def _tower(theta, features):
    parts = jnp.split(theta, np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1])
    (w1, b1), (w2, b2), (w3, b3) = (
        (matrix.reshape(shape), bias) for matrix, bias, shape in zip(parts[::2], parts[1::2], SHAPES[::2], strict=True)
    )
    return w3 @ jax.nn.relu(w2 @ jax.nn.relu(w1 @ features + b1) + b2) + b3


if __name__ == "__main__":
    main("jax_vmap", ["jax", "jaxlib", "numpy"], prepare)
