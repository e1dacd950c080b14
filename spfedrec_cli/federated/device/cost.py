"""What a round costs one client: multiply-adds and bytes, from shapes alone.

The rule. A multiply-add is one of a product of a matrix or a vector with a vector: towers, pooling, scores, and the
local optimiser's step of every weight that has a gradient (one each). Forward counts once; backward counts twice where
both factors have a gradient (weights and inputs, items and query), once where one has (pooling). Lookups, activations,
norms, exponentials, the codec and masks are not counted. Candidates are run through the item tower once a local step.
Bytes are those of the messages of one round; what crosses once in a training (`popularity`, `counts`, `fields`) is
left out, and so is the `catalogue`. Of a slate the work is that of a client whose targets are all in it: the most there
can be.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spfedrec_cli.config import Settings
from spfedrec_cli.federated.device.client import target_counts
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.model.features import Features
from spfedrec_cli.model.towers import Sizes, item_sizes, query_sizes


@dataclass(frozen=True)
class Shapes:
    """How many values each field has: of items, their id first, and of clients."""

    items: tuple[int, ...]
    clients: tuple[int, ...]

    @classmethod
    def of(cls, items: Features, clients: Features) -> "Shapes":
        return cls(items.cardinalities, clients.cardinalities)


@dataclass(frozen=True)
class Cost:
    """Of one client in one round."""

    multiply_adds: int
    bytes_down: int
    bytes_up: int


def query_tower(config: Settings, shapes: Shapes) -> Sizes:
    return query_sizes(config.model, shapes.clients)


def item_tower(config: Settings, shapes: Shapes) -> Sizes:
    return item_sizes(config.model, shapes.items)


@dataclass(frozen=True)
class _Round:
    """A client's round: its purchases, its obfuscating items, its negatives, the targets of all its local steps."""

    purchases: int
    obfuscating: int
    negatives: int
    pool: int
    steps: int
    targets: int


def _round(config: Settings, shapes: Shapes, purchases: int) -> _Round:
    obfuscating = min(int(np.ceil(config.request.rate * purchases)), shapes.items[0] - purchases)
    pool = _public(config, shapes.items[0])
    targets = int(target_counts(config.client.target_share, np.array([purchases]))[0])
    steps = config.client.local_epochs * -(-targets // (config.client.batch_size or targets))
    requests = config.federated.strategy == "split" and mode_of(config.request).asks
    negatives = pool + (obfuscating if config.client.uses_own or requests else 0)
    return _Round(purchases, obfuscating, negatives, pool, steps, config.client.local_epochs * targets)


def _public(config: Settings, items: int) -> int:
    """Rows that everybody is told: of the slate, or of the pool."""
    mode, client = mode_of(config.request), config.client
    if not mode.asks:
        return mode.size(config.request, items)
    return min(client.pool_size, items) if client.uses_pool else 0


def client_cost(config: Settings, shapes: Shapes, purchases: int) -> Cost:
    """Of `federated.strategy` for a client with so many distinct purchases.

    Raises KeyError for `central`, where clients do nothing.
    """
    return COSTS[config.federated.strategy](config, shapes, _round(config, shapes, purchases))


def mean_work(config: Settings, shapes: Shapes, purchases: npt.NDArray[np.integer]) -> float:
    """Multiply-adds of a client in a round, the mean over clients with so many purchases each; 0 under `central`."""
    if config.federated.strategy not in COSTS or not len(purchases):
        return 0.0
    lengths, counts = np.unique(purchases, return_counts=True)
    each = [client_cost(config, shapes, int(length)).multiply_adds for length in lengths]
    return float(np.average(each, weights=counts))


def _learning(config: Settings, shapes: Shapes, visit: _Round) -> int:
    """What either strategy does: pooling, the query tower, scores, and the step of θ_u."""
    tower, dim = query_tower(config, shapes), config.model.dim
    pooling = 2 * visit.purchases * dim if config.model.history != "none" else 0
    scores = 3 * (visit.targets + visit.steps * visit.negatives) * dim
    touched = len(shapes.clients) * config.model.field_dim + tower.dense
    return visit.steps * (pooling + 3 * tower.forward + touched) + scores


def _split(config: Settings, shapes: Shapes, visit: _Round) -> Cost:
    tower, dim = query_tower(config, shapes), config.model.dim
    weights, asked = tower.weights, visit.purchases + visit.obfuscating
    if not mode_of(config.request).asks:
        slate = messages.size([visit.pool, visit.pool * dim])
        down, up = messages.size([weights, 0, 0]) + slate, messages.size([weights, visit.pool * dim])
        return Cost(_learning(config, shapes, visit), down, up)
    down = messages.size([weights, visit.pool, visit.pool * dim]) + messages.size([asked * dim])
    up = messages.size([asked]) + messages.size([weights, (asked + visit.pool) * dim])
    return Cost(_learning(config, shapes, visit), down, up)


def _full(config: Settings, shapes: Shapes, visit: _Round) -> Cost:
    query, item = query_tower(config, shapes), item_tower(config, shapes)
    candidates = visit.purchases + visit.negatives
    touched = _touched(config, shapes, candidates) + item.dense
    work = _learning(config, shapes, visit) + visit.steps * (3 * candidates * item.forward + touched)
    weights = [query.weights, item.weights]
    return Cost(work, messages.size([*weights, visit.pool]), messages.size(weights))


COSTS: dict[str, Callable[[Settings, Shapes, _Round], Cost]] = {"split": _split, "full": _full}


def _touched(config: Settings, shapes: Shapes, candidates: int) -> int:
    """Weights in rows of the item tower's tables that so many candidates touch at most."""
    return sum(min(size, candidates) for size in shapes.items) * config.model.field_dim


def client_floats(config: Settings, shapes: Shapes, candidates: int) -> int:
    """Floats that a simulation holds at once for one client of `full` with so many candidates: weights, gradients and
    two moments; of every candidate its fields as looked up, and what the item tower holds: forward, backward, and as
    much again in between (within a third of what was measured at H&M with pools of 30,000 and 60,000)."""
    query, item = query_tower(config, shapes), item_tower(config, shapes)
    weights = query.weights + item.dense + _touched(config, shapes, candidates)
    of_each = len(shapes.items) * config.model.field_dim + item.held
    return 4 * weights + 3 * candidates * of_each
