"""Trainings of `hm-full` on a made-up shop of H&M's size: how soon does validation stay where it is, and what do a
slate and a second stage come to?"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import SLATE, WAY, Case, way
from measure import small, table
from trials import COST, cost, read

from spfedrec_cli import engine, run
from spfedrec_cli.config import resolve, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

CUSTOMERS, ITEMS = 1_371_980, 105_542
PRESET, TIMES = "hm-full", "command.json"
BASELINES = ("popularity", "popularity_7_days", "repeat_last", "repeat_often", "ials", "best_possible")
QUICK = ("train.rounds=4", "train.eval_every=2")
OURS, RANKED = "SpFedRec (`split`)", "SpFedRec + second stage"
ON_SLATE = Case("SpFedRec, slate", PRESET, (*SLATE, "request.slate_size=1024"), 1)
STAGE = ("second_stage.rounds=200", "second_stage.cohort_size=2048", "second_stage.form=network")
METRICS = ("hit_rate@10", "recall@10", "ndcg@10", "map@12")
PLATEAU = 0.01  # within so much of the best validation


Record = dict[str, Any]  # a line of metrics.jsonl


@dataclass(frozen=True)
class FullSize:
    """Where work goes, how many workers, and whether all is cut short."""

    work: Path
    workers: int
    quick: bool

    def told(self) -> list[str]:
        """The section: validation by minute, test beside what learns nothing, and what it cost."""
        dataset = self.prepared()
        ours, slate = self.trained(dataset, PRESET), self.trained(dataset, f"{PRESET}-slate", ON_SLATE.settings)
        records, seconds = run.records(ours / "metrics.jsonl"), seconds_of(ours)
        buyers = int((Dataset.open(dataset).history("train").lengths > 0).sum())
        updates = sum(each["clients"] for each in records)
        most = Case("", PRESET).config(0).train.rounds
        return [
            f"{buyers:,} customers bought in train, {ITEMS:,} articles. {len(records)} rounds were made, of {most} at "
            f"most, by {self.workers} workers of one thread: {updates:,} client updates. The whole command took "
            f"{seconds / 60:.1f} minutes. One seed.",
            plateau(records),
            curve(records),
            self.beside(ours, slate, self.ranked(ours)),
        ]

    def prepared(self) -> Path:
        """The Dataset, made once."""
        customers, items = (2000, 500) if self.quick else (CUSTOMERS, ITEMS)
        folder = self.work / "datasets" / f"synthetic-{customers}-{items}"
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            prepare("synthetic", None, folder, customers=customers, items=items)
        return folder

    def trained(self, dataset: Path, name: str, settings: Sequence[str] = ()) -> Path:
        """The run of this name, trained unless it was. Raises CalledProcessError where it fails."""
        folder = self.work / "runs" / name
        if not (folder / TIMES).exists():
            words = [sys.executable, "-m", "spfedrec_cli", "train", str(dataset.resolve()), "--preset", PRESET]
            words += ["--name", name, "--workers", str(self.workers), "--quiet"]
            words += [word for each in (*settings, *(QUICK if self.quick else ())) for word in ("--set", each)]
            began = time.perf_counter()
            subprocess.run(words, check=True, cwd=self.work, env={**os.environ, "OMP_NUM_THREADS": "1"})
            run.write_json(folder / TIMES, {"seconds": time.perf_counter() - began})
        return folder

    def ranked(self, towers: Path) -> Path:
        """A second stage on the towers of that run."""
        folder = towers.with_name(f"{towers.name}-ranked")
        if not (folder / TIMES).exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(towers, folder, ignore=shutil.ignore_patterns(TIMES))
            settings = (*STAGE, f"train.workers={self.workers}", *(QUICK if self.quick else ()))
            run.write_config(folder, to_toml(resolve(PRESET, settings=settings)))
            began = time.perf_counter()
            engine.resume(folder)
            run.write_json(folder / TIMES, {"seconds": time.perf_counter() - began})
        return folder

    def beside(self, ours: Path, slate: Path, ranked: Path) -> str:
        """Test figures of the runs, with what they cost, and of baselines."""
        blended = engine.evaluate(ours, ks=(10, 12), blend=True)  # without baselines, whose blends take longest
        judged = engine.evaluate(ours, ks=(10, 12), baselines=BASELINES)
        rows = [
            row(Case(OURS, PRESET), ours, judged.metrics),
            row(ON_SLATE, slate, engine.evaluate(slate, ks=(10, 12)).metrics),
            plain(f"{OURS} + blend", blended.blends["blend"]),
            plain(RANKED, engine.evaluate(ranked, ks=(10, 12), second_stage=True).second_stage),
        ]
        rows += [plain(name, of) for name, of in judged.baselines.items()]
        return table(["test", *WAY, *METRICS, *COST], rows)


def seconds_of(folder: Path) -> float:
    """Of the whole command."""
    return float(json.loads((folder / TIMES).read_text())["seconds"])


def row(case: Case, folder: Path, metrics: Mapping[str, float]) -> list[str]:
    """Of a training, with what it cost."""
    found = read(folder, case.config(0), {"full": dict(metrics)})
    return [case.name, way(case), *figures(metrics), *cost([found])]


def plain(name: str, metrics: Mapping[str, float]) -> list[str]:
    return [name, "", *figures(metrics), *[""] * len(COST)]


def figures(metrics: Mapping[str, float]) -> list[str]:
    return [small(metrics[each]) for each in METRICS]


def elapsed(records: Sequence[Record], of: Callable[[Record], float]) -> list[float]:
    """Sums so far, round by round."""
    total, sums = 0.0, []
    for each in records:
        total += of(each)
        sums.append(total)
    return sums


def plateau(records: Sequence[Record]) -> str:
    """When validation first came near its best."""
    minutes = [each / 60 for each in elapsed(records, lambda each: each["seconds"] + each["validation_seconds"])]
    points = validated(records)
    best = max(value for _, value in points)
    place = next(place for place, value in points if value >= (1 - PLATEAU) * best)
    return (
        f"The best validation has NDCG@10 {small(best)}; within {PLATEAU:.0%} of it after {place + 1} rounds and "
        f"{minutes[place]:.1f} minutes, validations included."
    )


def validated(records: Sequence[Record]) -> list[tuple[int, float]]:
    """(place of the round, NDCG@10) of each validation."""
    return [(place, each["validation"]["ndcg@10"]) for place, each in enumerate(records) if each["validation"]]


def curve(records: Sequence[Record]) -> str:
    """Validation by round and by minutes of rounds and of validations."""
    rounds = elapsed(records, lambda each: each["seconds"])
    judging = elapsed(records, lambda each: each["validation_seconds"])
    rows = [
        [str(place + 1), f"{rounds[place] / 60:.1f}", f"{judging[place] / 60:.1f}", small(value)]
        for place, value in validated(records)
    ]
    return table(["rounds", "minutes of rounds", "minutes of validations", "validation NDCG@10"], rows)
