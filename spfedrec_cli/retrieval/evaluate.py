"""Rank the catalogue, or a client's ground truth among its fixed negatives, and measure where the ground truth lies."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import CLIENT
from spfedrec_cli.errors import InputError, SpfedrecError, nearest
from spfedrec_cli.retrieval.index import EMPTY, F32, I32, Bool, blocks, exclusions, refuse_nan, top_k
from spfedrec_cli.retrieval.metrics import F64, METRICS, coverage

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Scorer = Callable[[I32], F32]  # dense client ids (n,) -> a score for every item (n, n_items), larger is better

HISTORY_SPLITS = {"validation": ("train",), "test": ("train", "validation")}
PROTOCOLS = ("full", "sampled")
CANDIDATES = ("all", "active")
ACTIVE_DAYS = 28
UNITS_PER_DAY = {"day": 1, "second": 86_400}
REPORT = "evaluation.json"


@dataclass(frozen=True)
class Task:
    """What is ranked, for whom, and what counts as found.

    `clients` int32 (n,), ascending, those with ground truth; `truth` their distinct items, row i for client i. `seen`:
    items that row i may not rank. `candidates` bool (n_items,): the items ranked, None for all. `negatives` int32
    (n, 99), -1 for padding, in the sampled protocol only. `skipped` counts the clients without ground truth.
    """

    split: str
    protocol: str
    clients: I32
    truth: Ragged
    seen: Ragged | None
    candidates: Bool | None
    negatives: I32 | None
    skipped: int
    n_items: int

    @property
    def most_candidates(self) -> int:
        """The longest list that any client could get, before its seen items are dropped."""
        if self.negatives is not None:
            return int((self.truth.lengths + (self.negatives != EMPTY).sum(axis=1)).max())
        return self.n_items if self.candidates is None else int(self.candidates.sum())


@dataclass(frozen=True)
class Evaluation:
    """`per_client`: "ndcg@10" -> float64 aligned with `clients` (n,); `metrics`: their means, and coverage@k."""

    split: str
    protocol: str
    candidates: str
    clients: I32
    skipped: int
    per_client: dict[str, F64]
    metrics: dict[str, float]


def history_splits(split: str) -> tuple[str, ...]:
    """The splits that may be known when `split` is predicted. InputError for a name other than validation and test."""
    return HISTORY_SPLITS[_one_of(tuple(HISTORY_SPLITS), split, "split")]


def make_task(dataset: "Dataset", split: str = "test", protocol: str = "full", candidates: str = "all") -> Task:
    """The ranking task of a split; of the splits after `split`, nothing is read.

    Full: every item, or with `candidates` "active" those sold in the last 28 days of train (ground truth that is not
    active then counts as missed), less the client's seen items where the Dataset does not repeat. Sampled: the ground
    truth among the client's 99 fixed negatives, which it never bought. InputError for an unknown name, for "active"
    without dates or in the sampled protocol, and where nobody has ground truth.
    """
    known = history_splits(split)
    sampled = _one_of(PROTOCOLS, protocol, "protocol") == "sampled"
    active = _one_of(CANDIDATES, candidates, "candidates") == "active"
    if sampled and active:
        raise InputError("The sampled protocol has its own candidates", hint="use the full protocol with active")
    truth = dataset.truth(split)
    clients = np.flatnonzero(truth.lengths).astype(np.int32)
    if not clients.size:
        raise InputError(f"No client has ground truth in {split}", where=str(dataset.path), hint="choose another split")
    drop_seen = not (sampled or dataset.repeats)
    return Task(
        split=split,
        protocol=protocol,
        clients=clients,
        truth=truth.take(clients),
        seen=dataset.history(*known).take(clients) if drop_seen else None,
        candidates=_active(dataset) if active else None,
        negatives=_negatives(dataset, clients) if sampled else None,
        skipped=dataset.n_clients - clients.size,
        n_items=dataset.n_items,
    )


def evaluate(scorer: Scorer, task: Task, ks: Sequence[int]) -> Evaluation:
    """Every metric of METRICS at every k, for each client and on average; coverage@k too in the full protocol.

    InputError where a k is below 1 or above the number of candidates; SpfedrecError where a score is NaN.
    """
    cutoffs = _checked(ks, task.most_candidates)
    ranked = rank(scorer, task, cutoffs[-1])
    hits, sizes = _hits(ranked, task), task.truth.lengths
    per_client = {f"{name}@{k}": metric(hits, sizes, k) for name, metric in METRICS.items() for k in cutoffs}
    metrics = {name: float(values.mean()) for name, values in per_client.items()}
    if task.protocol == "full":
        metrics |= {f"coverage@{k}": coverage(ranked, task.n_items, k) for k in cutoffs}
    pool = CANDIDATES[task.candidates is not None]
    return Evaluation(task.split, task.protocol, pool, task.clients, task.skipped, per_client, metrics)


def rank(scorer: Scorer, task: Task, k: int) -> I32:
    """(n, k) item ids, best first, ties by item id; -1 where a client has fewer. Scores are held a block at a time."""
    ranked = np.empty((task.clients.size, k), np.int32)
    for block in blocks(task.clients.size, task.n_items):
        clients = task.clients[block]
        scores = _scored(scorer, clients, task.n_items)
        rows = np.arange(block.start, block.stop)
        if task.negatives is None:
            seen = None if task.seen is None else task.seen.take(rows)
            excluded = exclusions(task.n_items, clients.size, seen, task.candidates)
            ranked[block] = top_k(scores, k, excluded)[0]
        else:
            ranked[block] = _rank_lists(scores, task.truth.take(rows), task.negatives[block], k)
    return ranked


def write_evaluation(folder: Path, evaluation: Evaluation, report: Mapping[str, object]) -> Path:
    """Write the values of each client to Parquet, and the means into `folder`/evaluation.json; returns the latter.

    The entry "<split>/<protocol>/<candidates>" holds `report` (what the caller adds) and the evaluation; the other
    entries stay. InputError where the file that is there is not such a report; then nothing is written.
    """
    name = "-".join(["evaluation", evaluation.split, evaluation.protocol, *_pool_suffix(evaluation)]) + ".parquet"
    facts = {
        "split": evaluation.split,
        "protocol": evaluation.protocol,
        "candidates": evaluation.candidates,
        "clients": int(evaluation.clients.size),
        "skipped": evaluation.skipped,
        "metrics": evaluation.metrics,
        "per_client": name,
    }
    key = f"{evaluation.split}/{evaluation.protocol}/{evaluation.candidates}"
    entries = _entries(folder / REPORT) | {key: {**report, **facts}}
    text = json.dumps(entries, indent=2, allow_nan=False) + "\n"
    table = pa.table({CLIENT: pa.array(evaluation.clients, pa.int32()), **evaluation.per_client})
    _replace(folder / name, lambda path: pq.write_table(table, path))
    _replace(folder / REPORT, lambda path: path.write_text(text, encoding="utf-8"))
    return folder / REPORT


def _one_of(known: tuple[str, ...], word: str, what: str) -> str:
    if word not in known:
        near = nearest(word, list(known))
        advice = f"did you mean {near}" if near else f"choose from {', '.join(known)}"
        raise InputError(f"Unknown {what} '{word}'", hint=advice)
    return word


def _active(dataset: "Dataset") -> Bool:
    """(n_items,): sold in the last 28 days of train."""
    unit = dataset.manifest.time_unit
    if unit not in UNITS_PER_DAY:
        raise InputError("The Dataset has no dates, so no item is active", where=str(dataset.path), hint="use all")
    train = dataset.purchases("train")
    since = int(train.time.max(initial=0)) - ACTIVE_DAYS * UNITS_PER_DAY[unit]
    active = np.zeros(dataset.n_items, np.bool_)
    active[train.item[train.time > since]] = True
    return active


def _negatives(dataset: "Dataset", clients: I32) -> I32:
    """The rows of the Dataset's fixed negatives for `clients`, in their order."""
    owners, items = dataset.negatives
    place = np.full(dataset.n_clients, -1, np.int64)
    place[owners] = np.arange(owners.size)
    rows = place[clients]
    if (rows < 0).any():
        missing = int(clients[np.argmax(rows < 0)])
        raise InputError(
            f"Client {missing} has no negatives", where=str(dataset.path), hint="prepare the Dataset again"
        )
    return items[rows]


