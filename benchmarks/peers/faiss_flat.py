"""The first k of all items by FAISS, exact: `IndexFlatIP`, so many queries at a time, on one thread.

    python faiss_flat.py EMBEDDINGS.npz K TOGETHER

Prints seconds of each of five passes over the queries, after one that is not counted, as JSON; leaves the lists of the
last beside the embeddings.
"""

import json
import sys
import time

import faiss
import numpy as np


def main(path: str, k: int, together: int) -> None:
    faiss.omp_set_num_threads(1)
    with np.load(path) as stored:
        queries, items = stored["queries"], stored["items"]
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    seconds, found = [], []
    for _ in range(6):
        began = time.perf_counter()
        found = [index.search(queries[at : at + together], k)[1] for at in range(0, len(queries), together)]
        seconds.append(time.perf_counter() - began)
    np.save(path + ".lists.npy", np.concatenate(found))
    sys.stdout.write(json.dumps({"name": "faiss", "version": faiss.__version__, "seconds": seconds[1:]}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
