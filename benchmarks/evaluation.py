"""Evaluation alone, on one core: processor seconds of scores, of ranking and measuring them, and of the intervals.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py [CLIENTS] [ITEMS]

Random embeddings of 32 numbers, one to four items of ground truth a client, all items ranked, lists of 10 and 12.
"""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.retrieval.evaluate import Task, evaluate
from spfedrec_cli.retrieval.index import blocks
from spfedrec_cli.retrieval.intervals import intervals

DIM, LARGEST = 32, 4


def main(n_clients: int = 100_000, n_items: int = 20_000) -> None:
    draw = np.random.default_rng(0)
    queries, items = (draw.standard_normal((n, DIM)).astype(np.float32) for n in (n_clients, n_items))
    lengths = draw.integers(1, LARGEST + 1, n_clients)
    place = Ragged.from_lengths(lengths, np.empty(0, np.int32)).position()
    wanted = draw.integers(0, n_items // LARGEST, len(place)) * LARGEST + place  # distinct within a client
    clients = np.arange(n_clients, dtype=np.int32)
    task = Task("test", "full", clients, Ragged.from_lengths(lengths, wanted), None, None, None, 0, n_items)

    def scorer(some: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        return queries[some] @ items.T

    alone, _ = timed(lambda: [scorer(clients[block]).shape for block in blocks(n_clients, n_items)])
    whole, found = timed(lambda: evaluate(scorer, task, [10, 12]))
    bootstrap, _ = timed(lambda: intervals(found.per_client))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(
        f"{n_clients:,} clients x {n_items:,} items: scores {alone:.1f} s, ranking, measuring {whole - alone:.1f} s, "
        f"intervals {bootstrap:.1f} s; {peak:.2f} GiB at the peak\n"
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    made = work()
    return time.process_time() - started, made


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
