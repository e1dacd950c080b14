"""The one way in which a run ranks items for people: known customers, strangers, and everybody."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.choice import EVERYTHING, Where, kept_items
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.engine.own_lists import first_of_own_lists, has_second_stage, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import scorer
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.embed import item_embeddings
from spfedrec_cli.model.prior import ranked_items
from spfedrec_cli.retrieval import serve
from spfedrec_cli.retrieval.index import EMPTY, blocks, exclusions
from spfedrec_cli.retrieval.second_stage import Lister

LENGTH = 12


@dataclass(frozen=True)
class Opened:
    """A run's Dataset, world and state, and the embeddings of all items (n_items, d)."""

    dataset: Dataset
    world: World
    state: State
    items: Tensor

    @cached_property
    def catalogue(self) -> F32:
        """What lists are ranked by: (n_items, d), with a prior (n_items, d + 1)."""
        ranked = ranked_items(self.world.config.model, self.items, self.state.sales, self.state.prior)
        return np.asarray(ranked.numpy(), np.float32)


def opened(folder: Path, checkpoint: str, dataset: Path | str | None = None) -> Opened:
    """Raises InputError as `open_run` and `load_state` do."""
    data, world = open_run(folder, dataset)
    state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
    embedded = item_embeddings(world.config.model, state.item, world.known.items.at(state.round))
    return Opened(data, world, state, embedded)


@dataclass(frozen=True)
class Ranker:
    """Lists of `places` items: of those `kept`, ascending, or of all; without what was bought where that is
    `excluded`. `alone`: the lists of known clients by their second stage, where that ranks."""

    model: Opened
    places: int
    excluded: bool
    kept: I32 | None
    alone: Lister | None = None

    def lists(self, queries: Tensor, past: Ragged, threads: int = 1, clients: I32 | None = None) -> tuple[I32, F32]:
        """Items (n, places) and scores, as `serve.recommend` has them, of queries (n, d) of clients with that past;
        `clients` (n,): who they are, where they are known."""
        if self.alone is not None and clients is not None:
            return self._by_second_stage(self.alone, clients, past)
        catalogue, seen = self.model.catalogue, past if self.excluded else None
        if self.kept is None:
            return serve.recommend(queries.numpy(), catalogue, self.places, seen, product, threads)
        # Only what is kept is scored: a filter makes a list faster, and what it drops cannot come back.
        among = None if seen is None else _places_of(seen, self.kept)
        found, scores = serve.recommend(queries.numpy(), catalogue[self.kept], self.places, among, product, threads)
        return np.where(found == EMPTY, np.int32(EMPTY), self.kept[found]), scores

    def _by_second_stage(self, alone: Lister, clients: I32, past: Ragged) -> tuple[I32, F32]:
        n_items = self.model.dataset.n_items
        items = np.empty((len(clients), self.places), np.int32)
        values = np.empty((len(clients), self.places), np.float32)
        candidates = None if self.kept is None else np.isin(np.arange(n_items), self.kept)
        for block in blocks(len(clients), n_items):
            own = past.take(np.arange(block.start, block.stop)) if self.excluded else None
            dropped = exclusions(n_items, len(clients[block]), own, candidates)
            items[block], values[block] = alone(clients[block], self.places, dropped)
        return items, values


def by_second_stage(folder: Path, model: Opened, wanted: bool | None) -> Lister | None:
    """Lists of customers by the run's second stage, with all that was bought up to now; None where it has none, or it
    is not wanted. InputError where it is wanted and not there."""
    config = model.world.config
    if wanted is False or (wanted is None and not has_second_stage(folder, config)):
        return None
    device = ranker_of(model.dataset, config, second_stage_of(folder, config))
    towers = scorer(model.world, model.state, model.dataset.history(*EVERYTHING).take)
    return first_of_own_lists(device, model.dataset, towers, *EVERYTHING)


def ranker(
    model: Opened,
    k: int | None,
    exclude_seen: bool | None,
    where: Where | None = None,
    active_days: int | None = None,
    alone: Lister | None = None,
) -> Ranker:
    """Raises InputError as `kept_items` does, and where the catalogue has no k items. Of fewer that are kept all are
    ranked."""
    kept = kept_items(model.dataset, where, active_days)
    places = length(k, model.dataset)
    serve.check_length(places, model.dataset.n_items)
    places = places if kept is None else min(places, len(kept))
    return Ranker(model, places, excludes(exclude_seen, model.dataset), kept, alone)


def _places_of(seen: Ragged, kept: I32) -> Ragged:
    """Rows of items as rows of their places in `kept`; those that are not there fall away."""
    places = np.searchsorted(kept, seen.values)
    there = kept[np.minimum(places, len(kept) - 1)] == seen.values
    lengths = np.bincount(seen.row_index()[there], minlength=len(seen))
    return Ragged.from_lengths(lengths, places[there])


def excludes(exclude_seen: bool | None, dataset: Dataset) -> bool:
    """Whether a list leaves out what was bought; by default, where nobody buys anything twice."""
    return not dataset.repeats if exclude_seen is None else exclude_seen


def length(k: int | None, dataset: Dataset) -> int:
    """Of a list for which none was said."""
    return min(LENGTH, dataset.n_items) if k is None else k


def product(one: F32, two: F32) -> F32:
    """Of matrices, by torch: in half of the time that numpy takes for so few dimensions."""
    return np.asarray(torch.mm(torch.from_numpy(one), torch.from_numpy(two)).numpy(), np.float32)
