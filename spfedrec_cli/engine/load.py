"""What every command needs of a run: its settings, its Dataset, its state."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli import run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.popularity import Given, read_popularity
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import MANIFEST
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.simulation.state import State, state_from_tensors, stored_tensors
from spfedrec_cli.federated.simulation.world import World, make_world
from spfedrec_cli.federated.strategies.rounds import Report
from spfedrec_cli.federated.wire.messages import KINDS
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.model.features import of_clients, of_items
from spfedrec_cli.model.towers import unflatten
from spfedrec_cli.placement import CPU, fetched, placed
from spfedrec_cli.retrieval.evaluate import Scorer, history_splits

_TOWERS = 256  # clients whose own towers are taken out of the state at once


@dataclass(frozen=True)
class Tally:
    """What a run has counted so far: in the checkpoint, so that a resumed run goes on counting."""

    client_updates: int = 0
    survivors: int = 0
    aborted: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    best_round: int = 0
    best: float = float("-inf")
    validation: Mapping[str, float] | None = None
    warnings: tuple[str, ...] = ()

    def after(self, report: Report) -> "Tally":
        up, down = report.ledger.total("up"), report.ledger.total("down")
        counted = replace(
            self,
            client_updates=self.client_updates + report.clients,
            survivors=self.survivors + report.survivors,
            aborted=self.aborted + report.aborted,
        )
        return replace(counted, bytes_up=self.bytes_up + up, bytes_down=self.bytes_down + down)


@dataclass(frozen=True)
class Crossed:
    """Messages of one kind over a whole run: how many, `mean` and `largest` in bytes, and what they tell."""

    kind: str
    direction: str
    count: int
    mean: float
    largest: int
    meaning: str


def crossed(folder: Path | str) -> list[Crossed]:
    """What the ledger of a run counted, in the order of the protocol."""
    rows: dict[str, list[dict[str, Any]]] = {kind.kind: [] for kind in KINDS}
    for entry in run.records(run.find(folder) / "ledger.jsonl"):
        rows[entry["kind"]].append(entry)
    return [_crossed(kind, rows[kind.kind]) for kind in KINDS if rows[kind.kind]]


def _crossed(kind: type[Any], entries: list[dict[str, Any]]) -> Crossed:
    count, total = (sum(entry[part] for entry in entries) for part in ("count", "bytes"))
    largest = max(entry["largest"] for entry in entries)
    return Crossed(kind.kind, kind.direction, count, total / count, largest, kind.meaning)


def open_run(folder: Path, dataset: Path | str | None = None) -> tuple[Dataset, World]:
    """The Dataset of a run and the world around its model, on the CPU wherever it was trained."""
    opened = load_dataset(folder, dataset)
    return opened, load_world(opened, load_config(folder))


def load_world(dataset: Dataset, config: Config, team: Team = ALONE, device: torch.device = CPU) -> World:
    """What a simulation on this Dataset needs: devices hold the training purchases and nothing later."""
    given = None if config.request.popularity == "sum" else partial(_popularity_counts, dataset, config)
    features = of_items(dataset), of_clients(dataset)
    return make_world(config, *features, dataset.history("train"), team, device, given)


def given_popularity(dataset: Dataset, config: Config) -> Given | None:
    """What the file of item popularity says, where the settings name one. Raises InputError where it cannot be read."""
    path = config.request.popularity
    return None if path == "sum" else read_popularity(Path(path), dataset)


def check_popularity(folder: Path, dataset: Dataset, config: Config) -> None:
    """Raises InputError where a run that begins again would read another file than at first."""
    given = given_popularity(dataset, config)
    if given is not None and run.about(folder).get("popularity_sha256") != given.sha256:
        raise InputError(
            "The file of item popularity is not the one that the run was started with",
            where=config.request.popularity,
            hint="put that one back, or train a new run",
        )


def _popularity_counts(dataset: Dataset, config: Config) -> npt.NDArray[np.int64]:
    return read_popularity(Path(config.request.popularity), dataset).counts


def load_config(folder: Path | str) -> Config:
    """The resolved settings of a run."""
    folder = run.find(folder)
    return resolve(file=run.check_config(folder))


def load_dataset(folder: Path, given: Path | str | None = None) -> Dataset:
    """The Dataset that a run was trained on, known by its fingerprint: `given`, else where it was, beside the run or
    under ./datasets. Raises InputError where it is in none of these places, or was prepared anew with other data."""
    given = None if given is None else Path(given)
    about = run.about(folder)
    recorded, sought = Path(about["dataset"]), about["dataset_sha256"]
    reason: InputError | None = None
    for place in [given] if given is not None else _places(folder, recorded, about["dataset_name"]):
        if given is None and not (place / MANIFEST).is_file():
            continue
        try:
            dataset = Dataset.open(place)
        except InputError as error:
            reason = error if place in (given, recorded) else reason
            continue
        if dataset.fingerprint == sought:
            return dataset
        reason = _another(place) if place in (given, recorded) else reason
    problem = (
        f"The Dataset of the run, {about['dataset_name']}, is not where it was, nor beside the run or under ./datasets"
    )
    raise reason or InputError(problem, where=str(recorded), hint="say where it is with --dataset")


def _another(place: Path) -> InputError:
    hint = "prepare the same data again, say where they are with --dataset, or train a new run"
    return InputError("The Dataset is not the one that the run was trained on", where=str(place), hint=hint)


def _places(folder: Path, recorded: Path, name: str) -> Iterator[Path]:
    """Where a run's Dataset may be, the likeliest first: a project that was moved took it along."""
    yield recorded
    runs = folder.resolve().parent
    around = (runs.parent / run.DATASETS, runs, runs.parent, run.DATASETS)
    yield from (beside / name for beside in around)
    for beside in (around[0], run.DATASETS):
        yield from sorted(file.parent for file in beside.glob(f"*/{MANIFEST}"))


