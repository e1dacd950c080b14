"""Comparison: is one run better than another, on the same clients?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spfedrec_cli import run
from spfedrec_cli.engine.beside import BLEND
from spfedrec_cli.engine.evaluate import K, evaluate
from spfedrec_cli.engine.load import checkpoint_round
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.baselines import known
from spfedrec_cli.retrieval.index import I32
from spfedrec_cli.retrieval.intervals import Difference, differences, holm
from spfedrec_cli.retrieval.metrics import F64, METRICS
from spfedrec_cli.retrieval.written import file_name, read_clients, read_entries

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Competitor:
    """A run, or with `recommender` a baseline or the blend that was measured beside it."""

    name: str
    folder: Path
    recommender: str = ""


@dataclass(frozen=True)
class Paired:
    """The first less this one, by metric; `p_holm`: p of the signed-rank tests, corrected for all those made."""

    name: str
    differences: dict[str, Difference]
    p_holm: dict[str, float]


@dataclass(frozen=True)
class Comparison(Tabular):
    """`means`: by competitor and metric; `pairs`: the first against each of the others."""

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
    """A run by its path or name; with ":NAME" behind it a baseline, "blend", or "NAME-blend". Else InputError."""
    if ":" not in name or Path(name).exists():
        return Competitor(name, run.find(name))
    folder, _, recommender = name.rpartition(":")
    if recommender != BLEND:
        known([recommender.removesuffix(f"-{BLEND}")])
    return Competitor(name, run.find(folder), recommender)


def compare(
    names: Sequence[Path | str],
    split: str = "test",
    ks: Sequence[int] = K,
    protocol: str = "full",
    candidates: str = "all",
    metrics: Sequence[str] | None = None,
) -> Comparison:
    """The first of `names` against each of the others, paired by client; what a name is, `competitor` says.

    What was not evaluated in this way, or at another checkpoint, is evaluated first. `metrics` are tested ("ndcg@10");
    left out, NDCG and hit rate at every k. InputError for fewer than two, for runs on different Datasets, and for a
    metric that is not measured.
    """
    every = [competitor(name) for name in dict.fromkeys(map(str, names))]
    if len(every) < 2:
        raise InputError("There is nothing to compare with", hint="name two runs, or one and run:popularity")
    _same_dataset(every)
    tested = list(metrics or [f"{name}@{k}" for name in ("hit_rate", "ndcg") for k in sorted(set(ks))])
    cutoffs = sorted({*ks, *(_k(metric) for metric in tested)})
    measured = [_values(each, split, cutoffs, protocol, candidates) for each in every]
    clients = measured[0][0]
    assert all(np.array_equal(clients, other) for other, _ in measured)  # the same Dataset, split and protocol
    of = [{metric: values[metric] for metric in tested} for _, values in measured]
    found = [differences(of[0], other) for other in of[1:]]
    flat = holm(np.array([each.p for pair in found for each in pair.values()]))
    adjusted = iter(flat.tolist())
    pairs = [
        Paired(each.name, pair, {metric: next(adjusted) for metric in pair})
        for each, pair in zip(every[1:], found, strict=True)
    ]
    means = {each.name: {m: float(v.mean()) for m, v in values.items()} for each, values in zip(every, of, strict=True)}
    return Comparison(split, protocol, candidates, len(clients), means, pairs, len(flat))


def _k(metric: str) -> int:
    name, _, k = metric.partition("@")
    if name not in METRICS or not k.isdecimal():
        hint = f"choose from {', '.join(METRICS)}, with @ and the length of the list"
        raise InputError(f"There is no metric '{metric}'", hint=hint)
    return int(k)


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


def _values(each: Competitor, split: str, ks: Sequence[int], protocol: str, candidates: str) -> Values:
    """From the run's folder, or evaluated now, beside all that was evaluated there before."""
    entry = read_entries(each.folder).get(f"{split}/{protocol}/{candidates}", {})
    if _is_current(entry, each):
        found = read_clients(each.folder / file_name(split, protocol, candidates, each.recommender))
        if all(f"ndcg@{k}" in found[1] for k in ks):
            return found
    baselines = {*entry.get("baselines", {}), each.recommender.removesuffix(BLEND).removesuffix("-")} - {""}
    blend = bool(entry.get("blends")) or each.recommender.endswith(BLEND)
    before = {int(metric.partition("@")[2]) for metric in entry.get("metrics", {})}
    evaluate(each.folder, split, sorted({*ks, *before}), sorted(baselines), protocol, candidates, blend=blend)
    return read_clients(each.folder / file_name(split, protocol, candidates, each.recommender))


def _is_current(entry: Mapping[str, Any], each: Competitor) -> bool:
    """Whether the best checkpoint was evaluated, with this recommender beside it."""
    if not entry or entry["checkpoint_round"] != checkpoint_round(each.folder, "best"):
        return False
    return not each.recommender or each.recommender in {**entry["baselines"], **entry.get("blends", {})}
