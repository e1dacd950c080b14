"""Preparing all of H&M, beside merely reading its largest file.

    python benchmarks/prepare.py [--folder DIR] [--pairs 5] [--write]

Makes a shop of H&M's size in H&M's own files (once; 3.4 GB), then runs, in turn and in processes of their own, after
one warm-up: `spfedrec prepare` of the whole folder, `pyarrow.csv.read_csv` of the transactions alone with ids as text,
and `pandas.read_csv` of the same; then the same at a tenth of the size. Then the command at three sizes, and opening
the Dataset. `--write` puts the figures into docs/benchmarks.md.
"""

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import Cost, machine, python, run, spread, write_section

CUSTOMERS, ITEMS = 1_371_980, 105_542
SHARES = {"a hundredth": 100, "a tenth": 10, "whole": 1}
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"

ARROW = """
import sys, pyarrow, pyarrow.csv
types = {"customer_id": pyarrow.string(), "article_id": pyarrow.string()}
options = pyarrow.csv.ConvertOptions(column_types=types)
pyarrow.csv.read_csv(sys.argv[1], convert_options=options)
"""
PANDAS = """
import sys, pandas
pandas.read_csv(sys.argv[1], dtype={"customer_id": str, "article_id": str})
"""
OPEN = """
import sys
from pathlib import Path
from spfedrec_cli.data.dataset import Dataset
dataset = Dataset.open(Path(sys.argv[1]))
if sys.argv[2] == "history":
    dataset.history("train")
"""


@dataclass(frozen=True)
class Shop:
    """One size: its files, how many purchases they hold, and where the Dataset goes."""

    files: Path
    dataset: Path
    rows: int

    @property
    def transactions(self) -> str:
        return str(self.files / "transactions_train.csv")


def make(folder: Path, share: int) -> Shop:
    """The files of a shop, unless they are there."""
    files = folder / f"shop-{share}"
    note = folder / f"shop-{share}.json"
    if not note.is_file():
        size = ("--customers", str(CUSTOMERS // share), "--items", str(ITEMS))
        run(*SPFEDREC, "prepare", "--source", "synthetic", *size, "--as", "csv", "--output", str(files))
        with open(files / "transactions_train.csv", "rb") as file:
            rows = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 24), b"")) - 1
        note.write_text(json.dumps({"rows": rows}))
    return Shop(files, folder / f"dataset-{share}", json.loads(note.read_text())["rows"])


SPFEDREC = (sys.executable, "-m", "spfedrec_cli")


def prepare(shop: Shop) -> Cost:
    words = ("prepare", "--source", "hm", "--input", str(shop.files), "--output", str(shop.dataset), "--quiet")
    return run(*SPFEDREC, *words)


def in_turn(shop: Shop, pairs: int) -> dict[str, list[Cost]]:
    """Each side once to warm up, then `pairs` times, one after another."""
    sides = {
        "prepare": lambda: prepare(shop),
        "pyarrow": lambda: python(ARROW, shop.transactions),
        "pandas": lambda: python(PANDAS, shop.transactions),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(pairs + 1):
        for name, side in sides.items():
            cost = side()
            say(f"{'warm-up' if turn == 0 else turn}: {name} {cost.seconds:.1f} s, {cost.peak / 2**30:.2f} GiB")
            if turn:
                costs[name].append(cost)
    return costs


def table_of_sides(shop: Shop, costs: dict[str, list[Cost]]) -> str:
    titles = {
        "prepare": "`spfedrec prepare`, the whole folder to a Dataset",
        "pyarrow": "`pyarrow.csv.read_csv`, the transactions alone, ids as text",
        "pandas": "`pandas.read_csv`, the same",
    }
    lines = ["| | seconds | of all cores | peak memory, GiB |", "|---|---|---|---|"]
    for name, title in titles.items():
        seconds = spread([cost.seconds for cost in costs[name]])
        cpu = spread([cost.cpu for cost in costs[name]])
        lines.append(f"| {title} | {seconds} | {cpu} | {max(cost.peak for cost in costs[name]) / 2**30:.2f} |")
    for name in ("pyarrow", "pandas"):
        ratios = [ours.seconds / other.seconds for ours, other in zip(costs["prepare"], costs[name], strict=True)]
        lines.append(f"| prepare ÷ {name}, pair by pair | {spread(ratios, '.2f')} | | |")
    rate = shop.rows / sorted(cost.seconds for cost in costs["prepare"])[len(costs["prepare"]) // 2]
    return "\n".join([*lines, "", f"{shop.rows:,} purchases: {rate:,.0f} a second."])


def table_of_sizes(shops: dict[str, Shop], repeats: int = 3) -> str:
    lines = ["| size | purchases | seconds | µs a purchase | peak memory, GiB |", "|---|---|---|---|---|"]
    for name, shop in shops.items():
        costs = [prepare(shop) for _ in range(repeats)]
        middle = sorted(cost.seconds for cost in costs)[repeats // 2]
        peak = max(cost.peak for cost in costs) / 2**30
        seconds = spread([cost.seconds for cost in costs])
        lines.append(f"| {name} | {shop.rows:,} | {seconds} | {middle / shop.rows * 1e6:.2f} | {peak:.2f} |")
        say(lines[-1])
    return "\n".join(lines)


def table_of_opening(shop: Shop, repeats: int = 5) -> str:
    lines = ["| | seconds, with starting Python | peak memory, MiB |", "|---|---|---|"]
    titles = {"open": "`Dataset.open`", "history": "and the distinct purchases of every client as a history"}
    for what, title in titles.items():
        costs = [python(OPEN, str(shop.dataset), what) for _ in range(repeats)]
        peak = max(cost.peak for cost in costs) / 2**20
        lines.append(f"| {title} | {spread([cost.seconds for cost in costs], '.2f')} | {peak:.0f} |")
    return "\n".join(lines)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("datasets/bench-prepare"))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if not (asked.folder / "shop-1.json").is_file() and shutil.disk_usage(asked.folder).free < 6e9:
        sys.exit(f"{asked.folder} needs 6 GB: choose another --folder")
    shops = {name: make(asked.folder, share) for name, share in SHARES.items()}
    costs = in_turn(shops["whole"], asked.pairs)
    parts = [
        f"{machine()}; medians of {asked.pairs} pairs, smallest and largest in brackets.",
        table_of_sides(shops["whole"], costs),
        "The same at a tenth of the size:",
        table_of_sides(shops["a tenth"], in_turn(shops["a tenth"], asked.pairs)),
        "Time by size. Every size reads the whole catalogue of 105,542 articles:",
        table_of_sizes(shops),
        "The Dataset of the whole:",
        table_of_opening(shops["whole"]),
    ]
    text = "\n\n".join(parts)
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "prepare", text)


if __name__ == "__main__":
    main()
