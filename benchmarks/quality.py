"""NDCG@10 of each way to recommend, with its 95 % interval: what the bars of the first page's picture show.

    python benchmarks/quality.py [--data FOLDER] [--only SET] [--jobs 1] [--quick] [--write]

One training each, seed 0, by the presets; trainings that `results.py` left in the work folder are not made again.
Intervals are bootstrapped over customers, so that they say how far another draw of customers would move a bar, and not
another seed. FOLDER is that of `results.py`. `--quick` makes twenty rounds and two weeks, to see that everything runs,
and writes nothing. `--write` puts the table into docs/figures.md; `make pictures` draws it.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cases import Case, main_rows
from measure import machine, small, table, write_section
from results import CHECKOUT, NEEDED, Plan
from rolling import BLEND, MODEL, WHOLE, Rolling, clustered, pool
from trials import KS

from spfedrec_cli import engine

DOCUMENT = CHECKOUT / "docs" / "figures.md"
METRIC = "ndcg@10"
HEAD = ["", "NDCG@10", "from", "to"]
RIVALS = ("ease", "ials")
# What a bar is called, of the rows of docs/results.md.
NAMES = {
    "SpFedRec (`split`)": "SpFedRec, paper",
    "SpFedRec, slate": "SpFedRec, slate",
    "the same model, not federated (`central`)": "same model, central",
    "FedAvg of both towers (`full`)": "FedAvg of both towers",
    "ease": "EASE",
    "ials": "iALS",
    "popularity": "popularity",
    "best_possible": "best possible",
}
OF_HISTORIES = {
    MODEL: "SpFedRec, paper",
    MODEL + BLEND: "SpFedRec with own purchases",
    "repeat_last": "repeating purchases",
    "popularity_7_days" + BLEND: "7-day popularity with own purchases",
    "popularity_7_days": "7-day popularity",
}

Bar = tuple[str, float, float, float]  # its name, the mean, and the ends of its interval


def trained(preset: str) -> list[Case]:
    """The rows of docs/results.md that the picture shows."""
    return [case for case in main_rows(preset) if case.name in NAMES]


def bars_of(plan: Plan, preset: str, dataset: Path) -> list[Bar]:
    """Ours, then the better one of EASE and iALS, popularity, and the best possible where it is known."""
    cases = trained(preset)
    runs = [plan.found([case], dataset, 1, "test", ("full",))[0][0].run for case in cases]
    reports = [engine.evaluate(Path(each), ks=KS, baselines=not place) for place, each in enumerate(runs)]
    bars = [
        (NAMES[case.name], report.metrics[METRIC], *report.intervals[METRIC])
        for case, report in zip(cases, reports, strict=True)
    ]
    beside = reports[0]
    best = max((name for name in RIVALS if name in beside.baselines), key=lambda name: beside.baselines[name][METRIC])
    for name in (best, "popularity", "best_possible"):
        if name in beside.baselines:
            bars.append((NAMES[name], beside.baselines[name][METRIC], *beside.intervals_beside[name][METRIC]))
    return bars


def of_histories(plan: Plan) -> list[Bar]:
    """Of real H&M customers, all customer-weeks pooled."""
    rolling = Rolling(plan.data / NEEDED["hm"], plan.work, plan.jobs, plan.quick)
    tested, earlier = rolling.weeks
    (found,) = rolling.trained(rolling.prepared(tested + earlier), WHOLE)
    pooled = pool([rolling.measured(found, first=True)[earlier:]])
    values = {name: pooled.values[name][METRIC].mean(0) for name in OF_HISTORIES}
    return [
        (OF_HISTORIES[name], float(each.mean()), *clustered(pooled.customers, each)) for name, each in values.items()
    ]


SETS: dict[str, Callable[[Plan], list[Bar]]] = {
    "ml-100k": lambda plan: bars_of(plan, "ml-100k", plan.movielens()),
    "synthetic": lambda plan: bars_of(plan, "synthetic", plan.synthetic()),
    "hm": of_histories,
}


def text(bars: Sequence[Bar]) -> str:
    rows = [[name, *map(small, numbers)] for name, *numbers in bars]
    return f"{machine()}. One training each, seed 0.\n\n{table(HEAD, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=real)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "runs" / "results")
    parser.add_argument("--only", action="append", choices=SETS)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    plan = Plan(Path(asked.data), asked.work, CHECKOUT, asked.jobs, 1, asked.quick)
    for name in asked.only or SETS:
        if name in NEEDED and not (plan.data / NEEDED[name]).is_dir():
            sys.stderr.write(f"{name} left out: no {NEEDED[name]} in {plan.data}; give --data\n")
            continue
        written = text(SETS[name](plan))
        sys.stdout.write(f"{written}\n\n")
        if asked.write and not asked.quick:
            write_section(DOCUMENT, f"quality-{name}", written)


if __name__ == "__main__":
    main()
