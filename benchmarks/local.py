"""Local training alone, on one core: clients per second by the simulation, for one full-batch step, for batches, and
for a public pool of training negatives.

    python benchmarks/local.py [CLIENTS]

The kernel is DESIGN's steps 4 to 6 for a cohort: local training, clipping, rounding, the sum of integers.
Purchases are log-normal (mean 23, 2 to 200), P = .25 obfuscating items are the training negatives, d = 16, the query
tower is an MLP 64 → 64 → 64 → 16 over six fields of eight and the pooled history; every purchase is a target once.
With the pool of 1,024, d = 32 and the MLP is 80 → 64 → 32.
"""

import statistics
import sys
import time

import numpy as np
import torch

from spfedrec_cli.config import validate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.exchange import Cohort, Published
from spfedrec_cli.federated.ledger import Ledger
from spfedrec_cli.federated.simulation import train_cohort
from spfedrec_cli.federated.state import World, initial_state, make_world
from spfedrec_cli.federated.strategies import draw_pool, obfuscating_distribution, publish_popularity, taking_part
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.features import Features

ITEMS, FIELDS, VALUES, REPEATS = 10_000, 6, 8, 7
SETTINGS = {
    "model": {"dim": 16, "field_dim": 8, "hidden": [64, 64]},
    "request": {"rate": 0.25},
    "federated": {"cohort_size": 1000},
}
CASES = {
    "one full-batch step, sgd": {"lr": 0.001},
    "batches of 8, sgd": {"lr": 0.01, "batch_size": 8},
    "batches of 8, adam": {"lr": 0.001, "batch_size": 8, "optimizer": "adam"},
    "public pool, sgd": {"lr": 0.001, "negatives": "public", "pool_size": 1024},
}
WITH_A_POOL = {"dim": 32, "hidden": [64]}


def purchases(rng: np.random.Generator, clients: int) -> Ragged:
    """Distinct items of each client, by popularity 1 / rank^.8."""
    lengths = np.clip(np.round(rng.lognormal(np.log(23) - 0.5, 1.0, clients)), 2, 200).astype(np.int64)
    q = 1 / np.arange(1, ITEMS + 1) ** 0.8
    rows = [rng.choice(ITEMS, length, replace=False, p=q / q.sum()).tolist() for length in lengths]
    return Ragged.from_rows(rows)


def world(client: dict[str, object], purchased: Ragged) -> World:
    rng, clients = np.random.default_rng(1), len(purchased)
    items = Features(("type",), (50,), torch.from_numpy(rng.integers(0, 50, (ITEMS, 1))))
    names = tuple(f"field{number}" for number in range(FIELDS))
    codes = torch.from_numpy(rng.integers(0, VALUES, (clients, FIELDS)))
    chosen = {"negatives": "request", "target_share": 1.0, **client}
    model = SETTINGS["model"] | (WITH_A_POOL if chosen["negatives"] == "public" else {})
    config = validate({**SETTINGS, "model": model, "client": chosen})
    return make_world(config, items, Features(names, (VALUES,) * FIELDS, codes), purchased)


def round_of(made: World) -> tuple[Published, Cohort]:
    """What the server publishes, and the devices of all clients with their requests drawn."""
    state = publish_popularity(initial_state(made), made, Ledger(1))
    clients, q = np.arange(len(made.purchased)), obfuscating_distribution(state, made)
    hidden = made.memory.recall(made.config.request, q, clients, made.purchased, made.seed, 1)
    pool = draw_pool(made.config, made.n_items, 1)
    rows = taking_part(made.n_items, made.purchased.values, hidden.items.values, pool)
    embeddings = item_embeddings(state.item, made.items).index_select(0, torch.from_numpy(rows))
    published = Published(1, state.query, rows, embeddings, np.searchsorted(rows, pool), q)
    return published, Cohort(clients, made.purchased, hidden, None)


def seconds(made: World, published: Published, cohort: Cohort) -> float:
    began = time.perf_counter()
    train_cohort(made, published, cohort, Ledger(1))
    return time.perf_counter() - began


def main(clients: int) -> None:
    torch.set_num_threads(1)
    purchased = purchases(np.random.default_rng(0), clients)
    worlds = {name: world(case, purchased) for name, case in CASES.items()}
    rounds = {name: round_of(made) for name, made in worlds.items()}
    found: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(REPEATS):
        for name, made in worlds.items():
            found[name].append(clients / seconds(made, *rounds[name]))
    for name, speeds in found.items():
        spread = f"{min(speeds):,.0f} to {max(speeds):,.0f}"
        sys.stdout.write(f"{name:<28}{statistics.median(speeds):>10,.0f} clients/s   (median of {REPEATS}; {spread})\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
