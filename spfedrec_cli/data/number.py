"""From the source's identifiers to dense numbers, and from text attributes to feature codes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import fields, ids
from spfedrec_cli.data.ids import Form
from spfedrec_cli.data.raw import Attributes
from spfedrec_cli.data.schema import FIELD, FieldEntry

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Catalogue:
    """All ids of one kind: the table that is stored, its fields, and how many ids only the purchases know."""

    table: pa.Table
    fields: tuple[FieldEntry, ...]
    unknown: int

    @property
    def ids(self) -> pa.Array:
        return self.table.column(0).combine_chunks()

    def __len__(self) -> int:
        return int(self.table.num_rows)


def catalogue(
    id_column: str, attributes: Attributes, texts: pa.Array, used: npt.NDArray[np.bool_], form: Form, only_used: bool
) -> tuple[Catalogue, I32]:
    """Dense numbers for those of `texts` that are `used` and for all that have attributes; with `only_used`, the former
    alone. Also the number of each of `texts`, -1 where it has none.

    The vocabularies are those of all attributes: a subset of the customers has the codes of the whole.
    """
    n = len(attributes.ids)
    every = pa.concat_arrays([attributes.ids.cast(pa.string()), texts.cast(pa.string())]).dictionary_encode()
    places = every.indices.to_numpy()
    wanted = np.zeros(len(every.dictionary), bool)
    wanted[places[n:][used]] = True
    if not only_used:
        wanted[places[:n]] = True
    known = every.dictionary.filter(pa.array(wanted))
    order = ids.order(known, form)
    number = np.full(len(wanted), -1, np.int32)
    number[np.flatnonzero(wanted)[order]] = np.arange(len(order), dtype=np.int32)
    rows = np.full(len(order), -1, np.int32)
    described = np.flatnonzero(number[places[:n]] >= 0)
    rows[number[places[described]]] = described
    return _catalogue(id_column, known.take(pa.array(order)), attributes, rows), number[places[n:]]


def _catalogue(id_column: str, known: pa.Array, attributes: Attributes, rows: I32) -> Catalogue:
    """`rows` (n,) are the places of `known` among the attributes, -1 where they are unknown."""
    columns: dict[str, pa.Array] = {id_column: known}
    taken = pa.array(rows, mask=rows < 0)
    for name, values in attributes.display.items():
        shown = values.take(taken).cast(pa.string())
        columns[name] = pc.if_else(pc.equal(shown, ""), None, shown)
    entries = []
    for name, values in attributes.fields.items():
        codes, vocabulary = fields.encode(values)
        columns[FIELD + name] = pa.array(np.append(codes, np.int32(0))[rows])
        entries.append(FieldEntry(name=name, cardinality=len(vocabulary) + 1, vocabulary=vocabulary))
    return Catalogue(pa.table(columns), tuple(entries), int((rows < 0).sum()))
