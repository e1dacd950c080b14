"""What a source is asked for, and what it hands over: purchases and attributes under the source's own identifiers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.arrays import texts
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.schema import OracleEntry, TimeUnit
from spfedrec_cli.dtypes import F32, I8, I32


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` of some `unit` (0 where that is not known), and rows seen so far."""

    stage: str
    done: int = 0
    total: int = 0
    rows: int = 0
    unit: str = "bytes"


Tell = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """For those who do not ask how far it is."""


@dataclass(frozen=True)
class Reading:
    """How the user says that files are to be read.

    `columns` says which column plays which role, and the two tables hold those of items and customers (table only).
    `where` are conditions on a row, `drop_missing` leaves rows without customer, item or time out, `returns` is what
    happens to quantities of 0 and below. `time_format`, `timezone` and `encoding` are None where the files tell;
    without `header` columns are named by their numbers.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    item_table: Path | pa.Table | None = None
    customer_table: Path | pa.Table | None = None
    where: tuple[str, ...] = ()
    drop_missing: bool = False
    returns: Literal["refuse", "drop"] = "refuse"
    time_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    header: bool = True


@dataclass(frozen=True)
class Request:
    """What the user asked a source for. `customers` and `items` are numbers to make (synthetic only).

    `inputs` are paths, or tables that are in memory (table only). `channel` asks for the sales channel; `tell` is
    called again and again while the source is read. What has to be unpacked lies in `scratch` meanwhile.
    """

    inputs: tuple[Path | pa.Table, ...]
    seed: int
    customers: int | None = None
    items: int | None = None
    channel: bool = False
    rejects: Rejects = field(default_factory=Rejects)
    tell: Tell = silent
    reading: Reading = field(default_factory=Reading)
    scratch: Path | None = None

    @property
    def input(self) -> Path:
        """The one path of a source that takes one."""
        (path,) = self.inputs
        return Path(path)

    def apart(self) -> "Request":
        """The same for a file that is read at the same time: without a word, and with rejects of its own."""
        return replace(self, rejects=Rejects(self.rejects.skip, self.rejects.offered), tell=silent)


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
    int32 (n,); `price` float32 (n,), NaN where unknown; `quantity` int32 (n,), None where every row is one piece;
    `channel` (n,), 0 where unknown, None where the source has none. `notes` are sentences for the user. `time_unit` is
    given where it depends on the file.
    """

    client: pa.DictionaryArray
    item: pa.DictionaryArray
    time: I32
    price: F32
    items: Attributes
    clients: Attributes
    quantity: I32 | None = None
    channel: I8 | None = None
    notes: tuple[str, ...] = ()
    oracle: Oracle | None = None
    time_unit: TimeUnit | None = None

    def without_rows(self) -> "Raw":
        """What is left to say when the purchases have been taken."""
        nothing = texts([]).dictionary_encode()
        time, price = np.empty(0, np.int32), no_prices(0)
        return replace(self, client=nothing, item=nothing, time=time, price=price, quantity=None, channel=None)


def no_attributes() -> Attributes:
    """Attributes of nothing: every id is one that only the purchases know."""
    return Attributes(texts([]))


def no_prices(n: int) -> F32:
    return np.full(n, np.nan, np.float32)
