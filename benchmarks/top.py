"""Recommending: exact lists over a catalogue of H&M's size on one core, beside FAISS's exact index; and to everybody.

    python benchmarks/top.py [--turns 3] [--queries 8192] [--write]

Random embeddings of 32 numbers, lists of 12; the lists of both must be the same. Then `spfedrec recommend --all` for
the customers of the shop of H&M's size, where `make bench-pass` has trained on it. `--write` puts the figures into
docs/benchmarks.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from compare import CHECKOUT, DOCUMENT, environment, one_core
from measure import machine, run, spread, table, write_section

from spfedrec_cli.engine.ranker import product
from spfedrec_cli.retrieval.serve import recommend

ITEMS, DIM, K = 105_542, 32, 12
TOGETHER = 512  # queries that FAISS is given at once, which suits it best of 1, 64, 512 and all
SHOP = CHECKOUT / "datasets" / "bench-one-pass"


def ours(path: Path) -> None:
    """Prints the seconds of five passes, after one that is not counted, and leaves the lists of the last."""
    torch.set_num_threads(1)
    with np.load(path) as stored:
        queries, items = stored["queries"], stored["items"]
    seconds, lists = [], np.empty(0)
    for _ in range(6):
        began = time.perf_counter()
        lists, _ = recommend(queries, items, K, product=product)
        seconds.append(time.perf_counter() - began)
    np.save(f"{path}.ours.npy", lists)
    sys.stdout.write(json.dumps({"seconds": seconds[1:]}) + "\n")


def told(*words: str) -> list[float]:
    done = subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=one_core)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])["seconds"]
    return found


def side_by_side(queries: int, turns: int) -> str:
    """Raises SystemExit where the lists differ."""
    draw, python = np.random.default_rng(0), str(environment("faiss"))
    seconds: dict[str, list[float]] = {"spfedrec": [], "FAISS, `IndexFlatIP`": []}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "embeddings.npz")
        drawn = {
            name: draw.standard_normal((n, DIM)).astype(np.float32)
            for name, n in (("queries", queries), ("items", ITEMS))
        }
        np.savez(path, **drawn)
        for _ in range(turns):
            seconds["spfedrec"] += told(sys.executable, __file__, "--of", path)
            script = str(Path(__file__).with_name("peers") / "faiss_flat.py")
            seconds["FAISS, `IndexFlatIP`"] += told(python, script, path, str(K), str(TOGETHER))
        one, other = np.load(f"{path}.ours.npy"), np.load(f"{path}.lists.npy")
        scores = (np.einsum("qd,qkd->qk", drawn["queries"], drawn["items"][lists]) for lists in (one, other))
        if not np.allclose(*scores, rtol=1e-4):
            raise SystemExit("The lists are not the same")
    speeds = {name: [queries / each for each in some] for name, some in seconds.items()}
    ratios = [mine / its for mine, its in zip(*speeds.values(), strict=True)]
    rows = [[name, spread(some, ",.0f")] for name, some in speeds.items()]
    same = (one == other).mean()
    places = "every place" if same == 1 else f"{same:.4%} of all places, the others differing by rounding alone"
    return "\n\n".join(
        [
            f"The first {K} of {ITEMS:,} items, d = {DIM}, {queries:,} queries, one core:",
            table(["", "queries/s"], rows),
            f"spfedrec ÷ FAISS, pass by pass: {spread(ratios, '.2f')}. The same item in {places}.",
        ]
    )


def to_everybody(turns: int) -> str:
    """The whole command, by both cores; nothing where there is no run."""
    trained = SHOP / "work" / "runs" / "run"
    if not trained.exists():
        return "`recommend --all` was left out: `make bench-pass` has not been run."
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns):
            words = ("recommend", str(trained), "--all", "-k", str(K), "--output", f"{folder}/all.parquet", "--quiet")
            found.append(run(sys.executable, "-m", "spfedrec_cli", *words))
            shutil.rmtree(folder, ignore_errors=True)
            Path(folder).mkdir()
    seconds, peak = [each.seconds for each in found], max(each.peak for each in found) / 2**30
    return (
        f"`spfedrec recommend RUN --all`, 1,371,980 customers, Parquet, all cores: {spread(seconds)} s, {peak:.2f} GiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--queries", type=int, default=8192)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.of:
        ours(asked.of)
        return
    text = "\n\n".join([f"{machine()}.", side_by_side(asked.queries, asked.turns), to_everybody(asked.turns)])
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "top", text)


if __name__ == "__main__":
    main()
