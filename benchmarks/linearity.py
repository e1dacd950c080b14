"""Seconds of a whole round against its clients, and against the candidates that each of them holds.

    python benchmarks/linearity.py [--repeats 5] [--plot FILE] [--write]

Worlds are made up, with H&M's catalogue. Clients: the negatives are those of the request, P = 1. Candidates: a cohort
of 1,024, and a public pool of growing size. `--write` puts tables and picture into docs/benchmarks.md.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measure import machine, write_section

from spfedrec_cli.engine import made
from spfedrec_cli.engine.bench import ROUNDS, Work, round_work

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = DOCUMENT.parent / "images" / "linearity.svg"
CLIENTS = [512, 1024, 2048, 4096, 8192, 16_384, 32_768]
POOLS = [512, 1024, 2048, 4096, 8192, 16_384, 32_768]
FEW = 1024  # clients of a round, where candidates vary


@dataclass(frozen=True)
class Line:
    """One axis: its name, its values, and the median seconds of a round at each."""

    name: str
    values: list[int]
    seconds: list[float]

    def slope(self) -> float:
        """Of log(seconds) by log(value), by least squares: 1 is proportional, less where there is a fixed cost."""
        return float(np.polyfit(np.log(self.values), np.log(self.seconds), 1)[0])

    def straight(self) -> tuple[float, float, float]:
        """Fixed seconds, seconds for each, and the largest relative error of that line (least relative squares)."""
        values, seconds = np.array(self.values, float), np.array(self.seconds)
        fixed, each = np.polynomial.polynomial.polyfit(values, seconds, 1, w=1 / seconds)
        return float(fixed), float(each), float(np.abs((fixed + each * values) / seconds - 1).max())


def by_clients(clients: int, items: int) -> Work:
    settings = {**ROUNDS, "federated": {**ROUNDS["federated"], "cohort_size": clients}}
    return round_work(made.sized(made.SHOP, clients, items), settings=settings)


def by_candidates(pool: int, items: int) -> Work:
    cohort, public = {**ROUNDS["federated"], "cohort_size": FEW}, {"negatives": "public", "pool_size": pool}
    return round_work(made.sized(made.SHOP, FEW, items), settings={**ROUNDS, "federated": cohort, "client": public})


def measured(name: str, values: list[int], make: Callable[[int], Work], repeats: int) -> Line:
    """Rounds of all sizes in turn, after one of each to warm up."""
    works = [make(value) for value in values]
    for work in works:
        work.run()
    found = [[timed(work.run) for work in works] for _ in range(repeats)]
    return Line(name, values, [statistics.median(each) for each in zip(*found, strict=True)])


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def draw(lines: list[Line], file: Path) -> None:
    """Each line on logarithmic axes beside one of slope 1 through its last point."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from spfedrec_cli.report.drawing import INK, SECOND, STYLE

    titles = {"clients": "Clients of a round", "candidates": f"Public pool, {FEW:,} clients"}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, line in zip(figure.subplots(1, len(lines)), lines, strict=True):
            axes.loglog(line.values, line.seconds, "o-", color=INK, linewidth=1.6, label="measured")
            proportional = [line.seconds[-1] * value / line.values[-1] for value in line.values]
            axes.loglog(line.values, proportional, "--", color=SECOND, linewidth=1, label="proportional")
            axes.set_title(titles[line.name])
            axes.set_xlabel(line.name)
            axes.set_ylabel("seconds a round")
            axes.set_xticks(line.values, [f"{value:,}" for value in line.values], rotation=30)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
            axes.legend(frameon=False)
        figure.savefig(file, metadata={"Date": None})


def tables(lines: list[Line]) -> str:
    parts = []
    for line in lines:
        measured = zip(line.values, line.seconds, strict=True)
        rows = [f"| {value:,} | {each:.3f} | {each / value * 1e6:.1f} |" for value, each in measured]
        head = [f"| {line.name} | seconds a round | µs for each |", "|---|---|---|"]
        fixed, each, error = line.straight()
        fit = f"{fixed:.3f} s and {each * 1e6:.1f} µs for each of the {line.name}, off by at most {error:.0%}"
        parts += ["\n".join([*head, *rows]), f"Slope on logarithmic axes: {line.slope():.2f}. A straight line: {fit}."]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--plot", type=Path, default=PICTURE)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--points", type=int, default=len(CLIENTS), help="so many of the smallest sizes only")
    parser.add_argument("--items", type=int, default=made.SHOP.items)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        measured("clients", CLIENTS[: asked.points], partial(by_clients, items=asked.items), asked.repeats),
        measured("candidates", POOLS[: asked.points], partial(by_candidates, items=asked.items), asked.repeats),
    ]
    draw(lines, asked.plot)
    picture = f"![Seconds a round against clients and against candidates](images/{PICTURE.name})"
    heading = f"{machine()}; one worker, medians of {asked.repeats} rounds over {asked.items:,} items."
    text = "\n\n".join([heading, tables(lines), picture])
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "linearity", text)


if __name__ == "__main__":
    main()
