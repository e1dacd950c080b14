"""spfedrec's own kernel on the purchases of the same clients: local training, clipping, rounding, the integer sum.

It does more than the work asks: six field embeddings and the pooled history make the 64 inputs, with the gradients of
both, 9,780 weights in all. So its aggregate is held against spfedrec's own plain client, one device at a time.
"""

from typing import Any

import numpy as np
import torch
from harness import Train, arguments, measure, tell
from work import ITEMS, Case, Sums, Work

from spfedrec_cli.config import validate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.engine import made
from spfedrec_cli.engine.bench import kernel_settings, opened
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.one_by_one import train_one_by_one
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.world import World

torch.set_num_threads(1)


def first_round(work: Work, case: Case) -> tuple[World, Published, Cohort]:
    """All clients as a cohort; obfuscating items are drawn by spfedrec, as many as the work's."""
    client: dict[str, Any] = {"batch_size": case.batch_size, "optimizer": case.optimizer, "lr": case.lr}
    shape, settings = made.KERNEL, kernel_settings(client)
    items = made.features("items", 0, ITEMS, shape.item_fields)
    clients = made.features("clients", 0, len(work.clients), shape.client_fields)
    purchased = Ragged.from_rows([client.positives.tolist() for client in work.clients])
    world = make_world(validate(settings), items, clients, purchased)
    return world, *opened(world)


def prepare(work: Work, case: Case) -> Train:
    world, published, cohort = first_round(work, case)
    return lambda: decoded(world, published, train_cohort(world, published, cohort, world.channel(1)).sums)


def one_by_one(work: Work, case: Case) -> Sums:
    world, published, cohort = first_round(work, case)
    return decoded(world, published, train_one_by_one(world, published, cohort, world.channel(1)).sums)


def decoded(world: World, published: Published, sums: Any) -> Sums:
    query, items = world.known.codecs()
    every = np.zeros((ITEMS, sums.items.shape[1]), np.float32)
    every[published.rows] = items.decode(sums.items).numpy()
    return Sums(query.decode(sums.query).numpy(), every)


if __name__ == "__main__":
    tell("ours", ["spfedrec", "torch", "numpy"], measure(prepare, arguments(), one_by_one))
