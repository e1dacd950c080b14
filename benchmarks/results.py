"""What the presets reach, beside baselines; ablations; quality against what it costs. Writes docs/results.md, and
the tables of README that are parts of it.

    python benchmarks/results.py [--data FOLDER] [--only SECTION] [--jobs 2] [--seeds 5] [--quick] [--write]

FOLDER holds ml-100k as it is unpacked, and hm in Kaggle's layout (SPFEDREC_REAL_DATA, or shared/data beside the
checkout); without them there are no figures of MovieLens or of H&M. Trainings that are already in the work folder are
not made again. `--quick`: one seed and twenty rounds each, to see that everything runs; its figures say nothing, and it
writes nothing. On stderr: how many minutes each section took.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import first_page
import ranked_weeks
import second_stage
import shops
from cases import WAY, Case, ablations, costs, main_rows, possible, way
from curves import draw_cost, draw_learning
from full_size import FullSize
from measure import figure, machine, mean_and_deviation, table, write_section
from rolling import SEEDS, Rolling
from trials import COST, KS, Found, Trial, all_of, cost

from spfedrec_cli import engine
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "results.md"
IMAGES = CHECKOUT / "docs" / "images"
BOTH = ("full", "sampled")
CUSTOMERS, ITEMS = 20_000, 5_000


@dataclass(frozen=True)
class Plan:
    """Where data are and work goes, how many trainings at a time, how many seeds, and whether all is cut short."""

    data: Path
    work: Path
    images: Path
    jobs: int
    seeds: int
    quick: bool

    def movielens(self) -> Path:
        """MovieLens 100K, prepared once."""
        return self.prepared("ml-100k", lambda to: prepare("movielens", self.data / "ml-100k", to))

    def synthetic(self) -> Path:
        """A made-up shop, prepared once."""
        customers, items = (500, 200) if self.quick else (CUSTOMERS, ITEMS)
        make = lambda to: prepare("synthetic", None, to, customers=customers, items=items)  # noqa: E731
        return self.prepared(f"synthetic-{customers}", make)

    def prepared(self, name: str, make: Callable[[Path], object]) -> Path:
        """A Dataset of the work folder, made once."""
        folder = self.work / "datasets" / name
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            make(folder)
        return folder

    def found(
        self, cases: Sequence[Case], dataset: Path, seeds: int, split: str, protocols: tuple[str, ...]
    ) -> list[list[Found]]:
        """The trainings of each case, one a seed. Those that take long, of which there are few, begin first."""
        runs = self.work / "runs"
        order = sorted(range(len(cases)), key=lambda place: cases[place].seeds)
        trials = {
            place: [
                Trial(cases[place].config(seed, self.quick), dataset, runs, split, protocols)
                for seed in range(min(seeds, cases[place].seeds))
            ]
            for place in order
        }
        every = iter(all_of([each for of in trials.values() for each in of], self.jobs))
        found = {place: list(islice(every, len(of))) for place, of in trials.items()}
        return [found[place] for place in range(len(cases))]


Column = tuple[str, str, str]  # its head, protocol, metric
OF_MOVIELENS: list[Column] = [
    ("HR@10, all items", "full", "hit_rate@10"),
    ("NDCG@10, all items", "full", "ndcg@10"),
    ("HR@10 among 99", "sampled", "hit_rate@10"),
    ("NDCG@10 among 99", "sampled", "ndcg@10"),
]
OF_SYNTHETIC: list[Column] = [
    ("HR@10", "full", "hit_rate@10"),
    ("recall@10", "full", "recall@10"),
    ("NDCG@10", "full", "ndcg@10"),
    ("MAP@12", "full", "map@12"),
]


def trained_row(case: Case, found: Sequence[Found], columns: Sequence[Column]) -> list[str]:
    reached = [mean_and_deviation([each.metrics[protocol][name] for each in found]) for _, protocol, name in columns]
    few = f"; {len(found)} seed{'s' * (len(found) > 1)}" if len(found) == case.seeds else ""
    return [case.name + few, way(case), *reached, *cost(found)]


Baselines = Mapping[str, Mapping[str, Mapping[str, float]]]  # protocol, name, metric


def baselines_beside(run: Path, protocols: Iterable[str]) -> Baselines:
    """All baselines that can be had, by the rules of this run."""
    return {each: engine.evaluate(run, ks=KS, baselines=True, protocol=each).baselines for each in protocols}


def baseline_rows(baselines: Baselines, columns: Sequence[Column]) -> list[list[str]]:
    names = baselines["full"]
    return [
        [name, *[""] * len(WAY), *[figure(baselines[protocol][name][metric]) for _, protocol, metric in columns]]
        + [""] * len(COST)
        for name in names
    ]


def ratios(found: Sequence[Found], baselines: Baselines, columns: Sequence[Column], rivals: Sequence[str]) -> list[str]:
    """Our mean ÷ the best of the rivals, column by column."""
    cells = []
    for _, protocol, metric in columns:
        ours = statistics.fmean(each.metrics[protocol][metric] for each in found)
        best = max(baselines[protocol][name][metric] for name in rivals if name in baselines[protocol])
        cells.append(f"{ours / best:.2f}")
    return cells


OF_BOTH: list[Column] = [("HR@10", "full", "hit_rate@10"), ("NDCG@10", "full", "ndcg@10"), ("MAP@12", "full", "map@12")]


def beside_central(cases: Sequence[Case], found: Sequence[Sequence[Found]]) -> str:
    """Mean of `split` ÷ mean of `central`, metric by metric, over all items."""
    by_strategy = {
        case.config(0).federated.strategy: each for case, each in reversed(list(zip(cases, found, strict=True)))
    }
    told = []
    for head, protocol, name in OF_BOTH:
        ours, upper = (
            statistics.fmean(each.metrics[protocol][name] for each in by_strategy[strategy])
            for strategy in ("split", "central")
        )
        told.append(f"{ours / upper:.2f} ({head})")
    return f"SpFedRec ÷ the same model not federated: {', '.join(told)}."


def paired(run: str, rivals: Sequence[str], protocols: Sequence[str], metrics: Sequence[str]) -> str:
    """Differences from the rivals, client by client, with 95 % bootstrap intervals."""
    rows = []
    for protocol in protocols:
        compared = engine.compare([run, *(f"{run}:{each}" for each in rivals)], protocol=protocol, metrics=metrics)
        for pair in compared.pairs:
            for metric, difference in pair.differences.items():
                interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
                name = pair.name.rpartition(":")[2]
                p = f"{pair.p_holm[metric]:.2f}"
                rows.append([name, protocol, metric, f"{difference.mean:+.3f}", interval, p])
    return table(["SpFedRec less", "protocol", "metric", "difference", "95 % interval", "p, corrected by Holm"], rows)


def compared_with(
    plan: Plan, preset: str, dataset: Path, columns: Sequence[Column], rivals: Sequence[str], picture: str
) -> tuple[str, str, list[str]]:
    """The table of all ways and baselines, that of paired differences, and the ratios to the best of the rivals; under
    the table how `split` stands beside `central`."""
    protocols = tuple(dict.fromkeys(protocol for _, protocol, _ in columns))
    cases = possible(main_rows(preset))
    found = plan.found(cases, dataset, plan.seeds, "test", protocols)
    draw_learning({case.name: each for case, each in zip(cases, found, strict=True)}, plan.images / picture)
    first = found[0][0].run
    baselines = baselines_beside(Path(first), protocols)
    here = [name for name in rivals if name in baselines["full"]]
    rows = [trained_row(case, each, columns) for case, each in zip(cases, found, strict=True)]
    rows += baseline_rows(baselines, columns)
    shown = table(["", *WAY, *(head for head, _, _ in columns), *COST], rows)
    metrics = sorted({metric for _, _, metric in columns})
    shown += f"\n\n{beside_central(cases, found)}"
    return shown, paired(first, here, protocols, metrics), ratios(found[0], baselines, columns, here)


def of_movielens(plan: Plan) -> list[str]:
    rivals, picture = ("ease", "ials"), "learning-ml-100k.svg"
    shown, differences, share = compared_with(plan, "ml-100k", plan.movielens(), OF_MOVIELENS, rivals, picture)
    told = ", ".join(f"{cell} ({head})" for cell, (head, _, _) in zip(share, OF_MOVIELENS, strict=True))
    return [
        f"{seeds(plan)} SpFedRec ÷ the better of EASE and iALS: {told}.",
        shown,
        "Client by client, seed 0, `spfedrec compare`:",
        differences,
        f"![Validation by round and by seconds](images/{picture})",
    ]


def of_synthetic(plan: Plan) -> list[str]:
    picture = "learning-synthetic.svg"
    shown, _, share = compared_with(plan, "synthetic", plan.synthetic(), OF_SYNTHETIC, ("best_possible",), picture)
    told = ", ".join(f"{cell} ({head})" for cell, (head, _, _) in zip(share, OF_SYNTHETIC, strict=True))
    clients = int((Dataset.open(plan.synthetic()).truth("test").lengths > 0).sum())
    return [
        f"{clients:,} clients bought in the last week. {seeds(plan)} SpFedRec ÷ the best possible: {told}.",
        shown,
        f"![Validation by round and by seconds](images/{picture})",
    ]


def seeds(plan: Plan) -> str:
    most = f"Mean ± standard deviation over {plan.seeds} seeds (two or one where the row's name says so)."
    return most if plan.seeds > 1 else "One seed."


def of_ablations(plan: Plan) -> list[str]:
    cases = possible(ablations("ml-100k"))
    found = plan.found(cases, plan.movielens(), 1, "validation", BOTH)
    rows = [trained_row(case, each, OF_MOVIELENS) for case, each in zip(cases, found, strict=True)]
    shown = table(["", *WAY, *(head for head, _, _ in OF_MOVIELENS), *COST], rows)
    return ["MovieLens 100K, **validation**, seed 0: differences below .01 are noise.", shown]


def of_costs(plan: Plan) -> list[str]:
    lines = {name: possible(cases) for name, cases in costs("ml-100k").items()}
    cases = [case for line in lines.values() for case in line]
    found = [each for (each,) in plan.found(cases, plan.movielens(), 1, "validation", BOTH)]
    by_case = dict(zip(cases, found, strict=True))
    rows = [trained_row(case, [each], OF_MOVIELENS) for case, each in by_case.items()]
    shown = table(["", *WAY, *(head for head, _, _ in OF_MOVIELENS), *COST], rows)
    picture = "cost-ml-100k.svg"
    draw_cost(
        {name: [(case.name, by_case[case]) for case in line] for name, line in lines.items()}, plan.images / picture
    )
    return ["MovieLens 100K, **validation**, seed 0.", shown, f"![Quality against bytes](images/{picture})"]


def of_hm(plan: Plan) -> list[str]:
    return Rolling(plan.data / NEEDED["hm"], plan.work, plan.jobs, plan.quick, min(plan.seeds, SEEDS)).told()


def of_shop(name: str) -> Callable[[Plan], list[str]]:
    """A section of `shops.py`."""
    shop = shops.SHOPS[name]

    def of(plan: Plan) -> list[str]:
        dataset = plan.prepared(name, lambda to: shop.make(plan.data, to))
        seeds = min(plan.seeds, shop.seeds)
        return shops.told(shop, plan.found(shops.cases_of(shop), dataset, seeds, "test", ("full",)))

    return of


def of_full_size(plan: Plan) -> list[str]:
    return FullSize(plan.work, plan.jobs, plan.quick).told()


def of_second_stage(plan: Plan) -> list[str]:
    """Of every shop whose data are there; the trainings are those of docs/second-stage.md."""
    if plan.quick:
        ranked_weeks.shorten()
    work = plan.work.parent / ("second-stage-quick" if plan.quick else "second-stage")
    names = [name for name, shop in ranked_weeks.SHOPS.items() if shop.is_there(plan.data)]
    seeds = min(plan.seeds, ranked_weeks.SEEDS)
    second_stage.train(names, plan.data, work, seeds, plan.jobs)
    return [second_stage.summary(second_stage.found_of(names, plan.data, work, seeds))]


NEEDED = {"ml-100k": "ml-100k", "ablations": "ml-100k", "costs": "ml-100k", "hm": "hm"}  # folders in the data
NEEDED |= {name: shop.needed for name, shop in shops.SHOPS.items() if shop.needed}
SECTIONS: dict[str, Callable[[Plan], list[str]]] = {
    "ml-100k": of_movielens,
    "synthetic": of_synthetic,
    "ablations": of_ablations,
    "costs": of_costs,
    **{name: of_shop(name) for name in shops.SHOPS},
    "hm": of_hm,
    "hm-full": of_full_size,
    "second-stage": of_second_stage,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=real)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "runs" / "results")
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--only", action="append", choices=SECTIONS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    seeds = 1 if asked.quick else asked.seeds
    plan = Plan(Path(asked.data), asked.work, asked.images, asked.jobs, seeds, asked.quick)
    began = time.perf_counter()
    for name in asked.only or SECTIONS:
        since = time.perf_counter()
        if name in NEEDED and not (plan.data / NEEDED[name]).is_dir():
            sys.stderr.write(f"{name} left out: no {NEEDED[name]} in {plan.data}; give --data\n")
            continue
        parts = SECTIONS[name](plan)
        at_a_time = "" if name == "hm-full" else f"; {plan.jobs} trainings at a time"
        text = "\n\n".join([f"{machine()}{at_a_time}.", *parts])
        sys.stdout.write(f"{text}\n\n")
        if asked.write and not asked.quick:
            write_section(DOCUMENT, name, text)
        sys.stderr.write(f"{name}: {minutes(since)}\n")
    if asked.write and not asked.quick:
        first_page.write()
    sys.stderr.write(f"all of it: {minutes(began)}\n")


def minutes(since: float) -> str:
    return f"{(time.perf_counter() - since) / 60:.1f} minutes"


if __name__ == "__main__":
    main()
