"""Real H&M histories by rolling origin: each of the last weeks is predicted from what was before it, and the
customer-weeks are pooled.

A week's towers learn from all purchases until the week before, which is its validation. Weights of the blend are fitted
on the validation weeks of this and all earlier test weeks together, and of eight more before the first: the fifty
customers of a single week buy too little again of what they had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cases import WAY, Case, way
from measure import mean_and_deviation, small, table
from trials import COST, KS, Found, Trial, all_of, cost, side_by_side

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.origins import last_days, prepare_until
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.dtypes import F64, Bool
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.retrieval.baselines import BASELINES
from spfedrec_cli.retrieval.blend import Lists, Weights, best_weights, blended, validation_lists
from spfedrec_cli.retrieval.evaluate import Scorer, Task, evaluate, history_splits, make_task, scored
from spfedrec_cli.retrieval.groups import is_among
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.retrieval.pooling import joined
from spfedrec_cli.retrieval.popularity import buyers

WEEKS, EARLIER = 26, 8  # that are tested; before them, for the blend alone
PRESET = "hm-small"
SEEDS = 3  # at most: one takes more than four minutes
# A best validation among several of fifty customers would be luck, and so would a weight of the prior chosen by it.
LAST_ROUND = ("train.eval_every=1000", "model.prior_choice=fixed")
WHOLE = Case("with article fields", PRESET, LAST_ROUND)
IDS_ALONE = Case("ids alone", PRESET, (*LAST_ROUND, "model.item_fields=false"))
PLAIN = ("popularity", "popularity_7_days", "repeat_last", "repeat_often")
MODEL, BLEND = "SpFedRec", " + blend"
BLENDED = (MODEL, "popularity_7_days")
METRICS = ("hit_rate@10", "hit_rate@12", "recall@10", "recall_new@10", "recall_repeat@10", "ndcg@10", "map@12")
PAIRS = (
    (MODEL + BLEND, "popularity_7_days"),
    (MODEL + BLEND, "repeat_last"),
    (MODEL + BLEND, "popularity_7_days" + BLEND),
    (MODEL, "popularity"),
    (MODEL, "popularity_7_days"),
)
NEAR = 0.01  # of the articles never sold

Values = dict[str, F64]  # by metric, (n,), or of several seeds (seeds, n)


@dataclass(frozen=True)
class Week:
    """What one test week came to by the towers of one seed: `values` by recommender, aligned with `customers`, the
    source's ids; `lists`, what each blended recommender's weights are fitted on, of the validation week before."""

    customers: list[str]
    values: dict[str, Values]
    lists: dict[str, Lists]


@dataclass(frozen=True)
class Unseen:
    """The customers of a test week with ground truth that nobody bought in train, by the source's ids; `values`: means
    over such ground truth of each, (n,), or of several seeds (seeds, n). `items`: how much of it there is."""

    customers: list[str]
    values: Values
    items: int


@dataclass(frozen=True)
class Rolling:
    """H&M's files, where work goes, how many processes, whether all is cut short, and how many seeds."""

    data: Path
    work: Path
    jobs: int
    quick: bool
    seeds: int = 1

    @property
    def weeks(self) -> tuple[int, int]:
        """Tested, and before them."""
        return (2, 1) if self.quick else (WEEKS, EARLIER)

    def told(self) -> list[str]:
        """The section: all customer-weeks by recommender, paired differences, and articles never sold."""
        tested, earlier = self.weeks
        folders = self.prepared(tested + earlier)
        found = self.trained(folders, WHOLE)
        pooled = pool([self.measured(of, first=seed == 0)[earlier:] for seed, of in enumerate(found)])
        found = [of[earlier:] for of in found]
        ids_alone = self.trained(folders[earlier:], IDS_ALONE)
        counted = f"{len(pooled.customers):,} customer-weeks of {len(set(pooled.customers)):,} customers"
        over = f"Means over {self.seeds} seeds, ± their standard deviation" if self.seeds > 1 else "One seed"
        return [
            f"{counted}. {over}. Bytes, rounds and seconds are of the training of one week.",
            of_recommenders(pooled, flat(found)),
            of_pairs(pooled),
            of_unseen({WHOLE: (flat(found), self.unseen(found)), IDS_ALONE: (flat(ids_alone), self.unseen(ids_alone))}),
        ]

    def prepared(self, weeks: int) -> list[Path]:
        """A Dataset for each test week, which is its last."""
        whole = self.work / "datasets" / "hm"
        if not whole.exists():
            prepare("hm", self.data, whole)
        days = last_days(Dataset.open(whole), weeks)
        return side_by_side(until, [whole] * weeks, days, jobs=self.jobs)

    def trained(self, folders: Sequence[Path], case: Case) -> list[list[Found]]:
        """Seed by seed a training for each Dataset."""
        configs = [case.config(seed, self.quick) for seed in range(self.seeds)]
        trials = [Trial(config, folder, self.work / "runs", protocols=()) for config in configs for folder in folders]
        every = iter(all_of(trials, self.jobs))
        return [list(islice(every, len(folders))) for _ in configs]

    def unseen(self, found: Sequence[Sequence[Found]]) -> "Unseen":
        """Articles never sold, of all weeks, by all seeds."""
        return pool_unseen([side_by_side(unseen, [each.run for each in of], jobs=self.jobs) for of in found])

    def measured(self, found: Sequence[Found], first: bool) -> list[Week]:
        """Week by week by the towers of one seed, the blends with weights from no later week. What learns nothing is
        the same for every seed: with the `first` alone."""
        runs, names = [each.run for each in found], BLENDED if first else (MODEL,)
        weeks = side_by_side(plainly, runs, [PLAIN if first else ()] * len(runs), [names] * len(runs), jobs=self.jobs)
        weights = [
            {name: best_weights([week.lists[name] for week in weeks[: place + 1]]) for name in names}
            for place in range(len(weeks))
        ]
        blends = side_by_side(with_blends, runs, weights, jobs=self.jobs)
        return [Week(week.customers, week.values | more, week.lists) for week, more in zip(weeks, blends, strict=True)]


