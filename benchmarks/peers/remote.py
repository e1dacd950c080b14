"""What frameworks have in common: a client that trains in a worker process, and a server that adds up replies."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch_tower import QueryTower, embeddings, train
from work import CASES, DIM, ITEMS, PARAMETERS, Case, Sums, Work, flat, make

torch.set_num_threads(1)

State = dict[str, Tensor]
Config = dict[str, str | int]
Reply = tuple[list[np.ndarray], np.ndarray, np.ndarray]  # the moved weights; items' ids, and their gradients by row


def config_of(work: Work, case: Case, client: int) -> Config:
    """What a worker is told of a client: its data are made in the worker, and do not travel."""
    return {"case": case.name, "clients": len(work.clients), "seed": work.seed, "client": client}


@lru_cache(maxsize=2)
def work_of(clients: int, seed: int) -> Work:
    """Everybody's data, made once in each worker."""
    return make(clients, seed)


def train_one(state: State, case: str, clients: int, seed: int, client: int) -> tuple[State, np.ndarray, Tensor]:
    """Loads the global tower and trains it on one client's data; returns it, the ids of items and their gradients."""
    work = work_of(clients, seed)
    trained, tower = work.clients[client], QueryTower()
    tower.load_state_dict(state)
    how = next(each for each in CASES if each.name == case)
    of_items = train(tower, torch.from_numpy(trained.features), *embeddings(work, trained), how)
    return tower.state_dict(), trained.items, of_items


def added(work: Work, replies: Iterable[Reply]) -> Sums:
    """As a strategy adds up. Gradients of items come by row: a dense table would cost more than the training."""
    start, query, items = flat(work.weights), np.zeros(PARAMETERS), np.zeros((ITEMS, DIM))
    for weights, ids, rows in replies:
        query += np.concatenate([array.ravel() for array in weights]) - start
        items[ids] += rows
    return Sums(query, items)
