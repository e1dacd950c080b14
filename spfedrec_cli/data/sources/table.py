"""Anybody's purchases: files whose columns the user names, or a table that is in memory."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.arrays import letters, to_numpy
from spfedrec_cli.data.fields import UNKNOWN
from spfedrec_cli.data.ids import FORMS, otherwise, several_ways, stand_in
from spfedrec_cli.data.raw import Attributes, Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.reading.attributes import read_attributes
from spfedrec_cli.data.reading.files import RawFile, unpack
from spfedrec_cli.data.reading.kinds import CATEGORY, PRICE, QUANTITY, Kind, ids, thousands, watched
from spfedrec_cli.data.reading.layout import Layout, Shape, akin
from spfedrec_cli.data.reading.overlap import seen_before
from spfedrec_cli.data.reading.parts import parts
from spfedrec_cli.data.reading.rules import rules
from spfedrec_cli.data.reading.scan import Column, Scanned, Wanted, form_of, layout_of, restored, scan, taken, told
from spfedrec_cli.data.reading.texts import Texts, beside
from spfedrec_cli.data.reading.times import TimeForm
from spfedrec_cli.data.schema import NAME, TimeUnit
from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.dtypes import I32, Bool
from spfedrec_cli.errors import InputError, nearest

_ID = ids(FORMS["any"])
_NEEDED = ("customer", "item")
_ROLES = (*_NEEDED, "time", "price", "quantity", "name")
_OF_ITEMS, _OF_CUSTOMERS = "item.", "customer."
_EXAMPLE = "write --columns customer=user_id,item=sku,time=bought_at with the names of your columns"
_SOME = 20  # rows of several inputs that are hardly alike by chance
_NOT_MATCHED = "rows in common count twice where inputs have no times, or days here and moments there"
_ZONES = "times of some files say their zone, and of others not: these are in UTC; where that is wrong, write all alike"
_KINDS = {"customer": _ID, "item": _ID, "price": PRICE}


def parse_columns(text: str) -> dict[str, str]:
    """`customer=user_id,item=sku,time=bought_at`, the column by its role. Raises InputError for anything else.

    Roles besides: price, quantity, name (of the item), and `item.FIELD` and `customer.FIELD` for any FIELD. A comma
    that no ROLE= follows belongs to the name before it.
    """
    columns: dict[str, str] = {}
    for part in re.split(r",(?=[^,=]+=|\s*$|\s*,)", text):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not (role and equals and column):
            raise _wrong(f"{part.strip()!r} does not say which column plays which role", _EXAMPLE)
        if role in columns:
            raise _wrong(f"The role {role} is given twice", "name one column for it")
        columns[role] = column
    return check_columns(columns)


def check_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Their names as texts. Raises InputError where a role is none, or one that is needed has no column."""
    columns = {role: str(column).strip() for role, column in columns.items()}
    for role in columns:
        _check_role(role)
    missing = [role for role in _NEEDED if role not in columns]
    if missing:
        raise _wrong(f"No column is named for {' and '.join(missing)}", _EXAMPLE)
    for role in _ROLES[:-1]:  # only what is read as it stands can be read twice
        other = next((one for one in columns if one != role and columns[one] == columns.get(role)), None)
        if other:
            problem = f"The column {columns[role]} cannot be both {role} and {other}"
            raise _wrong(problem, "name another column, or leave one of the two out")
    return columns


def _check_role(role: str) -> None:
    if role in _ROLES or any(role.startswith(start) and role != start for start in (_OF_ITEMS, _OF_CUSTOMERS)):
        return
    near = nearest(role, [*_ROLES, _OF_ITEMS + "FIELD", _OF_CUSTOMERS + "FIELD"])
    hint = f"roles are {', '.join(_ROLES)}, item.FIELD and customer.FIELD"
    raise _wrong(f"There is no role {role!r}", f"did you mean {near}? The {hint}" if near else hint)


def _wrong(problem: str, hint: str) -> InputError:
    return InputError(problem, where="--columns", hint=hint)


