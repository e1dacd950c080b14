"""What a Dataset holds, in numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.schema import SPLITS

I64 = npt.NDArray[np.int64]

QUANTILES = {"min": 0.0, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}
TOP = 10


def describe(dataset: Dataset) -> dict[str, Any]:
    """A JSON-friendly description.

    Purchases are sums of quantities over all splits. `sparsity` is the share of (client, item) pairs never bought.
    Quantiles are over the clients that bought and the items that sold. `histogram` counts such clients by purchases:
    place i holds those with 2**i to 2**(i + 1) - 1. Cold shares are shares of the test split's clients and items.
    """
    counts = dataset.manifest.counts
    by_client, by_item = _totals(dataset)
    bought, sold = by_client[by_client > 0], by_item[by_item > 0]
    return {
        "dataset": str(dataset.path),
        "name": dataset.name,
        "source": dataset.manifest.source,
        "purchases": counts.purchases,
        "clients": dataset.n_clients,
        "items": dataset.n_items,
        "splits": {split: getattr(counts, split) for split in SPLITS},
        "split": dataset.manifest.split.model_dump(exclude_none=True),
        "repeats": dataset.repeats,
        "buyers": len(bought),
        "items_sold": len(sold),
        "sparsity": 1 - _distinct_pairs(dataset) / (dataset.n_clients * dataset.n_items),
        "purchases_per_client": _quantiles(bought),
        "purchases_per_item": _quantiles(sold),
        "histogram": np.bincount(np.log2(bought).astype(np.int64)).tolist(),
        "top_items": _top_items(dataset, by_item),
        "cold_clients": counts.cold_clients,
        "cold_items": counts.cold_items,
        "cold_client_share": _share(counts.cold_clients, np.unique(dataset.purchases("test").client)),
        "cold_item_share": _share(counts.cold_items, np.unique(dataset.purchases("test").item)),
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


def _totals(dataset: Dataset) -> tuple[I64, I64]:
    """Purchases of each client and of each item."""
    by_client, by_item = np.zeros(dataset.n_clients, np.int64), np.zeros(dataset.n_items, np.int64)
    for split in SPLITS:
        rows = dataset.purchases(split)
        by_client += np.bincount(rows.client, rows.quantity, dataset.n_clients).astype(np.int64)
        by_item += np.bincount(rows.item, rows.quantity, dataset.n_items).astype(np.int64)
    return by_client, by_item


def _distinct_pairs(dataset: Dataset) -> int:
    return len(np.unique(np.concatenate([dataset.purchases(split).pairs(dataset.n_items) for split in SPLITS])))


def _quantiles(counts: I64) -> dict[str, float]:
    values = np.quantile(counts, list(QUANTILES.values()))
    return {"mean": float(counts.mean()), **{name: float(v) for name, v in zip(QUANTILES, values, strict=True)}}


def _top_items(dataset: Dataset, by_item: I64) -> list[dict[str, Any]]:
    top = np.lexsort((np.arange(len(by_item)), -by_item))[:TOP]
    labels = dataset.item_labels(top)
    return [
        {"article_id": dataset.item_id(int(item)), "purchases": int(by_item[item]), **label}
        for item, label in zip(top, labels, strict=True)
    ]


def _share(cold: int, of: npt.NDArray[np.integer]) -> float:
    return cold / len(of) if len(of) else 0.0
