"""A client at a time in PyTorch, as tightly as a plain loop gets: no DataLoader, no copies of the module."""

import torch
from harness import main
from torch_tower import embeddings, ids, moved, start_of, tower, train
from work import DIM, ITEMS, PARAMETERS, Case, Sums, Work

torch.set_num_threads(1)


def prepare(work: Work, case: Case):
    """Every client's tensors are made beforehand."""
    module = tower(work)
    parameters = list(module.parameters())
    first, start = [parameter.detach().clone() for parameter in parameters], start_of(module)
    held = [(torch.from_numpy(client.features), *embeddings(work, client), ids(client)) for client in work.clients]

    def cohort() -> Sums:
        query, items = torch.zeros(PARAMETERS), torch.zeros(ITEMS, DIM)
        for features, positives, negatives, places in held:
            with torch.no_grad():
                torch._foreach_copy_(parameters, first)
            of_items = train(module, features, positives, negatives, case)
            query += moved(module, start)
            items.index_add_(0, places, of_items)
        return Sums(query.numpy(), items.numpy())

    return cohort


if __name__ == "__main__":
    main("tight_loop", ["torch", "numpy"], prepare)
