"""Lists by the second stage: the device's own ranking of its candidates, those of the towers among them.

The towers' score stands beside the features, standardised over the candidates of each client, by a weight that is
fitted on validation: in label weeks it would know what was bought later. Where validation says that the towers alone
are best, lists are theirs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.dtypes import F32, F64, I32, I64
from spfedrec_cli.retrieval.evaluate import Scorer, evaluate, make_task, scored
from spfedrec_cli.retrieval.index import EMPTY, top_k
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.rng import distinct
from spfedrec_cli.second_stage.examples import Catalogue, last_days, pairs_of
from spfedrec_cli.second_stage.features import Pairs, features_of
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.past import Past, found_in
from spfedrec_cli.second_stage.public import Public, public_at, weekly_buyers
from spfedrec_cli.second_stage.rows import Rows, rows_of

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Mix = tuple[float, float]  # what the second stage and the towers count
ALONE: Mix = (1.0, 0.0)
TOWERS: Mix = (0.0, 1.0)
MIXES: tuple[Mix, ...] = (ALONE, (1.0, 0.25), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (1.0, 4.0), TOWERS)
FITTERS = 5_000  # clients of validation that the mix is fitted on, at most
LIST = 10


@dataclass(frozen=True)
class Ranker:
    """The second stage as devices have it: weights (P,) of a form, what everybody knows of items, how many candidates
    are `popular` and `retrieved`, over how many `weeks` sales are known week by week, the mix, and which share of
    places is for what is new to the customer (`explore`)."""

    form: str
    hidden: int
    weights: F64
    shop: Catalogue
    popular: int
    retrieved: int
    weeks: int
    mix: Mix = ALONE
    explore: float = 0.0

    def scores(self, pairs: Pairs) -> F64:
        """(p,) by the features alone."""
        return FORMS[self.form].forward(self.weights, features_of(pairs, self.shop.columns), self.hidden)[0]


@dataclass(frozen=True)
class Known:
    """What devices know when lists are made: their purchases, what is public, and the day (n_clients,)."""

    rows: Rows
    public: Public
    day: I64


def known_before(ranker: Ranker, dataset: "Dataset", *splits: str) -> Known:
    """When all of these splits are over. A Dataset that is not divided by weeks has no such day: there it is that of
    the client's last purchase."""
    rows, day = rows_of(dataset, *splits), day_after(dataset, splits)
    if day is None:
        clients = np.arange(dataset.n_clients)
        buyers = weekly_buyers(rows_of(dataset, "train"), dataset.n_items, np.iinfo(np.int32).max, 0)
        return Known(rows, public_at(buyers, (0,), ranker.popular), last_days(rows, clients, rows.items.lengths))
    buyers = weekly_buyers(rows, dataset.n_items, day, ranker.weeks)
    return Known(rows, public_at(buyers, (ranker.weeks,), ranker.popular), np.full(dataset.n_clients, day))


def day_after(dataset: "Dataset", splits: tuple[str, ...]) -> int | None:
    """The first day that is in none of these splits, since 1970; None where the Dataset is not divided by weeks."""
    split, last = dataset.manifest.split, splits[-1]
    if split.end_time is None or split.test_from_time is None or split.validation_from_time is None:
        return None
    unit = UNITS_A_DAY[dataset.manifest.time_unit]
    starts = {"train": split.validation_from_time, "validation": split.test_from_time}
    return starts[last] // unit if last in starts else split.end_time // unit + 1


def ranked_by(ranker: Ranker, known: Known, towers: Scorer, n_items: int) -> Scorer:
    """Candidates first, by the mix; behind them all other items as the towers rank them."""
    if ranker.mix == TOWERS:
        return towers

    def score(clients: I32) -> F32:
        found = np.array(scored(towers, clients, n_items), np.float32)
        pairs = _pairs(ranker, known, clients, found)
        values = _mixed(ranker, pairs, found[pairs.device, pairs.item])
        values = explored(values, pairs, ranker.explore) if ranker.explore else values
        floor = np.zeros(len(clients))
        np.minimum.at(floor, pairs.device, values)
        found += (floor - 1.0 - found.max(axis=1, initial=-np.inf)).astype(np.float32)[:, None]
        found[pairs.device, pairs.item] = values
        return found

    return score


