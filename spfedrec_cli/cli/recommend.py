"""spfedrec recommend: ranked articles for customers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Group

from spfedrec_cli.cli.options import AsJson, Debug, Quiet, RunName
from spfedrec_cli.cli.output import Cell, Output, facts, table
from spfedrec_cli.errors import InputError
from spfedrec_cli.run import find

if TYPE_CHECKING:
    from spfedrec_cli.engine import Recommendation

NAME = "recommend"
EXAMPLES = """Examples:

\b
  spfedrec recommend first --customer 000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318
  spfedrec recommend first --history 0663713001,0541518023 -k 5
  spfedrec recommend first --all --output everybody.csv --format csv"""

LABELS = ("name", "type", "colour")
LENGTH = 12


def command(
    run: RunName,
    customers: Annotated[
        list[str] | None, typer.Option("--customer", metavar="ID", help="A customer of the Dataset. Repeatable.")
    ] = None,
    history: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Articles that somebody bought, oldest first.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every customer; needs --output.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where --all writes.")] = None,
    format: Annotated[
        Literal["parquet", "csv", "kaggle"] | None, typer.Option(help="What --all writes; left out, parquet.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", metavar="K", min=1, help="Length of the list; left out, 12.")] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rank articles for customers.

    For customers of the Dataset, for somebody with a given history, or for everybody.
    """
    _exactly_one(customers, history, everybody)
    _only_with_all(everybody, output, format)
    articles = _articles(history) if history is not None else None
    from spfedrec_cli import engine

    out = Output(json, quiet)
    folder, length = find(run), k or LENGTH
    if output is not None:
        with out.stages() as tell:
            tell("Recommending to everybody")
            written = engine.recommend_all(folder, output, k=length, format=format or "parquet")
        value = {"run": str(folder), "output": str(output), "customers_written": written, "k": length}
        out.result(value, facts(f"Recommendations of {folder}", [("customers", written), ("file", str(output))]))
        return
    made = engine.recommend(folder, customers=customers, history=articles, k=length)
    out.result({"customers": [_json(one) for one in made]}, *(part for one in made for part in _tables(one)))


def _exactly_one(customers: Sequence[str] | None, history: str | None, everybody: bool) -> None:
    if sum((bool(customers), history is not None, everybody)) != 1:
        hint = "give one of --customer ID, --history A,B or --all --output FILE"
        raise InputError("It is not clear to whom to recommend", hint=hint)


def _only_with_all(everybody: bool, output: Path | None, format: str | None) -> None:
    if everybody and output is None:
        raise InputError("--all writes a file", hint="name it with --output FILE")
    if not everybody and (output is not None or format is not None):
        option = "--output" if output is not None else "--format"
        raise InputError(f"{option} goes with --all", hint="use --json for the recommendations of a few customers")


def _articles(history: str) -> list[str]:
    articles = [article.strip() for article in history.split(",")]
    if not all(articles):
        raise InputError(f"--history {history!r} has an empty place", hint="separate articles by single commas")
    return articles


def _json(one: "Recommendation") -> dict[str, Any]:
    items = [{"article_id": item.article_id, "score": item.score, **_labels(item.labels)} for item in one.items]
    history = [{"article_id": item.article_id, **_labels(item.labels)} for item in one.history]
    return {"customer_id": one.customer_id, "history": history, "items": items}


def _labels(labels: dict[str, str]) -> dict[str, str | None]:
    """name, type and colour, null where the source has none."""
    return {label: labels.get(label) for label in LABELS}


def _tables(one: "Recommendation") -> list[Group]:
    who = f"customer {one.customer_id}" if one.customer_id is not None else "this history"
    shown = [label for label in LABELS if any(label in item.labels for item in (*one.items, *one.history))]
    bought = [(item.article_id, *(item.labels.get(label, "") for label in shown)) for item in one.history]
    ranked: list[tuple[Cell, ...]] = [
        (place, item.article_id, *(item.labels.get(label, "") for label in shown), item.score)
        for place, item in enumerate(one.items, 1)
    ]
    past = [table(f"Last purchases of {who}, newest first", ["article", *shown], bought)] if bought else []
    return [*past, table(f"Recommended to {who}", ["", "article", *shown, "score"], ranked)]
