"""A store of what lists of known customers need, written; serving.store reads it."""

import json
from pathlib import Path

import numpy as np

import spfedrec_cli
from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.choice import EVERYTHING
from spfedrec_cli.engine.vectors import write_npy
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.serving import store


def write_store(folder: Path, dataset: Dataset, world: World, state: State) -> None:
    """Arrays, labels, and last the file that names them."""
    write_npy(folder, dataset, world, state)
    past = dataset.history(*EVERYTHING)
    np.save(folder / store.BOUGHT, past.values.astype(np.int32))
    np.save(folder / store.ENDS, np.cumsum(past.lengths).astype(np.int64))
    labels = {name: dataset.labels.column(name).to_pylist() for name in dataset.labels.column_names}
    columns = [labels.get(name, [None] * dataset.n_items) for name in store.NAMES]
    lines = "\n".join(json.dumps(row) for row in zip(*columns, strict=True))
    (folder / store.LABELS).write_text(lines + "\n", encoding="utf-8")
    about = {
        "layout": store.LAYOUT,
        "version": spfedrec_cli.__version__,
        "dataset": dataset.name,
        "round": state.round,
        "repeats": dataset.repeats,
        "second_stage": state.ranking is not None,
        "files": {name: files.named(folder / name) for name in store.FILES},
    }
    files.write_json(folder / store.ABOUT, files.sealed(about))
