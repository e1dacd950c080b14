"""A hand-sized world: few clients, ragged purchases, every kind of field."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from spfedrec_cli.config import validate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.model.features import Features
from spfedrec_cli.placement import CPU

SMALL = {
    "model": {"dim": 8, "field_dim": 4, "hidden": [8]},
    "client": {"pool_size": 20},
    # One unit of the codec is 5e-5: far above the noise of float32 here, far below any gradient.
    "federated": {"cohort_size": 7, "range_query": 50.0, "range_item": 50.0},
}


class Aging(Features):
    """The last field is the round, as an age would be: from 0 to the last value that it has."""

    def at(self, round_: int) -> Features:
        codes = self.codes.clone()
        codes[:, -1] = min(round_, self.cardinalities[-1] - 1)
        return Features(self.names, self.cardinalities, codes)


def seeded(seed: int = 0) -> torch.Generator:
    """What a test draws from: the same in every run, in any order of the tests."""
    return torch.Generator().manual_seed(seed)


def features(rng: np.random.Generator, rows: int, sizes: dict[str, int]) -> Features:
    """Random codes of fields with so many values each; a field called id counts the rows."""
    columns = [np.arange(rows) if name == "id" else rng.integers(0, size, rows) for name, size in sizes.items()]
    codes = np.stack(columns, 1) if columns else np.empty((rows, 0), np.int64)
    return Features(tuple(sizes), tuple(sizes.values()), torch.from_numpy(codes.astype(np.int64)))


def merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Nested settings, later ones winning."""
    result: dict[str, Any] = {}
    for layer in layers:
        for section, values in layer.items():
            result.setdefault(section, {}).update(values)
    return result


def build_world(
    settings: dict[str, Any] | None = None,
    lengths: list[int] | None = None,
    seed: int = 0,
    team: Team = ALONE,
    device: torch.device = CPU,
) -> World:
    """Clients with so many purchases each, in a catalogue of at least 40 items."""
    rng = np.random.default_rng(seed)
    lengths = [1, 2, 3, 5, 8, 13, 25, 1, 4, 0] if lengths is None else lengths
    n_items = max(40, 2 * max(lengths))
    rows = [rng.choice(n_items, length, replace=False).tolist() for length in lengths]
    items = features(rng, n_items, {"id": n_items, "type": 5, "colour": 4})
    clients = features(rng, len(rows), {"age": 4, "status": 3})
    return make_world(validate(merged(SMALL, settings or {})), items, clients, Ragged.from_rows(rows), team, device)


def at_round(state: State, round_: int) -> State:
    """The same, as if so many rounds were over."""
    return replace(state, server=replace(state.server, round=round_))


def told_otherwise(world: World, **known: Any) -> World:
    """The same world, whose server knows something else."""
    return replace(world, known=replace(world.known, **known))


def entries(channel: Channel) -> list[dict[str, int | str]]:
    """What has crossed it."""
    return [entry.as_dict() for entry in channel.ledger().entries]
