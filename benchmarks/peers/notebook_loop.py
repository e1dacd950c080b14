"""A client at a time in PyTorch, as a notebook does it: a copy of the tower, a DataLoader, an optimiser a client."""

import copy

import torch
from harness import main
from torch.utils.data import DataLoader, TensorDataset
from torch_tower import OPTIMIZERS, embeddings, ids, loss, moved, start_of, tower
from work import DIM, ITEMS, PARAMETERS, Case, Client, Sums, Work

torch.set_num_threads(1)


def prepare(work: Work, case: Case):
    """Every client's data set is made beforehand."""
    shared = tower(work)
    start = start_of(shared)
    held = [_data(work, client) for client in work.clients]

    def cohort() -> Sums:
        query, items = torch.zeros(PARAMETERS), torch.zeros(ITEMS, DIM)
        for features, data, negatives, places in held:
            module, of_items = _train(shared, features, data, negatives, case)
            query += moved(module, start)
            items.index_add_(0, places, of_items)
        return Sums(query.numpy(), items.numpy())

    return cohort


def _data(work: Work, client: Client):
    positives, negatives = embeddings(work, client)
    places = torch.arange(len(positives))
    return torch.from_numpy(client.features), TensorDataset(places, positives), negatives, ids(client)


def _train(shared, features, data, negatives, case: Case):
    module = copy.deepcopy(shared)
    optimizer = OPTIMIZERS[case.optimizer](module.parameters(), lr=case.lr)
    of_items = torch.zeros(len(data) + len(negatives), DIM)
    loader = DataLoader(data, batch_size=case.batch_size or len(data))
    for places, positives in loader:
        positives, others = positives.requires_grad_(), negatives.detach().requires_grad_()
        optimizer.zero_grad()
        loss(module(features), positives, others).backward()
        optimizer.step()
        of_items[places] += positives.grad
        of_items[len(data) :] += others.grad
    return module, of_items / len(loader)


if __name__ == "__main__":
    main("notebook_loop", ["torch", "numpy"], prepare)