def read(request: Request) -> Raw:
    """The purchases, with what they or the tables beside them say of items and customers.

    Raises InputError for a column that is missing and at the first row that cannot be read, unless these are skipped.
    """
    columns, notes = request.reading.columns, list[str]()
    item_columns, customer_columns = _described_by(_OF_ITEMS, columns), _described_by(_OF_CUSTOMERS, columns)
    inline = item_columns if request.reading.item_table is None else {}
    inline = inline | (customer_columns if request.reading.customer_table is None else {})
    pieces = [
        _read_file(file, place, inline, request, notes)
        for place, input in enumerate(request.inputs)
        for file in _files(input, place, notes)
    ]
    notes += [] if request.reading.header else _uneven(pieces)
    table, unit, new = _joined(pieces, notes)
    notes += stand_in(table.texts("customer"), columns["customer"])
    items, item_notes = _attributes(table, "item", item_columns, request.reading.item_table, request)
    clients, client_notes = _attributes(table, "customer", customer_columns, request.reading.customer_table, request)
    if not new.all():
        once = {role: taken(column, new) for role, column in table.columns.items()}
        table = replace(table, columns=once, rows=int(new.sum()))
    return Raw(
        client=table.texts("customer"),
        item=table.texts("item"),
        time=table.columns.get("time", np.arange(table.rows, dtype=np.int32)),
        price=table.columns.get("price", no_prices(table.rows)),
        quantity=table.columns.get("quantity"),
        items=items,
        clients=clients,
        notes=(*dict.fromkeys(notes), *item_notes, *client_notes),
        time_unit=unit,
    )


def _files(input: Path | pa.Table, place: int, notes: list[str]) -> list[RawFile]:
    if isinstance(input, pa.Table):
        return [RawFile(Path(f"table {place + 1}" if place else "the table"), table=input)]
    return parts(Path(input), notes)


@dataclass(frozen=True)
class _Piece:
    """What one file holds; `place` counts the inputs that the user named."""

    place: int
    file: RawFile
    table: Scanned
    form: TimeForm | None


def _read_file(file: RawFile, place: int, inline: Mapping[str, str], request: Request, notes: list[str]) -> _Piece:
    written = dict[str, list[str]]()
    wanted = _wanted(request, inline, watched(QUANTITY, written))
    if place:
        wanted = _renamed(wanted, layout_of(file, wanted, request, check=False), file, notes)
    form = form_of(file, wanted, request) if "time" in wanted.columns else None
    if form:
        wanted = wanted.at(form)
        notes += [f"{file.name}: {form.note}"] if form.note else []
    table = scan(file, wanted, request)
    notes += [*table.notes, *thousands(written, f"{file.name}: {request.reading.columns.get('quantity')}")]
    return _Piece(place, file, table, form)


def _wanted(request: Request, inline: Mapping[str, str], quantity: Kind) -> Wanted:
    """By the names that the user says; `inline` are the descriptions that stand in the purchases."""
    named = request.reading.columns
    columns = {role: named[role] for role in _ROLES[:-1] if role in named} | dict(inline)
    kinds: dict[str, Kind] = {**dict.fromkeys(inline, CATEGORY), **_KINDS, "quantity": quantity}
    by_role = {role: (column, kinds.get(role, CATEGORY)) for role, column in columns.items()}
    return Wanted(by_role, (), rules(request.reading, columns), _shape(request), part=True)


def _renamed(wanted: Wanted, layout: Layout, file: RawFile, notes: list[str]) -> Wanted:
    """As the columns of a later input are called, which may be a little otherwise; InputError where one is two."""
    known: dict[str, str] = {}

    def own(name: str) -> str:
        found = akin(layout.known, name) or name
        if known.setdefault(found, name) != name:
            problem = f"The column {found} cannot be both {known[found]} and {name}"
            raise InputError(problem, where=str(file), hint="call columns there as in the first input")
        notes.extend([f"{file.name}: {found} is read as {name}"] if found != name else [])
        return found

    columns = {role: (own(name), kind) for role, (name, kind) in wanted.columns.items()}
    return replace(wanted, columns=columns, rules=tuple(replace(one, column=own(one.column)) for one in wanted.rules))


