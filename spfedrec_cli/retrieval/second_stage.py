"""Lists by the second stage: the device's own ranking of its candidates, those of the towers among them.

The towers' score stands beside the features, standardised over the candidates of each client, by a weight that is
fitted on validation: in label weeks it would know what was bought later. Where validation says that the towers alone
are best, lists are theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.dtypes import F32, F64, I32, I64, Bool
from spfedrec_cli.kernels import lists as kernel
from spfedrec_cli.retrieval.evaluate import Scorer, evaluate, make_task, scored
from spfedrec_cli.retrieval.index import EMPTY, top_k
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.rng import distinct
from spfedrec_cli.second_stage.examples import Catalogue, Moments, examples, last_days, moments_before, pairs_of
from spfedrec_cli.second_stage.features import Pairs, features_of
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.mixing import ALONE, TOWERS, Mix, explored, mixed
from spfedrec_cli.second_stage.past import Past
from spfedrec_cli.second_stage.personal import Personal, step_size
from spfedrec_cli.second_stage.public import Public, public_at, weekly_buyers
from spfedrec_cli.second_stage.rows import Rows
from spfedrec_cli.second_stage.stored import rows_of

if TYPE_CHECKING:
    from spfedrec_cli.data.dataset import Dataset

Lister = Callable[..., tuple[I32, F32]]  # clients (n,), k, excluded (n, n_items) or None -> items and scores (n, k)
MIXES: tuple[Mix, ...] = (ALONE, (1.0, 0.25), (1.0, 0.5), (1.0, 1.0), (1.0, 2.0), (1.0, 4.0), TOWERS)
FITTERS = 5_000  # clients of validation that the mix is fitted on, at most
LIST = 10


@dataclass(frozen=True)
class Ranker:
    """The second stage as devices have it: weights (P,) of a form, what everybody knows of items, how many candidates
    are `popular` and `retrieved`, over how many `weeks` sales are known week by week, and the mix. `explore`: which
    share of places, behind the first `explore_after`, is for what is new to the customer. `personal`: how devices
    correct the last layer for themselves, on so many `label_weeks` with that `spacing`."""

    form: str
    hidden: int
    weights: F64
    shop: Catalogue
    popular: int
    retrieved: int
    weeks: int
    mix: Mix = ALONE
    explore: float = 0.0
    explore_after: int = 0
    personal: Personal | None = None
    label_weeks: int = 0
    spacing: int = 1

    def scores(self, pairs: Pairs, own: F64 | None = None) -> F64:
        """(p,) by the features alone; `own`: the last layer of each device (n, H + 1), where it has one of its own."""
        x = features_of(pairs, self.shop.columns)
        if own is None:
            return FORMS[self.form].forward(self.weights, x, self.hidden)[0]
        entering, device = FORMS[self.form].last(self.weights, x, self.hidden)[0], pairs.device
        return np.asarray((entering * own[device, :-1]).sum(1) + own[device, -1], np.float64)


@dataclass(frozen=True)
class Known:
    """What devices know when lists are made: their purchases, what is public, and the day (n_clients,). Where they
    correct weights for themselves, also the `moments` of the label weeks before, and what was public then."""

    rows: Rows
    public: Public
    day: I64
    moments: Moments | None = None
    then: Public | None = None


def known_before(ranker: Ranker, dataset: "Dataset", *splits: str) -> Known:
    """When all of these splits are over. A Dataset that is not divided by weeks has no such day: there it is that of
    the client's last purchase."""
    rows, day = rows_of(dataset, *splits), day_after(dataset, splits)
    if day is None:
        clients = np.arange(dataset.n_clients)
        buyers = weekly_buyers(rows_of(dataset, "train"), dataset.n_items, np.iinfo(np.int32).max, 0)
        public, last = public_at(buyers, (0,), ranker.popular), last_days(rows, clients, rows.items.lengths)
        return Known(rows, public, last, Moments((), ranker.label_weeks), public)
    buyers = weekly_buyers(rows, dataset.n_items, day, ranker.weeks)
    public, days = public_at(buyers, (ranker.weeks,), ranker.popular), np.full(dataset.n_clients, day)
    if ranker.personal is None:
        return Known(rows, public, days)
    moments, ends = moments_before(day, ranker.label_weeks, ranker.spacing, ranker.weeks)
    return Known(rows, public, days, moments, public_at(buyers, ends, ranker.popular))


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
        found = scored(towers, clients, n_items)
        return _over_all(found, *_ranked(ranker, known, clients, found))

    return score


