"""From the source's identifiers to dense numbers, and from text attributes to feature codes."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import fields, ids
from spfedrec_cli.data.ids import Form
from spfedrec_cli.data.purchases import Purchases, merge
from spfedrec_cli.data.raw import Attributes, Raw
from spfedrec_cli.data.schema import CLIENT_ID, FIELD, ITEM_ID, FieldEntry
from spfedrec_cli.errors import InputError
from spfedrec_cli.rng import distinct


@dataclass(frozen=True)
class Catalogue:
    """All ids of one kind: the table that is stored, its fields, and how many ids only the purchases know."""

    table: pa.Table
    fields: tuple[FieldEntry, ...]
    unknown: int

    @property
    def ids(self) -> pa.Array:
        return self.table.column(0).combine_chunks()


@dataclass(frozen=True)
class Numbered:
    items: Catalogue
    clients: Catalogue
    purchases: Purchases


def number(raw: Raw, item_form: Form, client_form: Form) -> Numbered:
    """Dense numbers for the union of the ids that were bought (or bought) and those that have attributes."""
    items = _catalogue(ITEM_ID, raw.items, _used(raw.item), item_form)
    clients = _catalogue(CLIENT_ID, raw.clients, _used(raw.client), client_form)
    client = ids.dense_codes(raw.client, clients.ids)
    return Numbered(items, clients, merge(client, ids.dense_codes(raw.item, items.ids), raw.time, raw.price))


def keep_customers(raw: Raw, wanted: int | float, form: Form, seed: int) -> Raw:
    """The purchases of `wanted` buyers (a number, or as a float a fraction), drawn uniformly by `seed`.

    Raises InputError for a fraction outside (0, 1] and for a number below one or above the number of buyers.
    """
    buyers = ids.universe([_used(raw.client)], form)
    size = max(1, round(wanted * len(buyers))) if isinstance(wanted, float) else wanted
    if not 1 <= size <= len(buyers) or wanted <= 0:
        hint = f"give a number from 1 to {len(buyers)}, or a fraction with a dot up to 1.0"
        raise InputError(f"--customers {wanted} does not fit the source's {len(buyers)} buyers", hint=hint)
    chosen = buyers.take(distinct(seed, "customers", len(buyers), size))
    kept = np.asarray(pc.is_in(raw.client.dictionary, value_set=chosen))[_indices(raw.client)]
    return replace(
        raw,
        client=raw.client.filter(kept),
        item=raw.item.filter(kept),
        time=raw.time[kept],
        price=raw.price[kept],
        clients=_select(raw.clients, chosen),
        notes=(*raw.notes, f"{size} of {len(buyers)} buyers kept"),
    )


def _select(attributes: Attributes, chosen: pa.Array) -> Attributes:
    kept = pc.is_in(attributes.ids, value_set=chosen)
    return Attributes(
        attributes.ids.filter(kept),
        {name: column.filter(kept) for name, column in attributes.display.items()},
        {name: column.filter(kept) for name, column in attributes.fields.items()},
    )


def _indices(column: pa.DictionaryArray) -> npt.NDArray[np.int32]:
    return np.asarray(column.indices.to_numpy(zero_copy_only=False), np.int32)


def _used(column: pa.DictionaryArray) -> pa.Array:
    """The distinct ids that occur: a dictionary may hold more after rows were dropped."""
    return column.dictionary.take(pc.unique(column.indices))


def _catalogue(id_column: str, attributes: Attributes, used: pa.Array, form: Form) -> Catalogue:
    known = ids.universe([attributes.ids, used], form)
    rows = pc.index_in(known, value_set=attributes.ids)
    columns: dict[str, pa.Array] = {id_column: known}
    for name, values in attributes.display.items():
        shown = values.take(rows)
        columns[name] = pc.if_else(pc.equal(shown, ""), None, shown)
    entries = []
    for name, values in attributes.fields.items():
        codes, vocabulary = fields.encode(values.take(rows))
        columns[FIELD + name] = pa.array(codes)
        entries.append(FieldEntry(name=name, cardinality=len(vocabulary) + 1, vocabulary=vocabulary))
    return Catalogue(pa.table(columns), tuple(entries), rows.null_count)
