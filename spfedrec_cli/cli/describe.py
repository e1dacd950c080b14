"""spfedrec describe: what a Dataset holds."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, DatasetName, Debug, Quiet, dataset_folder, training
from spfedrec_cli.cli.output import Cell, Output, counted, course, facts, table

NAME = "describe"
EXAMPLES = """Examples:

\b
  spfedrec describe sample
  spfedrec describe datasets/hm-tenth --json
  spfedrec describe hm --plot hm.svg"""

WIDEST_BAR = 40
LABELS = ("name", "type", "colour")


Plot = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Draw it too: a .svg, .png or .pdf (needs spfedrec[report])."),
]


def command(
    dataset: DatasetName, plot: Plot = None, json: AsJson = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    """Show what a Dataset holds.

    Counts, splits, feature fields, how purchases are spread over clients and items, and their volume per week.
    """
    from spfedrec_cli.data.dataset import Dataset
    from spfedrec_cli.data.describe import describe
    from spfedrec_cli.data.statistics import measure
    from spfedrec_cli.report import drawing, plots

    started = time.perf_counter()
    out = Output(json, quiet)
    if plot:
        drawing.check(plot)
    opened = Dataset.open(dataset_folder(dataset))
    counted = measure(opened)
    told = describe(opened, counted)
    if plot:
        plots.draw(told, counted, plot)
        told["plot"] = str(plot)
    spent = round(time.perf_counter() - started, 3)
    out.result({**told, "seconds": spent}, *_tables(told))
    for note in told["notes"]:
        out.say(note)
    if plot:
        out.say(f"Drawn: {plot}")
    out.say(f"A customer to try: {told['example_client']}")
    out.say(f"Next: {training(opened.path, opened.manifest.source, opened.n_clients)}")


def _tables(told: Mapping[str, Any]) -> list[Group]:
    return [
        facts(f"Dataset {told['dataset']}", _facts(told)),
        _spread({"per client": told["purchases_per_client"], "per item": told["purchases_per_item"]}),
        table("Clients by purchases", ["purchases", "clients", ""], picture(told["histogram"])),
        *([_volume(told["weeks"])] if told["weeks"] else []),
        _best_sellers(told["top_items"]),
    ]


def _facts(told: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    return [
        ("source", told["source"]),
        ("purchases", told["purchases"]),
        ("pieces", told["pieces"]),
        ("clients", f"{told['clients']:,}, of whom {told['buyers']:,} bought"),
        ("items", f"{told['items']:,}, of which {told['items_sold']:,} were sold"),
        ("pairs never bought", f"{told['sparsity']:.2%}"),
        *_habits(told),
        ("split", _split(told["split"])),
        ("purchases by split", ", ".join(f"{name} {count:,}" for name, count in told["splits"].items())),
        ("test without history", f"{counted(told['cold_clients'], 'client')}, {counted(told['cold_items'], 'item')}"),
        ("bought items stay ranked", "yes" if told["repeats"] else "no"),
        ("item fields", _fields(told["item_fields"])),
        ("client fields", _fields(told["client_fields"])),
    ]


def _habits(told: Mapping[str, Any]) -> list[tuple[str, Cell]]:
    """What clients buy on one day, and what they buy again; nothing without dates."""
    if not told["baskets"]:
        return []
    size = told["baskets"]
    baskets = f"{size['mean']:.1f} purchases a client and day, median {size['median']:g}, nine in ten up to "
    again = f"{told['exact_repeat_share']:.1%} at once, {told['bought_again_share']:.1%} on a later day"
    return [("baskets", f"{size['count']:,}: {baskets}{size['p90']:.0f}"), ("same item again", again)]


def _volume(weeks: Sequence[Mapping[str, Any]]) -> Group:
    purchases = [week["purchases"] for week in weeks]
    title = f"Purchases per week: {min(purchases):,} to {max(purchases):,}"
    return course(title, purchases, weeks[0]["from"], weeks[-1]["from"])


def _split(split: Mapping[str, Any]) -> str:
    if "test_from" not in split:
        return str(split["kind"])
    return (
        f"{split['kind']}: validation from {split['validation_from']}, test from {split['test_from']} to {split['end']}"
    )


def _fields(fields: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({cardinality:,})" for name, cardinality in fields.items()) or "none: ids alone"


def _spread(quantiles: Mapping[str, Mapping[str, float]]) -> Group:
    """One row for each side; a decimal where the mean or a quantile lies between two counts."""
    names = list(next(iter(quantiles.values())))
    rows: list[list[Cell]] = [
        [side, *(f"{value:,.1f}".removesuffix(".0") for value in row.values())] for side, row in quantiles.items()
    ]
    return table("Purchases", ["", *names], rows, right=names)


def picture(histogram: Sequence[int]) -> list[list[Cell]]:
    """A bar for each class of clients; place i of `histogram` counts those with 2**i to 2**(i + 1) - 1 purchases."""
    largest = max(histogram, default=0)
    rows: list[list[Cell]] = []
    for place, count in enumerate(histogram):
        low, high = 1 << place, (2 << place) - 1
        heading = f"{low:,} to {high:,}" if place else "1"
        rows.append([heading, count, "#" * -(-WIDEST_BAR * count // largest)])
    return rows


def _best_sellers(items: Sequence[Mapping[str, Any]]) -> Group:
    shown = [label for label in LABELS if any(label in item for item in items)]
    rows = [[item["article_id"], *(item.get(label, "") for label in shown), item["purchases"]] for item in items]
    return table("Bought most", ["article", *shown, "purchases"], rows)
