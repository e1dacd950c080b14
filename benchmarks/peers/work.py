"""The work that every peer is given, and a plain client in numpy that each peer's aggregate must equal.

1,000 clients; purchases log-normal (σ = 1, mean 23, 2 to 200), drawn by popularity 1 / rank^.8 from 10,000 items; to
them ceil(n / 4) obfuscating items, which are the negatives of all of the client's targets. Item embeddings of 16
numbers and length one are given. A query tower 64 → 64 → 64 → 16 (ReLU; 9,360 weights) makes the query of a client's 64
numbers. The loss of a batch is the mean over its targets of the sampled softmax of cosine / .1. A client returns
θ_end − θ_start and the mean over its steps of ∂L/∂ṽ of its items. Only numpy is imported here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

ITEMS, DIM = 10_000, 16
WIDTHS = (64, 64, 64, DIM)
SHAPES = [shape for rows, columns in zip(WIDTHS[1:], WIDTHS, strict=False) for shape in ((rows, columns), (rows,))]
PARAMETERS = sum(int(np.prod(shape)) for shape in SHAPES)
TEMPERATURE = 0.1
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Case:
    """How a client trains: `batch_size` 0 is all targets in one step."""

    name: str
    batch_size: int
    optimizer: str
    lr: float

    def batches(self, targets: int) -> list[slice]:
        size = self.batch_size or targets
        return [slice(start, start + size) for start in range(0, targets, size)]


FULL = Case("full", 0, "sgd", 0.001)
BATCHES = Case("batches", 8, "adam", 0.001)
CASES = (FULL, BATCHES)


@dataclass(frozen=True)
class Client:
    """One device: what it knows of its customer (64,), its purchases, and the items among which they were hidden."""

    features: F32
    positives: I64
    negatives: I64

    @property
    def items(self) -> I64:
        return np.concatenate([self.positives, self.negatives])


@dataclass(frozen=True)
class Work:
    """`items` (10,000, 16) of length one; `weights` matrix, vector, matrix, … of the query tower."""

    seed: int
    items: F32
    weights: list[F32]
    clients: list[Client]


@dataclass(frozen=True)
class Sums:
    """Over a cohort: of θ_end − θ_start (9,360,), and of the item gradients (10,000, 16)."""

    query: npt.NDArray[np.floating]
    items: npt.NDArray[np.floating]


def make(clients: int, seed: int = 0) -> Work:
    rng = np.random.default_rng(seed)
    items = rng.standard_normal((ITEMS, DIM))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    weights = [rng.standard_normal(shape) * (shape[1] ** -0.5 if len(shape) == 2 else 0.01) for shape in SHAPES]
    popularity = 1 / np.arange(1, ITEMS + 1) ** 0.8
    lengths = np.clip(np.round(rng.lognormal(np.log(23) - 0.5, 1.0, clients)), 2, 200).astype(np.int64)
    made = [_client(rng, popularity / popularity.sum(), int(length)) for length in lengths]
    return Work(seed, items.astype(np.float32), [weight.astype(np.float32) for weight in weights], made)


def _client(rng: np.random.Generator, popularity: F64, purchases: int) -> Client:
    drawn = rng.choice(ITEMS, purchases + -(-purchases // 4), replace=False, p=popularity)
    return Client(rng.standard_normal(WIDTHS[0]).astype(np.float32), drawn[:purchases], drawn[purchases:])


def aggregate(work: Work, case: Case) -> Sums:
    """What the cohort's updates come to, in float64, one client after another."""
    query, items = np.zeros(PARAMETERS), np.zeros((ITEMS, DIM))
    for client in work.clients:
        moved, of_items = train(work, client, case)
        query += moved
        items[client.items] += of_items
    return Sums(query, items)


def train(work: Work, client: Client, case: Case) -> tuple[F64, F64]:
    """θ_end − θ_start (9,360,) and the gradients of `client.items`."""
    start = flat(work.weights)
    theta, first, second = start.copy(), np.zeros(PARAMETERS), np.zeros(PARAMETERS)
    of_items, steps = np.zeros((len(client.items), DIM)), case.batches(len(client.positives))
    hidden = np.arange(len(client.positives), len(client.items))
    for number, batch in enumerate(steps, 1):
        places = np.concatenate([np.arange(len(client.positives))[batch], hidden])
        gradient, of_batch = gradients(theta, client.features, work.items[client.items[places]], len(hidden))
        of_items[places] += of_batch / len(steps)
        if case.optimizer == "sgd":
            theta -= case.lr * gradient
            continue
        first += (1 - BETA1) * (gradient - first)
        second += (1 - BETA2) * (gradient**2 - second)
        theta -= case.lr * (first / (1 - BETA1**number)) / (np.sqrt(second / (1 - BETA2**number)) + EPS)
    return theta - start, of_items


def gradients(theta: F64, features: F32, items: F32, negatives: int) -> tuple[F64, F64]:
    """Of the loss of one batch, by the weights (9,360,) and by its items, of which the last ones are negatives."""
    layers = unflat(theta)
    inputs = [features.astype(np.float64)]
    for matrix, bias in layers[:-1]:
        inputs.append(np.maximum(matrix @ inputs[-1] + bias, 0))
    raw = layers[-1][0] @ inputs[-1] + layers[-1][1]
    query = raw / np.linalg.norm(raw)
    of_scores = _of_scores(items @ query / TEMPERATURE, negatives) / TEMPERATURE
    of_query = of_scores @ items
    of_output = (of_query - (of_query @ query) * query) / np.linalg.norm(raw)
    found: list[F64] = []
    for (matrix, _), given in zip(reversed(layers), reversed(inputs), strict=True):
        found = [np.outer(of_output, given).ravel(), of_output, *found]
        of_output = (matrix.T @ of_output) * (given > 0)
    return np.concatenate(found), np.outer(of_scores, query)


def _of_scores(scores: F64, negatives: int) -> F64:
    """Of the mean over targets of log(exp(target) + Σ exp(negatives)) − target, by each score."""
    powers = np.exp(scores - scores.max())
    targets, others = powers[:-negatives], powers[-negatives:]
    totals = targets + others.sum()
    return np.concatenate([targets / totals - 1, others * (1 / totals).sum()]) / len(targets)


def flat(weights: list[F32]) -> F64:
    return np.concatenate([weight.ravel() for weight in weights]).astype(np.float64)


def unflat(theta: F64) -> list[tuple[F64, F64]]:
    """Matrix and bias of each layer."""
    parts = np.split(theta, np.cumsum([int(np.prod(shape)) for shape in SHAPES])[:-1])
    shaped = [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]
    return list(zip(shaped[::2], shaped[1::2], strict=True))
