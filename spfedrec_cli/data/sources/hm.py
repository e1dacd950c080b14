"""H&M Personalized Fashion Recommendations in Kaggle's file layout: transactions_train, articles and customers."""

import re
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.schema import COLOUR, NAME, TYPE
from spfedrec_cli.data.sources import columns
from spfedrec_cli.data.sources.columns import Columns

_DATE, _CUSTOMER, _ARTICLE, _PRICE = "t_dat", "customer_id", "article_id", "price"
_ISO = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_HIGHEST = float(np.finfo(np.float32).max)
ITEM_DISPLAY = {NAME: "prod_name", TYPE: "product_type_name", COLOUR: "colour_group_name"}
ITEM_FIELDS = {
    "product_type": "product_type_no",
    "product_group": "product_group_name",
    "graphical_appearance": "graphical_appearance_no",
    "colour": "colour_group_code",
    "perceived_colour": "perceived_colour_master_id",
    "department": "department_no",
    "index": "index_code",
    "section": "section_no",
    "garment_group": "garment_group_no",
}
AGE = "age"
CUSTOMER_FIELDS = {
    "club_status": "club_member_status",
    "news_frequency": "fashion_news_frequency",
    "fn": "FN",
    "active": "Active",
}


def read(request: Request) -> Raw:
    """A folder, or a transactions file with the other two beside it.

    Raises InputError for what is missing or malformed. Articles and customers may be absent: that is noted.
    """
    assert request.input is not None
    path = request.input if request.input.is_file() else columns.need(request.input, "transactions_train.csv")
    table = columns.read(path, (_DATE, _CUSTOMER, _ARTICLE), (_PRICE,))
    items, item_notes = _articles(columns.find(path.parent, "articles.csv"))
    clients, client_notes = _customers(columns.find(path.parent, "customers.csv"))
    return Raw(
        client=table.ids(_CUSTOMER, FORMS["customer"]),
        item=table.ids(_ARTICLE, FORMS["article"]),
        time=table.converted(_DATE, _days, "a date like 2020-09-22"),
        price=table.converted(_PRICE, _prices, "a price") if _PRICE in table else no_prices(len(table)),
        items=items,
        clients=clients,
        notes=(*_restored(table), *item_notes, *client_notes),
    )


def _articles(path: Path | None) -> tuple[Attributes, list[str]]:
    if path is None:
        return no_attributes(), ["articles.csv is absent: items have ids only, no features"]
    wanted = dict.fromkeys((*ITEM_DISPLAY.values(), *ITEM_FIELDS.values()))
    table = columns.read(path, (_ARTICLE,), tuple(wanted), newlines=True)
    ids = table.ids(_ARTICLE, FORMS["article"]).dictionary_decode()
    attributes = Attributes(ids, _present(table, ITEM_DISPLAY), _present(table, ITEM_FIELDS))
    return attributes, [*_restored(table), *_lacking(table, wanted)]


def _customers(path: Path | None) -> tuple[Attributes, list[str]]:
    if path is None:
        return no_attributes(), ["customers.csv is absent: clients have ids only, no features"]
    wanted = (AGE, *CUSTOMER_FIELDS.values())
    table = columns.read(path, (_CUSTOMER,), wanted)
    fields = _present(table, CUSTOMER_FIELDS)
    if AGE in table:
        ages = table.values[AGE]
        fields = {"age_bucket": age_buckets(ages.dictionary.to_pylist()).take(ages.indices), **fields}
    ids = table.ids(_CUSTOMER, FORMS["customer"]).dictionary_decode()
    return Attributes(ids, fields=fields), _lacking(table, wanted)


def _present(table: Columns, names: dict[str, str]) -> dict[str, pa.Array]:
    return {name: table.text(column) for name, column in names.items() if column in table}


def _lacking(table: Columns, wanted: dict[str, None] | tuple[str, ...]) -> list[str]:
    missing = [column for column in wanted if column not in table]
    return [f"{table.path.name} lacks {', '.join(missing)}: left out"] if missing else []


def _restored(table: Columns) -> list[str]:
    """A note where article ids had lost leading zeros."""
    ids = table.values[_ARTICLE].dictionary
    short = pc.sum(pc.less(pc.utf8_length(ids), FORMS["article"].width)).as_py() or 0
    return [f"article ids of {table.path.name} had lost their leading zeros: {short} restored"] if short else []


def _days(values: pa.Array) -> npt.NDArray[np.int32] | str:
    days = np.empty(len(values), np.int32)
    epoch = date(1970, 1, 1).toordinal()
    for place, value in enumerate(values.to_pylist()):
        try:
            if not _ISO.match(value):
                return str(value)
            days[place] = date.fromisoformat(value).toordinal() - epoch
        except ValueError:
            return str(value)
    return days


def _prices(values: pa.Array) -> npt.NDArray[np.float32] | str:
    """An empty price is unknown; any other must be a number that is not negative."""
    prices = np.empty(len(values), np.float32)
    for place, value in enumerate(values.to_pylist()):
        try:
            price = float(value) if value else None
        except ValueError:
            return str(value)
        if price is not None and not 0 <= price <= _HIGHEST:
            return str(value)
        prices[place] = np.nan if price is None else price
    return prices
