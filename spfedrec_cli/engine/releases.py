"""An earlier training beside a run: who has left since, and what both models say of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spfedrec_cli import run
from spfedrec_cli.audit.views import Candidates, Model
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F32, I32, I64, Bool
from spfedrec_cli.engine.asked import model_of
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.errors import InputError

FEWEST, MOST = 5, 300  # customers who left, that there have to be, and of whom is asked


@dataclass(frozen=True)
class Releases:
    """`before`: the earlier model, by the item numbers of the run. `asked`: customers of then, as many who left as who
    stayed, numbered as they stand; `left` (n,) which of them did."""

    before: Model
    asked: Candidates
    left: Bool


def releases(earlier: Path | str, dataset: Dataset, seed: int) -> Releases:
    """Raises InputError where hardly anybody has left, or the earlier run has no model that is the same for all."""
    folder = run.find(earlier)
    opened, world = open_run(folder)
    state = load_state(folder, run.usable(folder))[0]
    then, ids = model_of(world, state), set(dataset.client_ids)
    if then is None:
        raise InputError("Every client of the earlier run keeps a query tower of its own", where=str(folder))
    now = _numbers(opened, dataset)
    purchased = world.devices.purchased
    able = np.flatnonzero(purchased.lengths > 1)
    gone = np.array([opened.client_id(client) not in ids for client in able.tolist()], np.bool_)
    rng, count = np.random.default_rng(seed), min(int(gone.sum()), int((~gone).sum()), MOST)
    if count < FEWEST:
        problem = f"Of the customers of the earlier run {count} have left since, which is too few to tell anything"
        hint = "name a run of a Dataset that has customers whom this run's has not"
        raise InputError(problem, where=str(folder), hint=hint)
    chosen = np.sort(np.concatenate([rng.permutation(able[each])[:count] for each in (gone, ~gone)]))
    rows = [now[purchased.row(client)] for client in chosen.tolist()]
    asked = Candidates(np.arange(len(chosen)), tuple(each[each >= 0].astype(np.int32) for each in rows))
    return Releases(_renumbered(then, now, dataset.n_items), asked, np.isin(chosen, able[gone]))


def _numbers(then: Dataset, now: Dataset) -> I64:
    """(n_items then,) the number of each item now; −1 of what is gone."""
    number = {item: place for place, item in enumerate(now.item_ids)}
    return np.array([number.get(item, -1) for item in then.item_ids], np.int64)


def _renumbered(model: Model, now: I64, n_items: int) -> Model:
    items, then = np.zeros((n_items, model.items.shape[1]), np.float32), np.full(n_items, -1, np.int64)
    items[now[now >= 0]] = model.items[now >= 0]
    then[now[now >= 0]] = np.flatnonzero(now >= 0)

    def embed(clients: I64, purchases: list[I32]) -> F32:
        return model.embed(np.full(len(clients), -1), [then[each].astype(np.int32) for each in purchases])

    return Model(items, embed, model.moved)
