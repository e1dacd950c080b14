"""From the source's identifiers to dense numbers, and from text attributes to feature codes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data import fields
from spfedrec_cli.data.arrays import scalar, to_arrow, to_numpy, where
from spfedrec_cli.data.ids import Form, dense
from spfedrec_cli.data.raw import Attributes
from spfedrec_cli.data.schema import FIELD, FieldEntry
from spfedrec_cli.dtypes import I32


@dataclass(frozen=True)
class Catalogue:
    """All ids of one kind: the table that is stored, its fields, and how many ids only the purchases know."""

    table: pa.Table
    fields: tuple[FieldEntry, ...]
    unknown: int

    def __len__(self) -> int:
        return int(self.table.num_rows)


def catalogue(
    id_column: str, attributes: Attributes, texts: pa.Array, used: npt.NDArray[np.bool_], form: Form, only_used: bool
) -> tuple[Catalogue, I32]:
    """Dense numbers for those of `texts` that are `used` and for all that have attributes; with `only_used`, the former
    alone. Also the number of each of `texts`, -1 where it has none. Neither names an id twice.

    The vocabularies are those of all attributes: a subset of the customers has the codes of the whole.
    """
    described = attributes.ids.cast(pa.string())
    place = dense(texts, described).copy()
    new = np.flatnonzero(used & (place < 0))
    place[new] = len(described) + np.arange(len(new))
    every = pa.concat_arrays([described, texts.take(to_arrow(new)).cast(pa.string())])
    wanted = np.arange(len(every)) < (0 if only_used else len(described))
    wanted[place[used]] = True
    chosen = np.flatnonzero(wanted)
    places = chosen[order(every.take(to_arrow(chosen)), form)]
    number = np.full(len(every) + 1, -1, np.int32)
    number[places] = np.arange(len(places))
    rows = np.where(places < len(described), places, -1)
    return _catalogue(id_column, every.take(to_arrow(places)), attributes, rows), number[place]


def order(ids: pa.Array, form: Form) -> npt.NDArray[np.integer]:
    """The places of distinct ids in the order of their dense numbers: as numbers, or as bytes."""
    return to_numpy(pc.sort_indices(ids.cast(pa.int64()) if form.numeric else ids))


def _catalogue(id_column: str, known: pa.Array, attributes: Attributes, rows: npt.NDArray[np.integer]) -> Catalogue:
    """`rows` (n,) are the places of `known` among the attributes, -1 where they are unknown."""
    columns: dict[str, pa.Array] = {id_column: known}
    taken = to_arrow(rows)
    taken = where(pc.greater_equal(taken, scalar(0)), taken)
    for name, values in attributes.display.items():
        shown = values.take(taken).cast(pa.string())
        columns[name] = where(pc.not_equal(shown, scalar("")), shown)
    entries = []
    for name, values in attributes.fields.items():
        codes, vocabulary = fields.encode(values)
        columns[FIELD + name] = to_arrow(np.append(codes, np.int32(0))[rows])
        entries.append(FieldEntry(name=name, cardinality=len(vocabulary) + 1, vocabulary=vocabulary))
    return Catalogue(pa.table(columns), tuple(entries), int((rows < 0).sum()))
