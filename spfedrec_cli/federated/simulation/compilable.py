"""Which query towers the compiled loop over clients serves, and the shape that it takes for each."""

from collections.abc import Callable

import numpy as np

from spfedrec_cli.config import Settings
from spfedrec_cli.errors import InputError
from spfedrec_cli.kernels.tower import Tower
from spfedrec_cli.model.architectures import architecture
from spfedrec_cli.model.towers import FLAT, Weights, dense, tables


def tower_of(like: Weights) -> Tower:
    """The shape of a query tower with such weights: gates, where it has them, then the layers of an MLP."""
    others, of_fields = dense(like), tables(like)
    starts = np.cumsum([0, *(weight.numel() for weight in others.values())])
    named = zip(others.items(), starts.tolist(), strict=False)
    matrices = [(*weight.shape, start) for (_, weight), start in named if weight.dim() == 2]
    fields, width = len(of_fields), next(iter(of_fields.values())).shape[1] if of_fields else 1
    first = others["mlp.0.weight"].shape[1]
    return Tower(
        np.array(matrices, np.int64), fields, width, "se.squeeze" in others, first > fields * width, np.float32(FLAT)
    )


COMPILED: dict[str, Callable[[Weights], Tower]] = {"se_mlp": tower_of, "linear": tower_of}


def check_towers(config: Settings) -> None:
    """Raises InputError where a tower does not exist, or is not compiled and would have to be.

    (`full` and `central` differentiate any tower.)
    """
    name = config.model.query_tower
    architecture("model.query_tower", name)
    architecture("model.item_tower", config.model.item_tower)
    if config.train.engine == "simulation" and config.federated.strategy == "split" and name not in COMPILED:
        raise InputError(
            f"train.engine = simulation has no compiled form of model.query_tower = {name}",
            hint="set train.engine=reference",
        )
