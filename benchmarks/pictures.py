"""Draws the pictures of the first page from docs/figures.md: nothing is trained.

    python benchmarks/pictures.py [--images FOLDER]

Each as two files, for light and for dark pages: README names both in a `<picture>`.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import bars
import diagram
from quality import DOCUMENT, SETS

CHECKOUT = Path(__file__).parents[1]
TITLE = "NDCG@10 on three data sets"
PANELS = {"ml-100k": "MovieLens 100K", "synthetic": "Made-up shop", "hm": "Real H&M histories"}


def section(document: Path, name: str) -> str:
    """What stands between the two marks of `name` in a document."""
    return document.read_text(encoding="utf-8").partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def written(document: Path, name: str) -> list[bars.Bar]:
    """The bars of a data set as the document has them."""
    lines = [line for line in section(document, f"quality-{name}").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [(name, float(mean), float(low), float(high)) for name, mean, low, high in cells]


def pictures(document: Path) -> Iterator[tuple[str, str]]:
    """Names of files and what they hold."""
    panels = {PANELS[name]: written(document, name) for name in SETS}
    told = "; ".join(
        f"{panel}: " + ", ".join(f"{name} {mean:.4f} ({low:.4f} to {high:.4f})" for name, mean, low, high in every)
        for panel, every in panels.items()
    )
    for scheme, palette in bars.PALETTES.items():
        yield f"round-{scheme}.svg", diagram.drawn(palette)
        yield f"quality-{scheme}.svg", bars.drawn(panels, palette, TITLE, told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=CHECKOUT / "docs" / "images")
    images = parser.parse_args().images
    for name, svg in pictures(DOCUMENT):
        (images / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
