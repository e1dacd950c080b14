"""This version against an earlier one, in turn, on one core each: local training, whole rounds, whole trainings.

    python benchmarks/against.py COMMIT [--turns 3] [--seconds 20] [--trainings synthetic,ml-100k,hm-full] [--write]

The earlier version is checked out beside this one, in .bench/against-COMMIT, and runs in the same environment. Both
have one process and one thread. A training is the whole command, from its start to its last validation; what came out
is then evaluated at test. The data of MovieLens 100K are found by SPFEDREC_REAL_DATA, the shop of H&M's size where
`make bench-pass` has put it; a training whose data are not there is left out. `--write` puts the tables into
docs/benchmarks.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare import one_core
from measure import machine, small, spread, table, write_section

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "benchmarks.md"
BENCH = CHECKOUT / ".bench"
SPFEDREC = (sys.executable, "-m", "spfedrec_cli")
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
NOW, BEFORE = "now", "before"
METRIC = "ndcg@10"


@dataclass(frozen=True)
class Training:
    """A preset for so many rounds, on a Dataset."""

    preset: str
    rounds: int
    dataset: Path


@dataclass(frozen=True)
class Trained:
    """Wall-clock seconds of the whole command; NDCG@10 at test."""

    seconds: float
    quality: float


def trainings() -> list[Training]:
    """Those whose data are there, prepared by this version."""
    real, shop = os.environ.get("SPFEDREC_REAL_DATA"), CHECKOUT / "datasets" / "bench-one-pass" / "one-pass-1371980"
    found = [Training("synthetic", 600, prepared("synthetic", "--source", "synthetic"))]
    if real:
        source = ("--source", "movielens", "--input", str(Path(real) / "ml-100k"))
        found.append(Training("ml-100k", 500, prepared("ml-100k", *source)))
    return [*found, Training("hm-full", 500, shop)] if shop.exists() else found


def prepared(name: str, *source: str) -> Path:
    dataset = BENCH / "datasets" / name
    if not dataset.exists():
        subprocess.run([*SPFEDREC, "prepare", *source, "--output", str(dataset), "--quiet"], check=True)
    return dataset


def earlier(commit: str) -> Path:
    """The tree of a commit. Raises CalledProcessError where there is none."""
    place = BENCH / f"against-{commit}"
    if not place.exists():
        place.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], check=True, capture_output=True, cwd=CHECKOUT)
        subprocess.run(["tar", "-x"], check=True, input=archive.stdout, cwd=place)
    return place


def run(tree: Path, *words: str) -> Any:
    """What a command of the version in `tree` says as JSON. Raises CalledProcessError where it fails."""
    environment = {**os.environ, **THREADS, "PYTHONPATH": str(tree)}
    words = (*SPFEDREC, *words, "--json")
    done = subprocess.run(
        words, check=True, capture_output=True, text=True, cwd=BENCH, env=environment, preexec_fn=one_core
    )
    return json.loads(done.stdout)


def speeds(tree: Path, seconds: float) -> dict[str, float]:
    """Clients per second by kind of work."""
    told = run(tree, "bench", "--seconds", str(seconds))
    return {each["name"]: each["clients_per_second"] for each in told["speeds"]}


def trained(tree: Path, training: Training) -> Trained:
    """One whole training from nothing."""
    shutil.rmtree(BENCH / "runs" / "against", ignore_errors=True)
    settings = ("--set", f"train.rounds={training.rounds}", "--set", "train.patience=0", "--name", "against")
    began = time.perf_counter()
    run(tree, "train", str(training.dataset), "--preset", training.preset, *settings)
    seconds = time.perf_counter() - began
    return Trained(seconds, run(tree, "evaluate", "against")["metrics"][METRIC])


def of_speeds(found: dict[str, list[dict[str, float]]]) -> str:
    rows = []
    for name in found[NOW][0]:
        now, before = ([turn[name] for turn in found[side]] for side in (NOW, BEFORE))
        ratios = [one / other for one, other in zip(now, before, strict=True)]
        rows.append([name, spread(before, ",.0f"), spread(now, ",.0f"), spread(ratios, ".2f")])
    return table(["clients/s", "before", "now", "now ÷ before"], rows)


def of_trainings(found: dict[str, dict[str, list[Trained]]]) -> str:
    rows = []
    for name, sides in found.items():
        now, before = sides[NOW], sides[BEFORE]
        ratios = [other.seconds / one.seconds for one, other in zip(now, before, strict=True)]
        seconds = [spread([each.seconds for each in side]) for side in (before, now)]
        quality = [small(side[0].quality) for side in (before, now)]
        rows.append([name, *seconds, spread(ratios, ".2f"), *quality])
    head = ["training", "before, s", "now, s", "times as fast", "NDCG@10 before", "now"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--trainings", default="synthetic,ml-100k,hm-full")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    trees = {BEFORE: earlier(asked.commit), NOW: CHECKOUT}
    fast: dict[str, list[dict[str, float]]] = {side: [] for side in trees}
    whole: dict[str, dict[str, list[Trained]]] = {}
    wanted = [each for each in trainings() if each.preset in asked.trainings.split(",")]
    for turn in range(asked.turns):
        for side, tree in trees.items():
            fast[side].append(speeds(tree, asked.seconds))
            for training in wanted:
                done = trained(tree, training)
                name = f"`{training.preset}`, {training.rounds} rounds"
                whole.setdefault(name, {each: [] for each in trees})[side].append(done)
                sys.stderr.write(f"turn {turn + 1}, {side}: {training.preset} {done.seconds:.1f} s\n")
    said = f"{machine()}; one core, medians of {asked.turns} turns, smallest and largest in brackets."
    text = "\n\n".join([f"{said} Before: {asked.commit}.", of_speeds(fast), *([of_trainings(whole)] if whole else [])])
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "against", text)


if __name__ == "__main__":
    main()