def _pairs(ranker: Ranker, known: Known, clients: I32, towers: F32) -> Pairs:
    past = Past(known.rows.of(clients), known.day[clients], ranker.shop.n_items)
    moment, more = np.zeros(len(clients), np.int64), tuple[I64, ...]()
    size = min(ranker.retrieved, towers.shape[1])
    if size and len(clients):
        excluded = None
        if not ranker.shop.repeats:
            excluded = np.zeros(towers.shape, np.bool_)
            excluded[past.device, past.rows.items.values] = True
        items = top_k(towers, size, excluded)[0]
        row = np.repeat(np.arange(len(clients)), size)[items.reshape(-1) != EMPTY]
        more = (row * ranker.shop.n_items + items[items != EMPTY],)
    return pairs_of(past, known.public, moment, ranker.shop, more)


def _mixed(ranker: Ranker, pairs: Pairs, towers: F32) -> F64:
    own, of_towers = ranker.mix
    values = own * ranker.scores(pairs) if own else np.zeros(len(pairs.keys))
    return values + of_towers * _standardised(towers.astype(np.float64), pairs) if of_towers else values


def explored(values: F64, pairs: Pairs, share: float) -> F64:
    """(p,): 1/(1 + place) of lists that take from what a client has and from what is new to it, each in its own order,
    so that of the first places every so many are new. Where one of the two runs out, the other follows."""
    device, is_new = pairs.device, ~found_in(pairs.past.keys, pairs.keys)[1]
    due = (1 + _places(2 * device + is_new, -values)) / np.where(is_new, share, 1.0 - share)
    order = np.lexsort((is_new, due, device))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(device, device)
    return np.asarray(1.0 / (1 + places), np.float64)


def _places(group: I64, keys: F64) -> I64:
    """(p,): where each stands in its group by ascending keys, from 0."""
    order = np.lexsort((keys, group))
    ordered, places = group[order], np.empty(len(group), np.int64)
    places[order] = np.arange(len(group)) - np.searchsorted(ordered, ordered)
    return places


def _standardised(values: F64, pairs: Pairs) -> F64:
    """Mean 0 and deviation 1 over the candidates of each client; 0 where they are alike."""
    device = pairs.device
    count = np.maximum(np.bincount(device), 1)
    centred = values - (np.bincount(device, values) / count)[device]
    spread = np.sqrt(np.bincount(device, centred * centred) / count)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0)[device], np.float64)


def fit_mix(ranker: Ranker, dataset: "Dataset", towers: Scorer) -> tuple[Mix, float]:
    """The mix of MIXES with the best NDCG@10 on validation, and that value. `towers` scores validation.

    It is the second stage alone, or the towers alone where nothing is bought again, unless another is better by an
    interval that lies above 0: a few customers would else choose by luck. At most FITTERS take part, each of whom can
    tell what its own list is worth under each mix.
    """
    task = make_task(dataset, "validation")
    task = task.take(distinct(0, "second_stage/fitters", len(task.clients), FITTERS).astype(np.int32))
    known, k = known_before(ranker, dataset, "train"), min(LIST, task.most_candidates)

    def worth(mix: Mix) -> F64:
        scorer = ranked_by(replace(ranker, mix=mix, explore=0.0), known, towers, dataset.n_items)
        return evaluate(scorer, task, [k]).per_client[f"ndcg@{k}"]

    best = ALONE if dataset.repeats else TOWERS
    first = reached = worth(best)
    for mix in MIXES:
        found = worth(mix)
        if found.mean() > reached.mean() and intervals({"": found - first})[""][0] > 0:
            best, reached = mix, found
    return best, float(reached.mean())
