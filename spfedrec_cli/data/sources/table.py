"""Anybody's purchases: a CSV or Parquet file whose columns the user names."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.schema import NAME
from spfedrec_cli.data.tables.attributes import read_attributes
from spfedrec_cli.data.tables.files import RawFile, unpack
from spfedrec_cli.data.tables.gather import Scanned, Wanted
from spfedrec_cli.data.tables.kinds import CATEGORY, PRICE, QUANTITY, ids
from spfedrec_cli.data.tables.peek import peek
from spfedrec_cli.data.tables.scan import scan
from spfedrec_cli.data.tables.times import time_form
from spfedrec_cli.errors import InputError, nearest

_ID = ids(FORMS["any"])
_NEEDED = ("customer", "item", "time")
_ROLES = (*_NEEDED, "price", "quantity", "name")
_OF_ITEMS, _OF_CUSTOMERS = "item.", "customer."
_EXAMPLE = "write --columns customer=user_id,item=sku,time=bought_at with the names of your columns"


def parse_columns(text: str) -> dict[str, str]:
    """`customer=user_id,item=sku,time=bought_at`, the column by its role. Raises InputError for anything else.

    Roles besides: price, quantity, name (of the item), and `item.FIELD` and `customer.FIELD` for any FIELD.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not (role and equals and column):
            raise _wrong(f"{part.strip()!r} does not say which column plays which role", _EXAMPLE)
        if role in columns:
            raise _wrong(f"The role {role} is given twice", "name one column for it")
        _check_role(role)
        columns[role] = column
    missing = [role for role in _NEEDED if role not in columns]
    if missing:
        raise _wrong(f"No column is named for {' and '.join(missing)}", _EXAMPLE)
    _check_shared(columns)
    return columns


def _check_role(role: str) -> None:
    if role in _ROLES or any(role.startswith(start) and role != start for start in (_OF_ITEMS, _OF_CUSTOMERS)):
        return
    near = nearest(role, [*_ROLES, _OF_ITEMS + "FIELD", _OF_CUSTOMERS + "FIELD"])
    hint = f"did you mean {near}?" if near else f"roles are {', '.join(_ROLES)}, item.FIELD and customer.FIELD"
    raise _wrong(f"There is no role {role!r}", hint)


def _check_shared(columns: Mapping[str, str]) -> None:
    """Only what is read as it stands can be read twice."""
    for role in _ROLES[:-1]:
        other = next((one for one in columns if one != role and columns[one] == columns.get(role)), None)
        if other:
            problem = f"The column {columns[role]} cannot be both {role} and {other}"
            raise _wrong(problem, "name another column, or leave one of the two out")


def _wrong(problem: str, hint: str) -> InputError:
    return InputError(problem, where="--columns", hint=hint)


def read(request: Request) -> Raw:
    """The purchases, with what they or the tables beside them say of items and customers.

    Raises InputError for a column that is missing and at the first row that cannot be read, unless these are skipped.
    """
    columns = request.columns
    file = _file(request.input, "--input")
    item_columns, customer_columns = _described_by(_OF_ITEMS, columns), _described_by(_OF_CUSTOMERS, columns)
    inline = {
        **(item_columns if request.item_table is None else {}),
        **(customer_columns if request.customer_table is None else {}),
    }
    peeked = peek(file, [columns[role] for role in _NEEDED], columns["time"])
    form = time_form(peeked.values)
    kinds = {"customer": _ID, "item": _ID, "time": form.kind, "price": PRICE, "quantity": QUANTITY}
    wanted = {role: (columns[role], kind) for role, kind in kinds.items() if role in columns}
    wanted |= {role: (column, CATEGORY) for role, column in inline.items()}
    table = scan(file, Wanted(wanted, delimiter=peeked.delimiter), request.rejects, request.tell)
    items, item_notes = _attributes(table, "item", item_columns, request.item_table, request)
    clients, client_notes = _attributes(table, "customer", customer_columns, request.customer_table, request)
    return Raw(
        client=table.texts("customer"),
        item=table.texts("item"),
        time=table.columns["time"],
        price=table.columns["price"] if "price" in table else no_prices(table.rows),
        quantity=table.columns.get("quantity"),
        items=items,
        clients=clients,
        notes=(*([f"{file.name}: {form.note}"] if form.note else []), *item_notes, *client_notes),
        time_unit=form.unit,
    )


def _file(path: Path | None, option: str) -> RawFile:
    assert path is not None
    if not path.is_file():
        state = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"The table {state}", where=str(path), hint=f"give a CSV or Parquet file with {option}")
    return unpack(path)


def _described_by(start: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that describe items, or customers, by role."""
    name = {NAME: columns[NAME]} if start == _OF_ITEMS and NAME in columns else {}
    return name | {role: column for role, column in columns.items() if role.startswith(start)}


def _attributes(
    table: Scanned, what: str, columns: Mapping[str, str], path: Path | None, request: Request
) -> tuple[Attributes, list[str]]:
    if path is not None:
        return _from_table(what, columns, path, request)
    if not columns:
        return no_attributes(), []
    ids = table.texts(what)
    return _named(ids.dictionary, {role: _last(ids, table.texts(role)) for role in columns}), []


def _last(ids: pa.DictionaryArray, values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The last value of each id that is not empty; null where there is none."""
    said = values.dictionary.to_numpy(zero_copy_only=False) != ""
    codes = values.indices.to_numpy()
    rows = np.flatnonzero(said[codes]) if len(said) else np.empty(0, np.int64)
    row = np.full(len(ids.dictionary), -1, np.int64)
    np.maximum.at(row, ids.indices.to_numpy()[rows], rows)
    last = np.append(codes, np.int32(-1))[row]
    return pa.DictionaryArray.from_arrays(pa.array(last, mask=last < 0), values.dictionary)


def _from_table(what: str, columns: Mapping[str, str], path: Path, request: Request) -> tuple[Attributes, list[str]]:
    option = f"--{what}-table"
    if not columns:
        raise InputError(f"No column is named for {option}", where="--columns", hint=f"add {what}.FIELD=… to it")
    file, key = _file(path, option), request.columns[what]
    named = tuple(dict.fromkeys(columns.values()))
    layout = Wanted({}, delimiter=peek(file, [key, *named], key).delimiter)
    found = read_attributes(file, (key, _ID), named, request, layout, needed=True)
    return _named(found.ids, {role: found.columns[column] for role, column in columns.items()}), found.notes


def _named(ids: pa.Array, values: Mapping[str, pa.DictionaryArray]) -> Attributes:
    """`item.colour` is the field colour; the name is shown and no field."""
    fields = {role.partition(".")[2]: column for role, column in values.items() if role != NAME}
    return Attributes(ids, display={NAME: values[NAME]} if NAME in values else {}, fields=fields)
