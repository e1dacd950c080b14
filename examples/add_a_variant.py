"""A metric and an aggregation protocol of one's own, in one file: each is a function or a class, and a row in a table.

    python examples/add_a_variant.py

Takes some seconds. Writes datasets/made-up and runs/variant, anew each time. CONTRIBUTING.md shows losses, towers and
request modes.
"""

import shutil

import numpy as np

import spfedrec_cli as spfedrec
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.protocol import Sums
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS, Row
from spfedrec_cli.retrieval.metrics import METRICS, Sizes
from spfedrec_cli.retrieval.places import Places


def half(places: Places, truth_sizes: Sizes, k: int) -> np.ndarray:
    """1 where at least half of what a client bought, or of k, is among the first k places, else 0."""
    found = places.first(k).chance.sum(axis=1)
    return (found >= np.minimum(truth_sizes, k) / 2).astype(np.float64)


class WholeOrNothing(IdealSum):
    """The sum of all updates, and none where anybody of the cohort is missing: what a chain without recovery does."""

    def close(self) -> Sums:
        sums = super().close()
        return sums if self.uploads.all() else Sums.zero(len(sums.query), tuple(sums.items.shape))


class WholeOrNothingByMessages(SumByMessages):
    """The same, a device at a time."""

    def close(self) -> Sums:
        sums = super().close()
        return sums if self.uploads.all() else Sums.zero(len(sums.query), tuple(sums.items.shape))


METRICS["half"] = half
AGGREGATIONS["whole_or_nothing"] = Row(WholeOrNothing, WholeOrNothingByMessages)


def main() -> None:
    spfedrec.prepare("synthetic", output="datasets/made-up", customers=500, items=200)
    shop = spfedrec.Dataset.open("datasets/made-up")
    settings = ["train.rounds=20", "train.eval_every=10", "federated.aggregation=whole_or_nothing"]
    settings += ["federated.cohort_size=64", "federated.dropout=0.01"]
    shutil.rmtree("runs/variant", ignore_errors=True)
    result = spfedrec.train(shop, spfedrec.resolve("synthetic", settings=settings), "runs/variant")
    report = spfedrec.evaluate("variant", ks=[10], baselines=["popularity"])
    print(f"{result.client_updates:,} client updates, {result.survivors:,} of them in a sum")
    print(report.to_frame()[["ndcg@10", "half@10"]])


if __name__ == "__main__":
    main()
