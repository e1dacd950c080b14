"""What a Dataset holds, in numbers."""

from dataclasses import asdict
from typing import Any

import numpy as np

from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import OPEN_IT, Dataset
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.statistics import Statistics, measure
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import expected

QUANTILES = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}
TOP = 10


def describe(dataset: Dataset, statistics: Statistics | None = None) -> dict[str, Any]:
    """A JSON-friendly description, from `statistics` where they were measured already.

    Purchases are rows of the source, over all splits; `pieces` is the sum of their quantities. `sparsity` is the share
    of (client, item) pairs never bought. Quantiles are over the clients that bought and the items that sold.
    `histogram` counts such clients by purchases: place i holds those with 2**i to 2**(i + 1) - 1. Cold shares are
    shares of the test split's clients and items. For `weeks` see `Statistics.by_week`; a basket is what a client bought
    on one day. Both are None without dates, and so is `bought_again_share`. The other two shares of repetition: rows
    (client, item, time) of more than one purchase among rows, and purchases that repeat another of the same client,
    item and time among purchases.
    """
    expected(dataset, Dataset, OPEN_IT)
    counts = dataset.manifest.counts
    counted = statistics or measure(dataset)
    bought, sold = counted.by_client[counted.by_client > 0], counted.by_item[counted.by_item > 0]
    return {
        "dataset": str(dataset.path),
        "name": dataset.name,
        "source": dataset.manifest.source,
        "purchases": counts.purchases,
        "pieces": counts.pieces,
        "clients": dataset.n_clients,
        "items": dataset.n_items,
        "splits": {split: getattr(counts, split) for split in SPLITS},
        "split": {name: said for name, said in asdict(dataset.manifest.split).items() if said is not None},
        "repeats": dataset.repeats,
        "repeated_pairs": dataset.manifest.repeated_pairs,
        "buyers": len(bought),
        "items_sold": len(sold),
        "sparsity": 1 - counted.pairs / (dataset.n_clients * dataset.n_items),
        "purchases_per_client": _quantiles(bought),
        "purchases_per_item": _quantiles(sold),
        "histogram": np.bincount(np.log2(bought).astype(np.int64)).tolist(),
        "weeks": _weeks(counted),
        "baskets": _baskets(counted),
        "quantity_above_one_share": _share(counted.several, counted.rows),
        "exact_repeat_share": _share(counted.purchases - counted.rows, counted.purchases),
        "bought_again_share": _bought_again(counted),
        "top_items": _top_items(dataset, counted.by_item),
        "cold_clients": counts.cold_clients,
        "cold_items": counts.cold_items,
        "cold_client_share": _share(counts.cold_clients, len(dataset.clients_with_history("test"))),
        "cold_item_share": _share(counts.cold_items, len(np.unique(dataset.column("test", schema.ITEM)))),
        "item_fields": {field.name: field.cardinality for field in dataset.item_fields},
        "client_fields": {field.name: field.cardinality for field in dataset.client_fields},
        "example_client": example_client(dataset),
        "notes": list(dataset.manifest.notes),
    }


def example_client(dataset: Dataset) -> str:
    """The id of a client with a history: among those with ground truth in test, where there are any, the median one."""
    lengths = dataset.history("train").lengths
    candidates = np.flatnonzero((lengths > 0) & (dataset.truth("test").lengths > 0))
    if not len(candidates):
        candidates = np.flatnonzero(lengths > 0)
    middle = np.argsort(lengths[candidates], kind="stable")[len(candidates) // 2]
    return dataset.client_id(int(candidates[middle]))


def _weeks(counted: Statistics) -> list[dict[str, Any]] | None:
    if not counted.dated:
        return None
    starts, purchases = counted.by_week()
    dates = starts.astype("datetime64[D]").astype(str).tolist()
    return [{"from": date, "purchases": n} for date, n in zip(dates, purchases.tolist(), strict=True)]


def _baskets(counted: Statistics) -> dict[str, float] | None:
    """How many there are, and their mean, median and 90th percentile in purchases."""
    if not counted.dated:
        return None
    found = _quantiles(counted.baskets)
    return {"count": len(counted.baskets), **{name: found[name] for name in ("mean", "median", "p90")}}


def _bought_again(counted: Statistics) -> float | None:
    """Of the distinct (client, item, day), the share whose client bought the item on an earlier day too."""
    return _share(counted.pair_days - counted.pairs, counted.pair_days) if counted.dated else None


def _quantiles(counts: I64) -> dict[str, float]:
    values = np.quantile(counts, list(QUANTILES.values()))
    return {"mean": float(counts.mean()), **{name: float(v) for name, v in zip(QUANTILES, values, strict=True)}}


def _top_items(dataset: Dataset, by_item: I64) -> list[dict[str, Any]]:
    top = np.lexsort((np.arange(len(by_item)), -by_item))[: min(TOP, np.count_nonzero(by_item))]
    labels = dataset.item_labels(top)
    return [
        {"article_id": dataset.item_id(int(item)), "purchases": int(by_item[item]), **label}
        for item, label in zip(top, labels, strict=True)
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