def _shape(request: Request) -> Shape:
    return Shape(numbered=not request.reading.header, encoding=request.reading.encoding)


def _joined(pieces: Sequence[_Piece], notes: list[str]) -> tuple[Scanned, TimeUnit, Bool]:
    """All pieces in one, its unit of time, and which rows (n,) are new: those that no earlier input holds already."""
    notes += _alike([piece for piece in pieces if piece.table.rows]) if len(pieces) > 1 else []
    units: set[TimeUnit] = {piece.form.unit if piece.form else "row" for piece in pieces if piece.table.rows} or {"row"}
    mixed = len(units) > 1
    for piece in pieces:
        if mixed and piece.form and piece.form.unit == "day":
            piece.table.columns["time"] = _midnight(piece)
    columns = {role: _concatenated([piece.table.columns[role] for piece in pieces]) for role in pieces[0].table.columns}
    name = pieces[0].file.name if len(pieces) == 1 else f"{len(pieces)} files"
    notes += told([piece.table for piece in pieces], name)
    for role in _NEEDED:
        columns[role] = restored(columns[role], FORMS["any"], name, notes)
        notes += several_ways(columns[role].dictionary, role)
    source = np.repeat([piece.place for piece in pieces], [piece.table.rows for piece in pieces])
    new = np.ones(len(source), bool)
    if source.max(initial=0) and "time" in columns:
        new = ~seen_before({role: columns[role] for role in _ROLES if role in columns}, source)
        notes += [] if new.all() else [_told_once(int((~new).sum()))]
        notes += _nearly(columns, source, new) if units == {"second"} else []
    notes += [_ZONES] * (len({one.form.local for one in pieces if one.form and one.form.unit == "second"}) > 1)
    if pieces[-1].place and (mixed or "time" not in columns):
        notes.append(_NOT_MATCHED)
    return Scanned(columns, len(source), [], pieces[0].table.lines), "second" if mixed else units.pop(), new