@dataclass(frozen=True)
class Pooled:
    """All customer-weeks: the customer of each, and by recommender and metric (seeds, customer-weeks), where what
    learns nothing has one row."""

    customers: list[str]
    values: dict[str, Values]

    def less(self, first: str, second: str, metric: str) -> F64:
        """(customer-weeks,): the difference, which is of means over seeds."""
        return np.asarray(self.values[first][metric].mean(0) - self.values[second][metric].mean(0))


def pool(seeds: Sequence[Sequence[Week]]) -> Pooled:
    """The weeks of each seed, all of the same customers; the first has the most recommenders."""
    values: dict[str, Values] = {}
    for name in seeds[0][0].values:
        having = [weeks for weeks in seeds if name in weeks[0].values]
        every = [joined([(week.customers, week.values[name]) for week in weeks]) for weeks in having]
        values[name] = {metric: np.stack([of[metric] for of in every]) for metric in METRICS}
    return Pooled([each for week in seeds[0] for each in week.customers], values)


def flat(found: Sequence[Sequence[Found]]) -> list[Found]:
    return [each for of in found for each in of]


def until(whole: Path, last: date) -> Path:
    """The Dataset whose test week ends on this day, made once."""
    folder = whole.with_name(f"{whole.name}-until-{last}")
    if not folder.exists():
        prepare_until(Dataset.open(whole), last, folder)
    return folder


def scorers(run: str, names: Sequence[str], split: str) -> tuple[Dataset, dict[str, Scorer]]:
    """The Dataset of a run, and the scorer of each name for a split."""
    torch.set_num_threads(1)  # processes stand side by side
    dataset, world = open_run(Path(run))
    state, _ = load_state(Path(run), checkpoint_round(Path(run), "best"))
    found = {name: BASELINES[name](dataset, split, "full") for name in names if name != MODEL}
    ours = model_scorer(dataset, world, state, split)
    return dataset, {MODEL: ours} | {name: scorer for name, scorer in found.items() if scorer is not None}


def plainly(run: str, rivals: Sequence[str], names: Sequence[str]) -> Week:
    """The test week without blends, beside these rivals; lists of these names."""
    dataset, test = scorers(run, rivals, "test")
    validation = scorers(run, names, "validation")[1]
    task = make_task(dataset, "test")
    again = bought_before(dataset, task)
    values = {name: evaluate(scorer, task, KS, again=again).per_client for name, scorer in test.items()}
    lists = {name: validation_lists(validation[name], dataset) for name in names}
    return Week([dataset.client_id(client) for client in task.clients], values, lists)


def with_blends(run: str, weights: Mapping[str, Weights]) -> dict[str, Values]:
    """The test week with blends by these weights."""
    dataset, test = scorers(run, list(weights), "test")
    task = make_task(dataset, "test")
    again = bought_before(dataset, task)
    return {
        name + BLEND: evaluate(blended(test[name], dataset, "test", each), task, KS, again=again).per_client
        for name, each in weights.items()
    }


