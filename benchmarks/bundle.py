"""What a bundle for devices loses: of the first twelve of a run, the share that a device ranks first too.

    python benchmarks/bundle.py RUN [--customers 300]

For customers with a history, known by it alone. Exports the bundle into a temporary folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from spfedrec_cli import engine, run
from spfedrec_cli.engine.ranker import opened, ranker
from spfedrec_cli.engine.recommend import stranger_query
from spfedrec_cli.serving import bundle
from spfedrec_cli.serving.rank import rank

LENGTH = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--customers", type=int, default=300)
    asked = parser.parse_args()
    model = opened(run.find(asked.run), "best")
    history = model.dataset.history("train", "validation")
    people = np.flatnonzero(history.lengths > 0)[: asked.customers]
    past = history.take(people)
    theirs, _ = ranker(model, LENGTH, None).lists(stranger_query(model.world, model.state, past, model.items), past)
    with tempfile.TemporaryDirectory() as folder:
        engine.export(asked.run, Path(folder) / "bundle", ("device",))
        made = bundle.opened(Path(folder) / "bundle")
        shares, seconds = [], []
        for row, items in enumerate(theirs):
            found = rank(made, [model.dataset.item_id(int(item)) for item in past.row(row)], LENGTH)
            wanted = {model.dataset.item_id(int(item)) for item in items if item >= 0}
            shares.append(len({each[0] for each in found.items} & wanted) / len(wanted))
            seconds.append(found.rank_seconds)
        sys.stdout.write(
            f"{len(people)} customers, {model.dataset.n_items:,} items, d = {model.items.shape[1]}; bundle "
            f"{made.size / 1e6:.1f} MB; overlap {np.mean(shares):.4f}, least {min(shares):.4f}; "
            f"ranking {1000 * np.median(seconds):.1f} ms, median, by {found.engine}\n"
        )


if __name__ == "__main__":
    main()
