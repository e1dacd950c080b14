"""Comparison: is one run better than another, on the same clients?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli import run
from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.engine.beside import BLEND, SECOND_STAGE
from spfedrec_cli.engine.checkpoint import checkpoint_round
from spfedrec_cli.engine.evaluate import entries_of, lengths, measured
from spfedrec_cli.engine.load import load_dataset
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.engine.way import Way
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.retrieval.baselines import known
from spfedrec_cli.retrieval.evaluate import make_task, means
from spfedrec_cli.retrieval.intervals import Paired, differences, holm
from spfedrec_cli.retrieval.metrics import APART, CATALOGUE_METRICS, LIST_METRICS, METRICS
from spfedrec_cli.retrieval.written import file_name, read_clients

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Competitor:
    """A run, or with `recommender` a baseline or the blend that was measured beside it."""

    name: str
    folder: Path
    recommender: str = ""


@dataclass(frozen=True)
class Comparison(Tabular):
    """`means`: by competitor and metric, those that are tested and APART; `pairs`: the first against each of the
    others."""

    split: str
    protocol: str
    candidates: str
    clients: int
    means: dict[str, dict[str, float]]
    pairs: list[Paired]
    tests: int

    def to_frame(self) -> "pd.DataFrame":
        """A row each pair and metric, as ("against", "metric"): both means, their difference with its interval of 95 %,
        and p corrected by Holm."""
        rows = (row for pair in self.pairs for row in self._rows(pair))
        return frame(rows).set_index(["against", "metric"])

    def _rows(self, pair: Paired) -> Iterator[dict[str, Any]]:
        first = next(iter(self.means))
        for metric, found in pair.differences.items():
            means = {"first": self.means[first][metric], "other": self.means[pair.name][metric]}
            spread = {"difference": found.mean, "low": found.low, "high": found.high, "p": pair.p_holm[metric]}
            yield {"against": pair.name, "metric": metric, **means, **spread}


def competitor(name: str) -> Competitor:
    """A run by its path or name; with ":NAME" behind it a baseline, "blend", "NAME-blend" or "second-stage". Else
    InputError."""
    if ":" not in name or Path(name).exists():
        return Competitor(name, run.find(name))
    folder, _, recommender = name.rpartition(":")
    if recommender not in (BLEND, SECOND_STAGE):
        known([recommender.removesuffix(f"-{BLEND}")], also=())
    return Competitor(name, run.find(folder), recommender)


def compare(
    names: Sequence[Path | str],
    split: str = "test",
    ks: Sequence[int] | None = None,
    protocol: str = "full",
    candidates: str = "all",
    metrics: Sequence[str] | None = None,
    dataset: Path | str | None = None,
) -> Comparison:
    """The first of `names` against each of the others, paired by client; what a name is, `competitor` says.

    What was not evaluated in this way, or at another checkpoint, is evaluated first. `metrics` are tested ("ndcg@10");
    left out, NDCG and hit rate at every k; means of recall of new and of repeated items at the least k are there in any
    case, where items are bought again. `ks` and `dataset`: as `evaluate` has them. InputError for fewer than two, for
    runs on different Datasets, and for a metric that is not measured.
    """
    every = [competitor(name) for name in dict.fromkeys(map(str, listed(names)))]
    if len(every) < 2:
        raise InputError("There is nothing to compare with", hint="name two runs, or one and run:popularity")
    _same_dataset(every)
    metrics = [] if metrics is None else listed(metrics)
    asked = [_k(metric) for metric in metrics]
    places = lengths(ks, make_task(load_dataset(every[0].folder, dataset), split, protocol, candidates))
    way = Way(split, sorted({*places, *asked}), protocol=protocol, candidates=candidates)
    values = [_values(each, way, metrics, dataset) for each in every]
    clients = values[0][0]
    assert all(np.array_equal(clients, other) for other, _ in values)  # the same Dataset, split and protocol
    tested = list(metrics or [f"{name}@{k}" for name in ("hit_rate", "ndcg") for k in places])
    _check_measured(tested, values[0][1], every[0])
    of = [{metric: by_client[metric] for metric in tested} for _, by_client in values]
    found = [differences(of[0], other) for other in of[1:]]
    flat = holm(np.array([each.p for pair in found for each in pair.values()]))
    adjusted = iter(flat.tolist())
    pairs = [
        Paired(each.name, pair, {metric: next(adjusted) for metric in pair})
        for each, pair in zip(every[1:], found, strict=True)
    ]
    shown = dict.fromkeys([*tested, *(f"{name}@{places[0]}" for name in APART)])
    by_name = {each.name: means(_of(shown, found)) for each, (_, found) in zip(every, values, strict=True)}
    return Comparison(split, protocol, candidates, len(clients), by_name, pairs, len(flat))


def _of(metrics: Iterable[str], found: Mapping[str, F64]) -> dict[str, F64]:
    return {name: found[name] for name in metrics if name in found}


def _k(metric: str) -> int:
    name, _, k = metric.partition("@")
    if name in CATALOGUE_METRICS:
        problem = f"'{name}' is of all lists together, so that there is nothing to pair by client"
        raise InputError(problem, hint="`spfedrec evaluate RUN --more` shows it")
    if name not in (*METRICS, *APART, *LIST_METRICS) or not k.isdecimal() or k != str(int(k)):
        hint = f"choose from {', '.join((*METRICS, *APART, *LIST_METRICS))}, with @ and the length of the list"
        raise InputError(f"There is no metric '{metric}'", hint=hint)
    return int(k)


def _check_measured(tested: Sequence[str], found: Mapping[str, F64], first: Competitor) -> None:
    """Recall of new and of repeated items is there only where there are both, LIST_METRICS only of whole rankings."""
    for metric in tested:
        if metric not in found:
            of_lists = metric.partition("@")[0] in LIST_METRICS
            again = f"Nothing is bought again in the Dataset of {first.name}"
            reason = "What lists show is not measured among 99 others" if of_lists else again
            raise InputError(f"{reason}, so that there is no '{metric}'", hint="leave it out")


def _same_dataset(every: Sequence[Competitor]) -> None:
    first = run.about(every[0].folder)
    for each in every[1:]:
        other = run.about(each.folder)
        if other["dataset_sha256"] != first["dataset_sha256"]:
            problem = (
                f"{every[0].name} and {each.name} were trained on different Datasets, {first['dataset_name']} and "
                f"{other['dataset_name']} (or other splits of one)"
            )
            raise InputError(problem, hint="compare runs on one Dataset")


Values = tuple[I32, dict[str, F64]]  # clients int32 (n,), and their values (n,) by metric


def _values(each: Competitor, way: Way, metrics: Sequence[str], dataset: Path | str | None) -> Values:
    """From the run's folder, or evaluated now, beside all that was evaluated there before."""
    entry = entries_of(each.folder).get(f"{way.split}/{way.protocol}/{way.candidates}", {})
    ks = way.ks or ()
    if _is_current(entry, each):
        kept = read_clients(each.folder / file_name(way.split, way.protocol, way.candidates, each.recommender), entry)
        if all(name in kept[1] for name in (*metrics, *(f"ndcg@{k}" for k in ks))):
            return kept
    rival = each.recommender.removesuffix(BLEND).removesuffix("-")
    baselines = {*entry.get("baselines", {}), rival} - {"", SECOND_STAGE}
    second = bool(entry.get("second_stage")) or rival == SECOND_STAGE
    blend = bool(entry.get("blends")) or each.recommender.endswith(BLEND)
    before = {int(metric.partition("@")[2]) for metric in entry.get("metrics", {})}
    wider = replace(way, ks=sorted({*ks, *before}), baselines=sorted(baselines), blend=blend, second_stage=second)
    found = measured(each.folder, wider, dataset).of(each.recommender)
    return found.clients, found.per_client


def _is_current(entry: Mapping[str, Any], each: Competitor) -> bool:
    """Whether the best checkpoint was evaluated, with this recommender beside it."""
    best = checkpoint_round(each.folder, "best")
    if not entry or not run.origin(each.folder, best).items() <= entry.items():
        return False
    second = {SECOND_STAGE: None} if entry.get("second_stage") else {}
    return not each.recommender or each.recommender in {**second, **entry["baselines"], **entry.get("blends", {})}