def _nearly(columns: Mapping[str, Column], source: npt.NDArray[np.integer], new: Bool) -> list[str]:
    """Whether inputs overlap, and times have seconds in one and minutes in another, so that rows differ."""
    days = {**{role: columns[role] for role in _NEEDED}, "time": columns["time"] // UNITS_A_DAY["second"]}
    count = int((seen_before(days, source) & new).sum())
    if count < max(_SOME, int((~new).sum())):
        return []
    same = f"{count:,} rows have customer, item and day of one in an earlier input"
    return [f"{same}, but another time of day: where they are the same purchases, write their times alike"]


def _alike(pieces: Sequence[_Piece]) -> list[str]:
    """Whether parts of one input say the same: a copy, whose rows count once more."""
    first = dict[tuple[int, ...], RawFile]()
    read = [(one.file, (one.place, one.file.size, *map(_sum, one.table.columns.values()))) for one in pieces]
    alike = [(file, first[sums]) for file, sums in read if first.setdefault(sums, file) is not file]
    if not alike:
        return []
    more = f" (and {len(alike) - 1:,} more such parts)" if len(alike) > 1 else ""
    return [f"{alike[0][0]} says the same as {alike[0][1]}{more}: its rows count twice; if it is a copy, take it away"]


def _uneven(pieces: Sequence[_Piece]) -> list[str]:
    """Whether columns that numbers name may be others in some file: it has more or fewer of them."""
    first = pieces[0]
    for one in pieces:
        if one.table.width != first.table.width:
            counts = f"{one.table.width} columns where {first.file.name} has {first.table.width}"
            return [f"{one.file.name} has {counts}: see that their numbers say the same"]
    return []


def _sum(column: Column) -> int:
    if isinstance(column, pa.DictionaryArray):
        return crc32(letters(column.dictionary).data, crc32(to_numpy(column.indices).data))
    return crc32(column)


def _midnight(piece: _Piece) -> I32:
    """Days as seconds. Raises InputError for one that these do not reach."""
    seconds = piece.table.columns["time"].astype(np.int64) * UNITS_A_DAY["second"]
    narrow: I32 = seconds.astype(np.int32)
    if (seconds != narrow).any():
        problem = "A date beyond 1902 to 2037 cannot be joined with the times of day of another file"
        raise InputError(problem, where=str(piece.file), hint="mend such dates, or leave them out with --where")
    return narrow


def _told_once(rows: int) -> str:
    one = "1 row stands in an earlier input too: it counts once"
    return one if rows == 1 else f"{rows:,} rows stand in an earlier input too: they count once"


def _concatenated(columns: Sequence[Column]) -> Column:
    if len(columns) == 1:
        return columns[0]
    if not isinstance(columns[0], pa.DictionaryArray):
        return np.concatenate(columns)
    with beside() as pool:
        texts = Texts(pool)
        for column in columns:
            texts.append(column)
        return texts.done()


def _described_by(start: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that describe items, or customers, by role."""
    name = {NAME: columns[NAME]} if start == _OF_ITEMS and NAME in columns else {}
    return name | {role: column for role, column in columns.items() if role.startswith(start)}


def _attributes(
    table: Scanned, what: str, columns: Mapping[str, str], beside: Path | pa.Table | None, request: Request
) -> tuple[Attributes, list[str]]:
    if beside is not None:
        file = _beside(what, columns, beside)
        found, notes = _from_table(what, columns, file, request)
        return found, [*notes, *otherwise(table.texts(what).dictionary, found.ids, what, file.name)]
    if not columns:
        return no_attributes(), []
    ids = table.texts(what)
    return _named(ids.dictionary, {role: _last(ids, table.texts(role)) for role in columns}), []


def _last(ids: pa.DictionaryArray, values: pa.DictionaryArray) -> pa.DictionaryArray:
    """The last value of each id that is known; null where there is none."""
    said = ~np.isin(values.dictionary.to_numpy(zero_copy_only=False), UNKNOWN)
    codes = values.indices.to_numpy()
    rows = np.flatnonzero(said[codes]) if len(said) else np.empty(0, np.int64)
    row = np.full(len(ids.dictionary), -1, np.int64)
    np.maximum.at(row, ids.indices.to_numpy()[rows], rows)
    last = np.append(codes, np.int32(-1))[row]
    return pa.DictionaryArray.from_arrays(pa.array(last, mask=last < 0), values.dictionary)


def _beside(what: str, columns: Mapping[str, str], table: Path | pa.Table) -> RawFile:
    option = f"--{what}-table"
    if not columns:
        raise InputError(f"No column is named for {option}", where="--columns", hint=f"add {what}.FIELD=… to it")
    if isinstance(table, pa.Table):
        return RawFile(Path(f"the table of {what}s"), table=table)
    if not table.is_file():
        state = "is not a file" if table.exists() else "does not exist"
        raise InputError(f"The table {state}", where=str(table), hint=f"give a CSV or Parquet file with {option}")
    return unpack(table)


def _from_table(what: str, columns: Mapping[str, str], file: RawFile, request: Request) -> tuple[Attributes, list[str]]:
    key, named = request.reading.columns[what], tuple(dict.fromkeys(columns.values()))
    found = read_attributes(file, (key, _ID), named, request, _shape(request), needed=True)
    return _named(found.ids, {role: found.columns[column] for role, column in columns.items()}), found.notes


def _named(ids: pa.Array, values: Mapping[str, pa.DictionaryArray]) -> Attributes:
    """`item.colour` is the field colour; the name is shown and no field."""
    fields = {role.partition(".")[2]: column for role, column in values.items() if role != NAME}
    return Attributes(ids, display={NAME: values[NAME]} if NAME in values else {}, fields=fields)