def checkpoint_round(folder: Path, which: str) -> int:
    """The round of the `best` (by train.monitor) or the `last` checkpoint; of the one before, where it is damaged."""
    if which not in ("best", "last"):
        raise InputError(f"There is no checkpoint {which!r}", hint="choose best or last")
    return run.usable(folder, which)


def save_state(folder: Path, state: State, tally: Tally, keep: int = 1) -> None:
    """A checkpoint: the state, and what was counted. The last `keep` and the best one stay."""
    manifest = {"tally": asdict(tally)}
    run.save_checkpoint(
        folder, run.Checkpoint(state.round, stored_tensors(state), state.private, manifest), [tally.best_round], keep
    )


def load_state(folder: Path, round_: int) -> tuple[State, Tally]:
    """The inverse of `save_state`."""
    checkpoint = run.load_checkpoint(folder, round_)
    return state_from_tensors(round_, checkpoint.tensors, checkpoint.private), tally_of(checkpoint.manifest["tally"])


def tally_of(record: dict[str, Any]) -> Tally:
    """The tally of its record as a dict."""
    return Tally(**{**record, "warnings": tuple(record["warnings"])})


def model_scorer(dataset: Dataset, world: World, state: State, split: str) -> Scorer:
    """Scores of the model, with the history that clients have when `split` begins."""
    return scorer(world, state, dataset.history(*history_splits(split)).take)


def scorer(world: World, state: State, recall: Callable[[I32], Ragged]) -> Scorer:
    """Scores of the model, with the histories that `recall` gives for clients (n,), row by row."""
    items = item_embeddings(state.item, world.items)

    def score(clients: I32) -> F32:
        # By torch, whose threads training holds at one: another number of them could break ties another way.
        queries = client_queries(world, state, clients, recall(clients), items)
        return np.asarray(fetched(queries @ items.T).numpy(), np.float32)

    return score


def client_queries(world: World, state: State, clients: npt.ArrayLike, history: Ragged, items: Tensor) -> Tensor:
    """ũ (n, d) of known clients."""
    rows = torch.from_numpy(np.asarray(clients, np.int64))
    if world.config.client.private_state == "tower":
        return _own_tower_queries(world, state, rows, history, items)
    private = None if state.private is None else placed(state.private.index_select(0, rows), world.device)
    codes = placed(world.clients.codes.index_select(0, rows), world.device)
    return query_embeddings(world.config.model, state.query, codes, history, items, private)


def _own_tower_queries(world: World, state: State, rows: Tensor, history: Ragged, items: Tensor) -> Tensor:
    """The same, each client by its own tower; a few at a time, since their towers are large."""
    assert state.private is not None
    found = [items.new_empty(0, items.shape[1])]
    for part in torch.split(torch.arange(len(rows)), _TOWERS):
        some = rows.index_select(0, part)
        towers = unflatten(placed(state.private.index_select(0, some), world.device), state.query)
        codes = placed(world.clients.codes.index_select(0, some), world.device)
        found.append(query_embeddings(world.config.model, towers, codes, history.take(part.numpy()), items))
    return torch.cat(found)
