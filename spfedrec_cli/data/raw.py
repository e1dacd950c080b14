"""What a source hands over: purchases and attributes under the source's own identifiers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.schema import OracleEntry

I32 = npt.NDArray[np.int32]
F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Request:
    """What the user asked a source for. `customers` and `items` are numbers to make (synthetic only)."""

    input: Path | None
    seed: int
    customers: int | None = None
    items: int | None = None


@dataclass(frozen=True)
class Attributes:
    """One row for each id: text columns (null where missing) to show, and to use as feature fields."""

    ids: pa.Array
    display: Mapping[str, pa.Array] = field(default_factory=dict)
    fields: Mapping[str, pa.Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Oracle:
    """The true world of a synthetic source: a table with one row for each item, in the order of the ids."""

    entry: OracleEntry
    table: pa.Table


@dataclass(frozen=True)
class Raw:
    """A whole source in memory.

    `client` and `item` are dictionary arrays of ids (n,), one entry for each purchase in the order of the file; `time`
    int32 (n,); `price` float32 (n,), NaN where unknown. `notes` are sentences for the user.
    """

    client: pa.DictionaryArray
    item: pa.DictionaryArray
    time: I32
    price: F32
    items: Attributes
    clients: Attributes
    notes: tuple[str, ...] = ()
    oracle: Oracle | None = None


def no_attributes() -> Attributes:
    """Attributes of nothing: every id is one that only the purchases know."""
    return Attributes(pa.array([], pa.string()))


def no_prices(n: int) -> F32:
    return np.full(n, np.nan, np.float32)