def bought_before(dataset: Dataset, task: Task) -> Bool:
    """Whether the client of each item of the ground truth had bought it before."""
    return is_among(task, dataset.history(*history_splits("test")).take(task.clients))


def unseen(run: str) -> Unseen:
    """How the model ranks ground truth that nobody bought in train, among all articles that nobody did.

    `place`: the share of the others that score lower, equal ones by half: 1 is first, .5 chance. `near`: whether it is
    among the first NEAR of them.
    """
    dataset, found = scorers(run, (), "test")
    task, never = make_task(dataset, "test"), buyers(dataset) == 0
    wanted = [[item for item in task.truth.row(row) if never[item]] for row in range(len(task.clients))]
    rows = [row for row, items in enumerate(wanted) if items]
    scores = scored(found[MODEL], task.clients[rows], task.n_items)
    places = [place_of(each[wanted[row]], each[never]) for row, each in zip(rows, scores, strict=True)]
    return Unseen(
        [dataset.client_id(task.clients[row]) for row in rows],
        {
            "place": np.array([of.mean() for of in places]),
            "near": np.array([(of > 1 - NEAR).mean() for of in places]),
        },
        sum(len(items) for items in wanted),
    )


def place_of(scores: npt.NDArray[np.float32], among: npt.NDArray[np.float32]) -> F64:
    """(n,): for each of the scores (n,) the share of the others in `among` (m,) that are lower, equal ones by half.
    Each score is itself in `among`."""
    ordered = np.sort(among)
    lower, upper = (np.searchsorted(ordered, scores, side) for side in ("left", "right"))
    return np.asarray((lower + (upper - lower - 1) / 2) / (len(among) - 1), np.float64)


def clustered(customers: Sequence[str], values: F64) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of `values` (n,) over customer-weeks, by customer."""
    return intervals({"": values}, np.unique(customers, return_inverse=True)[1])[""]


def of_recommenders(pooled: Pooled, found: Sequence[Found]) -> str:
    """Means over all customer-weeks."""
    rows = []
    for name, values in pooled.values.items():
        how, paid = ([way(WHOLE)], cost(found)) if name.startswith(MODEL) else ([""], [""] * len(COST))
        reached = [
            mean_and_deviation([float(each) for each in np.nanmean(values[metric], 1)], small) for metric in METRICS
        ]
        rows.append([name, *how, *reached, *paid])
    return table(["", *WAY, *METRICS, *COST], rows)


def of_pairs(pooled: Pooled) -> str:
    """Paired differences with their intervals."""
    rows = [
        [first, second, metric, *difference(pooled.customers, pooled.less(first, second, metric))]
        for first, second in PAIRS
        for metric in METRICS
    ]
    return table(["", "less", "metric", "difference", "95 % interval"], rows)


def difference(customers: Sequence[str], values: F64) -> list[str]:
    low, high = clustered(customers, values)
    return [f"{np.nanmean(values):+.4f}", f"{low:+.4f} to {high:+.4f}"]


def pool_unseen(seeds: Sequence[Sequence[Unseen]]) -> Unseen:
    """All weeks one after the other, values (seeds, n)."""
    values = {
        name: np.stack([np.concatenate([week.values[name] for week in weeks]) for weeks in seeds])
        for name in seeds[0][0].values
    }
    weeks = seeds[0]
    return Unseen([each for week in weeks for each in week.customers], values, sum(week.items for week in weeks))


def of_unseen(ways: Mapping[Case, tuple[Sequence[Found], Unseen]]) -> str:
    """Row by row how it was trained, what it came to and what it cost; the paired difference of the first from the
    second."""
    rows = [
        [case.name, way(case), *(over_seeds(of.values[name]) for name in ("place", "near")), *cost(found)]
        for case, (found, of) in ways.items()
    ]
    (_, first), (_, second) = ways.values()
    told = [
        " (".join(difference(first.customers, (first.values[name] - second.values[name]).mean(0))) + ")"
        for name in ("place", "near")
    ]
    count = f"{len(first.customers):,} customer-weeks, {first.items:,} purchases"
    head = [f"articles never sold in train ({count})", *WAY, "mean place", f"among the first {NEAR:.0%}", *COST]
    return table(head, [*rows, ["difference (95 % interval)", "", *told, *[""] * len(COST)]])


def over_seeds(values: F64) -> str:
    """Of (seeds, n)."""
    return mean_and_deviation([float(each) for each in values.mean(1)])
