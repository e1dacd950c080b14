"""What it takes to use a run: one customer's list, lists for everybody, an index for a service, a page.

    python benchmarks/serving.py [--turns 5] [--customers 1371980] [--everybody] [--write]

A made-up shop of H&M's size, trained by the preset hm-full, and exported; commands take turns with `python -c
"import numpy, rich"`, below which none can come. FAISS's graph stands beside its exact index on one core, with the
embeddings of that run. `--everybody` also writes lists for all customers. A page is of 500 rounds on a small shop.
Shops, runs and exports are made once, in the folder: delete them there to make them anew. `--write` puts the figures
into docs/benchmarks.md.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import Cost, machine, run, spread, table, write_section
from one_pass import CUSTOMERS, DOCUMENT, SPFEDREC, prepared

CHECKOUT = Path(__file__).parents[1]
K, QUERIES = 12, 2048
FLOOR = (sys.executable, "-c", "import numpy, rich")
SEARCHES = (32, 48, 64, 128)
SETTINGS: tuple[str, ...] = ()  # the preset as it is
SMALL = ("--customers", "5000", "--items", "1000")
PAGE = ("train.rounds=500", "train.eval_every=25", "train.patience=0")


def sets(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def trained(folder: Path, dataset: Path, name: str, *words: str) -> Path:
    """A run under the folder, which is trained once; where that was stopped, it goes on."""
    made, whole = folder / "runs" / name, folder / f"{name}.trained"
    if not whole.exists():
        folder.mkdir(parents=True, exist_ok=True)
        begin = (str(dataset.resolve()), "--name", name, *words)
        before = Path.cwd()
        os.chdir(folder)
        try:
            run(*SPFEDREC, "train", *(("--resume", name) if made.exists() else begin), "--quiet")
        finally:
            os.chdir(before)
        whole.touch()
    return made


def exported(trained: Path, folder: Path, format: str) -> Path:
    output = folder / format
    if not output.exists():
        run(*SPFEDREC, "export", str(trained), "--output", str(output), "--format", format, "--quiet")
    return output


def in_turns(commands: dict[str, Sequence[str]], turns: int) -> dict[str, list[Cost]]:
    """Costs of each, one after the other in every turn, after one turn that is not counted."""
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(turns + 1):
        for name, words in commands.items():
            cost = run(*words)
            if turn:
                found[name].append(cost)
    return found


def one_customer(made: Path, folder: Path, turns: int) -> str:
    store, bundle = exported(made, folder, "store"), exported(made, folder, "device")
    someone = np.load(store / "clients.ids.npy", mmap_mode="r")[-1].decode()
    bought = ",".join(id.decode() for id in np.load(store / "items.ids.npy", mmap_mode="r")[:2].tolist())
    commands: dict[str, Sequence[str]] = {
        '`python -c "import numpy, rich"`': FLOOR,
        "`spfedrec recommend STORE --customer ID`": (*SPFEDREC, "recommend", str(store), "--customer", someone),
        "`spfedrec device BUNDLE --history A,B`": (*SPFEDREC, "device", str(bundle), "--history", bought),
        "`spfedrec recommend RUN --history A,B`": (*SPFEDREC, "recommend", str(made), "--history", bought),
        "`spfedrec recommend RUN --customer ID`": (*SPFEDREC, "recommend", str(made), "--customer", someone),
    }
    found = in_turns(commands, turns)
    floor = next(iter(found.values()))
    rows = [
        [
            name,
            spread([cost.seconds for cost in costs], ".2f"),
            spread([cost.cpu for cost in costs], ".2f"),
            spread([cost.seconds / least.seconds for cost, least in zip(costs, floor, strict=True)], ".2f"),
        ]
        for name, costs in found.items()
    ]
    sizes = {name: sum(file.stat().st_size for file in each.iterdir()) for name, each in (("S", store), ("B", bundle))}
    return "\n\n".join(
        [
            "One customer on the command line, from the start of Python to the end of the process:",
            table(["", "seconds", "of all cores", "÷ the first row, turn by turn"], rows),
            f"The store has {sizes['S'] / 1e6:.0f} MB, of which a list reads the items, and a row of each file of "
            f"customers; the bundle {sizes['B'] / 1e6:.1f} MB.",
        ]
    )


def graphs(made: Path, folder: Path, turns: int) -> str:
    """On one core."""
    import faiss

    from spfedrec_cli.engine.indexes import Compared, Hnsw, compared, flat_index, hnsw_index

    faiss.omp_set_num_threads(1)
    store = exported(made, folder, "store")
    items, clients = np.load(store / "items.npy"), np.load(store / "clients.npy", mmap_mode="r")
    drawn = np.linspace(0, len(clients) - 1, QUERIES).astype(np.int64)
    queries, exact = np.asarray(clients[drawn], np.float32), flat_index(items)
    graph = hnsw_index(items, queries, Hnsw())
    rows = []
    for search in SEARCHES:
        graph.hnsw.efSearch = search
        found: list[Compared] = [compared(exact, graph, queries, K) for _ in range(turns)]
        speeds = [each.queries_per_second for each in found]
        ratios = [each.queries_per_second / each.exact_queries_per_second for each in found]
        rows.append([str(search), f"{found[0].recall:.4f}", spread(speeds, ",.0f"), spread(ratios, ".1f")])
    flat = spread([each.exact_queries_per_second for each in found], ",.0f")
    return "\n\n".join(
        [
            f"FAISS's graph beside its exact index ({flat} queries a second): {len(items):,} items of the run, "
            f"{items.shape[1]} numbers each, {QUERIES:,} customers, one core, links {Hnsw().links}, "
            f"build {Hnsw().build}:",
            table(["search", f"recall@{K}", "queries/s", "÷ exact"], rows),
        ]
    )


def to_everybody(made: Path, folder: Path) -> str:
    output = folder / "everybody.parquet"
    words = ("recommend", str(made), "--all", "-k", str(K), "--output", str(output), "--force", "--quiet")
    cost = run(*SPFEDREC, *words)
    output.unlink()
    return (
        f"`spfedrec recommend RUN --all`, d = 32, Parquet, all cores, one turn: {cost.seconds:.0f} s, "
        f"{cost.peak / 2**30:.2f} GiB."
    )


def page(folder: Path, turns: int) -> str:
    shop = folder / "small"
    if not shop.exists():
        run(*SPFEDREC, "prepare", "--source", "synthetic", *SMALL, "--output", str(shop), "--quiet")
    made = trained(folder, shop, "page", "--preset", "synthetic", *sets(PAGE))
    output = folder / "page.html"
    words = (*SPFEDREC, "report", str(made), "--output", str(output), "--force", "--quiet")
    run(*words)  # which evaluates it
    costs = [run(*words) for _ in range(turns)]
    seconds, cpu = spread([each.seconds for each in costs]), spread([each.cpu for each in costs])
    size = output.stat().st_size / 1e6
    return (
        f"`spfedrec report RUN` of 500 rounds, evaluated with baselines before: {seconds} s, {cpu} s of all cores; "
        f"the page has {size:.2f} MB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "datasets" / "bench-one-pass")
    parser.add_argument("--everybody", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    dataset = prepared(asked.folder, asked.customers)
    work = asked.folder / f"serving-{asked.customers}"
    made = trained(work, dataset, "run", "--preset", "hm-full", *sets(SETTINGS))
    parts = [
        f"{machine()}; medians of {asked.turns} turns, smallest and largest in brackets. A made-up shop of "
        f"{asked.customers:,} customers.",
        one_customer(made, work, asked.turns),
        graphs(made, work, asked.turns),
        *([to_everybody(made, work)] if asked.everybody else []),
        page(work, asked.turns),
    ]
    text = "\n\n".join(parts)
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "serving", text)


if __name__ == "__main__":
    main()