def listed_by(ranker: Ranker, known: Known, towers: Scorer, n_items: int) -> Lister:
    """The first k by `ranked_by`, without what is excluded (n, n_items). Where every client has k candidates, these
    alone are put in order."""

    def best(clients: I32, k: int, excluded: Bool | None = None) -> tuple[I32, F32]:
        found = scored(towers, clients, n_items)
        if ranker.mix == TOWERS:
            return top_k(found, k, excluded)
        pairs, values = _ranked(ranker, known, clients, found)
        kept = np.arange(len(values)) if excluded is None else np.flatnonzero(~excluded[pairs.device, pairs.item])
        device, item, score = pairs.device[kept], pairs.item[kept], values[kept].astype(np.float32)
        counts = np.bincount(device, minlength=len(clients))
        if counts.min(initial=k) < k:
            return top_k(_over_all(found, pairs, values), k, excluded)
        order = np.lexsort((item, -score, device))
        first = order[(np.cumsum(counts) - counts)[:, None] + np.arange(k)]
        return item[first].astype(np.int32), score[first]

    return best


def _ranked(ranker: Ranker, known: Known, clients: I32, towers: F32) -> tuple[Pairs, F64]:
    """Candidates, and what each is worth (p,)."""
    pairs = _pairs(ranker, known, clients, towers)
    own = None if ranker.personal is None else own_layers(ranker, ranker.personal, known, clients)
    values = mixed(ranker.mix, lambda: ranker.scores(pairs, own), towers[pairs.device, pairs.item], pairs)
    return pairs, explored(values, pairs, ranker.explore, ranker.explore_after) if ranker.explore else values


def own_layers(ranker: Ranker, how: Personal, known: Known, clients: I32) -> F64:
    """(n, H + 1): the last layer of each of these clients, which it corrected on its own label weeks."""
    assert known.moments is not None
    assert known.then is not None
    lists = examples(known.rows, clients, known.moments, known.then, ranker.shop)
    entering, shared = FORMS[ranker.form].last(ranker.weights, lists.x, ranker.hidden)
    own, grad, longest = (
        np.tile(shared, (len(clients), 1)),
        np.empty_like(shared),
        np.diff(lists.offsets).max(initial=1),
    )
    room = np.empty(longest), np.empty(longest)
    bounds = np.searchsorted(lists.owner, np.arange(len(clients) + 1))
    for client in np.flatnonzero(np.diff(bounds)):
        offsets = lists.offsets[bounds[client] : bounds[client + 1] + 1]
        part = slice(int(offsets[0]), int(offsets[-1]))
        mine, bought, by = (
            entering[part],
            lists.bought[part].astype(np.float64),
            (step_size(entering[part], how), how.proximal),
        )
        kernel.correct(
            kernel.LOSSES[how.loss], mine, bought, offsets - offsets[0], shared, how.steps, by, room, grad, own[client]
        )
    return own


def _over_all(towers: F32, pairs: Pairs, values: F64) -> F32:
    """(n, n_items): of candidates their values, of all others the towers' scores, put below those."""
    floor = np.zeros(len(towers))
    np.minimum.at(floor, pairs.device, values)
    found = towers + (floor - 1.0 - towers.max(axis=1, initial=-np.inf)).astype(np.float32)[:, None]
    found[pairs.device, pairs.item] = values
    return np.asarray(found, np.float32)


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
