"""H&M Personalized Fashion Recommendations in Kaggle's file layout: transactions_train, articles and customers."""

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.parallel import both
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.reading.attributes import read_attributes
from spfedrec_cli.data.reading.files import RawFile, exists, find, is_archive, members, unpack
from spfedrec_cli.data.reading.kinds import CATEGORY, CHANNEL, PRICE, ids
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rules import rules
from spfedrec_cli.data.reading.scan import Wanted, form_of, scan
from spfedrec_cli.data.schema import COLOUR, NAME, TYPE, TimeUnit
from spfedrec_cli.data.split import EARLIEST, UNITS_A_DAY
from spfedrec_cli.dtypes import I32
from spfedrec_cli.errors import InputError

_STEM = "transactions_train.csv"
_CUSTOMER, _ARTICLE = ids(FORMS["customer"]), ids(FORMS["article"])
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
AGE = "age_bucket"
CUSTOMER_FIELDS = {
    AGE: "age",
    "club_status": "club_member_status",
    "news_frequency": "fashion_news_frequency",
    "fn": "FN",
    "active": "Active",
}


def read(request: Request) -> Raw:
    """A folder or .zip archive of the three files, or a file of transactions with the other two beside it.

    Raises InputError for what is missing or malformed. Articles and customers may be absent: that is noted.
    """
    file = _transactions(request.input)
    columns = {"client": ("customer_id", _CUSTOMER), "item": ("article_id", _ARTICLE), "price": ("price", PRICE)}
    columns |= {"channel": ("sales_channel_id", CHANNEL)} if request.channel else {}
    wanted = Wanted(
        {"time": ("t_dat", CATEGORY), **columns},
        optional=("price",),
        rules=rules(request.reading, {"customer": "customer_id", "item": "article_id", "time": "t_dat"}),
        shape=Shape(encoding=request.reading.encoding),
    )
    form = form_of(file, wanted, request)
    table = scan(file, wanted.at(form), request)
    articles, customers = request.apart(), request.apart()  # two small files, each of which leaves a core idle
    (items, item_notes), (clients, client_notes) = both(
        lambda: _articles(file.sibling("articles.csv"), articles),
        lambda: _customers(file.sibling("customers.csv"), customers),
    )
    request.rejects.extend(articles.rejects)
    request.rejects.extend(customers.rejects)
    time, unit = _days(table.columns["time"], form.unit)
    return Raw(
        client=table.texts("client"),
        item=table.texts("item"),
        time=time,
        price=table.columns["price"] if "price" in table else no_prices(table.rows),
        channel=table.columns.get("channel"),
        items=items,
        clients=clients,
        time_unit=unit,
        notes=(*([form.note] if form.note else []), *table.notes, *item_notes, *client_notes),
    )


def _days(time: I32, unit: TimeUnit) -> tuple[I32, TimeUnit]:
    """Moments become days. Numbers that count something else, as weeks, would all be one day: they keep their order."""
    days = time // np.int32(UNITS_A_DAY[unit])
    alone = len(days) > 0 and days.min() == days.max() < EARLIEST
    return (time, unit) if alone else (np.asarray(days), "day")


def _transactions(path: Path) -> RawFile:
    """Of an archive the member of that name, or the only one."""
    exists(path)
    if path.is_file() and (not is_archive(path) or (find(path, _STEM) is None and len(members(path)) == 1)):
        return unpack(path)
    return find(path, _STEM) or _absent(path)


def _absent(place: Path) -> NoReturn:
    if (parts := place / f"{Path(_STEM).stem}.parquet").is_dir() or (parts := place / _STEM).is_dir():
        raise InputError("The table is a folder of parts", where=str(parts), hint="write it as one file")
    kind = "folder" if place.is_dir() else "archive"
    state = "is empty: it holds" if place.is_dir() and not any(place.iterdir()) else "holds"
    problem = f"The {kind} {state} neither {_STEM} nor {_STEM}.gz, {_STEM}.zip or {Path(_STEM).stem}.parquet"
    hint = "name the folder or the .zip with the source's own files, or, unpacked, the file of transactions itself"
    raise InputError(problem, where=str(place), hint=hint)


def _articles(file: RawFile | None, request: Request) -> tuple[Attributes, list[str]]:
    if file is None:
        return no_attributes(), ["articles.csv is absent: items have ids only, no features"]
    wanted = ("article_id", _ARTICLE), (*ITEM_DISPLAY.values(), *ITEM_FIELDS.values())
    table = read_attributes(file, *wanted, request)
    return Attributes(
        table.ids, _present(table.columns, ITEM_DISPLAY), _present(table.columns, ITEM_FIELDS)
    ), table.notes


def _customers(file: RawFile | None, request: Request) -> tuple[Attributes, list[str]]:
    if file is None:
        return no_attributes(), ["customers.csv is absent: clients have ids only, no features"]
    table = read_attributes(file, ("customer_id", _CUSTOMER), tuple(CUSTOMER_FIELDS.values()), request)
    fields = _present(table.columns, CUSTOMER_FIELDS)
    if AGE in fields:
        fields[AGE] = age_buckets(fields[AGE])
    return Attributes(table.ids, fields=fields), table.notes


def _present(columns: Mapping[str, pa.DictionaryArray], names: Mapping[str, str]) -> dict[str, pa.DictionaryArray]:
    return {name: columns[column] for name, column in names.items() if column in columns}
