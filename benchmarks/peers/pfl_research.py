"""pfl-research: its simulated backend, federated averaging, its PyTorch model; one cohort is one `gather_results`."""

from functools import partial

import torch
from harness import main
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.common_types import Population
from pfl.context import CentralContext
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNTrainHyperParams
from pfl.model.pytorch import PyTorchModel
from torch import Tensor
from torch_tower import OPTIMIZERS, QueryTower, embeddings, ids, loss, tower
from work import DIM, ITEMS, PARAMETERS, SHAPES, Case, Client, Sums, Work

torch.set_num_threads(1)
NAMES = [f"tower.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias")]


class Recommender(torch.nn.Module):
    """What pfl asks of a module: a loss of the user's batch, and metrics, which are not asked for here."""

    def __init__(self, made: QueryTower) -> None:
        super().__init__()
        self.tower = made

    def loss(self, positives: Tensor, features: Tensor, negatives: Tensor) -> Tensor:
        return loss(self.tower(features), positives, negatives)

    def metrics(self, positives: Tensor, features: Tensor, negatives: Tensor) -> dict[str, float]:
        return {}


class WithItems(FederatedAveraging):
    """Federated averaging that also sums item gradients: by row, since a dense table a user would cost more."""

    def __init__(self) -> None:
        super().__init__()
        self.items = torch.zeros(ITEMS, DIM)

    def train_one_user(self, initial_model_state, model, user_dataset, central_context):
        (positives,), negatives = user_dataset.raw_data, user_dataset.train_kwargs["negatives"]
        statistics, metrics = super().train_one_user(initial_model_state, model, user_dataset, central_context)
        of_items = torch.cat([positives.grad, negatives.grad])
        steps = 1 if central_context.model_train_params.local_batch_size is None else -(-len(positives) // 8)
        self.items.index_add_(0, user_dataset.metadata["ids"], of_items, alpha=1 / steps)
        positives.grad = negatives.grad = None
        return statistics, metrics


def prepare(work: Work, case: Case):
    """Every user's data set is made beforehand, and handed out in turn."""
    users = [_dataset(work, client) for client in work.clients]
    sampler = get_user_sampler("minimize_reuse", range(len(users)))
    backend = SimulatedBackend(training_data=FederatedDataset(users.__getitem__, sampler), val_data=None)
    module = Recommender(tower(work))
    central = torch.optim.SGD(module.parameters(), lr=1.0)
    model = PyTorchModel(module, partial(OPTIMIZERS[case.optimizer]), central)
    context = _context(case, len(users))

    def cohort() -> Sums:
        algorithm = WithItems()
        statistics, _ = backend.gather_results(model, algorithm, central_context=context)
        query = torch.cat([statistics[name].reshape(-1) for name in NAMES])
        return Sums(query.numpy(), algorithm.items.numpy())

    return cohort


def _dataset(work: Work, client: Client) -> Dataset:
    positives, negatives = (rows.requires_grad_() for rows in embeddings(work, client))
    shared = {"features": torch.from_numpy(client.features), "negatives": negatives}
    return Dataset((positives,), metadata={"ids": ids(client)}, train_kwargs=shared)


def _context(case: Case, users: int) -> CentralContext:
    local = NNTrainHyperParams(
        local_batch_size=case.batch_size or None, local_num_epochs=1, local_learning_rate=case.lr
    )
    algorithm = NNAlgorithmParams(
        central_num_iterations=1, evaluation_frequency=1, train_cohort_size=users, val_cohort_size=None
    )
    return CentralContext(0, False, users, Population.TRAIN, algorithm, local, seed=0)


if __name__ == "__main__":
    assert sum(torch.Size(shape).numel() for shape in SHAPES) == PARAMETERS
    main("pfl_research", ["pfl", "torch", "numpy"], prepare)