def _checked(ks: Sequence[int], most: int) -> list[int]:
    """Distinct, ascending."""
    if not ks or min(ks) < 1:
        raise InputError("k must be 1 or more", hint="for example -k 10")
    if max(ks) > most:
        raise InputError(f"k = {max(ks)} is more than the {most} candidates", hint="choose a smaller k")
    return sorted(set(ks))


def _scored(scorer: Scorer, clients: I32, n_items: int) -> F32:
    scores = np.asarray(scorer(clients), np.float32)
    if scores.shape != (clients.size, n_items):
        raise SpfedrecError(f"A scorer gave scores of shape {scores.shape}, not {(clients.size, n_items)}")
    refuse_nan(scores, clients)
    return scores


def _rank_lists(scores: F32, truth: Ragged, negatives: I32, k: int) -> I32:
    """(n, k): the best of each row's ground truth and negatives. Ids ascend along a list, so that ties go by id."""
    lists = np.sort(np.hstack([truth.padded(EMPTY), negatives]), axis=1)
    places = top_k(np.take_along_axis(scores, lists, axis=1), k, lists == EMPTY)[0]
    items = np.take_along_axis(lists, places, axis=1)
    return np.where(places == EMPTY, np.int32(EMPTY), items)


def _hits(ranked: I32, task: Task) -> Bool:
    """True where `ranked` (n, k) holds ground truth of its row."""
    rows = np.arange(len(ranked), dtype=np.int64)[:, None]
    wanted: npt.NDArray[np.int64] = task.truth.row_index() * task.n_items + task.truth.values
    hits: Bool = np.isin(rows * task.n_items + ranked, wanted) & (ranked != EMPTY)
    return hits


def _pool_suffix(evaluation: Evaluation) -> list[str]:
    return [] if evaluation.candidates == "all" else [evaluation.candidates]


def _entries(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        entries = None
    if not isinstance(entries, dict):
        raise InputError(
            "The file is not a report of evaluations", where=str(path), hint="move it away and evaluate again"
        )
    return entries


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path`, then rename: `path` is whole at all times, and no remains stay behind a failure."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        write(beside)
        os.replace(beside, path)
    except OSError as error:
        hint = str(error.strerror or error)
        raise SpfedrecError("The evaluation cannot be written", where=str(path), hint=hint) from None
    finally:
        beside.unlink(missing_ok=True)
