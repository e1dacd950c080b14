"""Column names, Arrow schemas and the manifest of a Dataset: the only place that spells them."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 3
MANIFEST = "dataset.json"
SPLITS = ("train", "validation", "test")
TABLES = (*SPLITS, "items", "clients", "negatives")
ORACLE = "oracle"
SKIPPED = "skipped-rows.csv"

CLIENT, ITEM, TIME, PRICE = "client", "item", "time", "price"
COUNT, PIECES = "purchases", "pieces"
ITEM_ID, CLIENT_ID = "item_id", "client_id"
NAME, TYPE, COLOUR = "name", "type", "colour"
DISPLAY = (NAME, TYPE, COLOUR)
FIELD = "field:"
ITEMS = "items"
NEGATIVES = 99

PURCHASES = pa.schema(
    [
        pa.field(CLIENT, pa.int32(), nullable=False),
        pa.field(ITEM, pa.int32(), nullable=False),
        pa.field(TIME, pa.int32(), nullable=False),
        pa.field(COUNT, pa.int32(), nullable=False),
        pa.field(PIECES, pa.int64(), nullable=False),
        pa.field(PRICE, pa.float32()),
    ]
)

TimeUnit = Literal["day", "second", "row"]
SplitKind = Literal["temporal", "leave-one-out"]


@dataclass(frozen=True, kw_only=True)
class FieldEntry:
    """A categorical feature: code 0 is unknown, code i is `vocabulary[i - 1]`."""

    name: str
    cardinality: int
    vocabulary: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SplitEntry:
    """How the purchases were divided: dates as ISO text and in the Dataset's unit of time (temporal only)."""

    kind: SplitKind
    validation_from: str | None = None
    test_from: str | None = None
    end: str | None = None
    validation_from_time: int | None = None
    test_from_time: int | None = None
    end_time: int | None = None
    clients_train_only: int = 0


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Purchases are rows of the source, of which a row of the Dataset, a distinct (client, item, time), folds several;
    pieces are the sum of quantities, one a purchase where the source has none. Splits count purchases.
    """

    purchases: int
    pieces: int
    rows: int
    clients: int
    items: int
    train: int
    validation: int
    test: int
    cold_clients: int
    cold_items: int
    unknown_items: int
    unknown_clients: int


@dataclass(frozen=True, kw_only=True)
class StepEntry:
    """What was left after one step of cutting a subset: purchases, those who bought, what was bought."""

    step: str
    purchases: int
    clients: int
    items: int


@dataclass(frozen=True, kw_only=True)
class OracleEntry:
    """The world that a synthetic Dataset was drawn from; data/oracle.py says what the numbers mean."""

    clusters: int
    purity: float
    repeat: float
    again: float = 0.0
    season: float
    first_day: int
    weeks: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """dataset.json, of which keys that a later version adds are read past.

    `repeated_pairs` is what data/repeats.py found in the whole source; `repeats` follows from it, unless it was
    `repeats_said` by the user.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    source: str
    seed: int
    version: str
    time_unit: TimeUnit
    repeats: bool
    repeats_said: bool = False
    repeated_pairs: float
    client_form: str
    item_form: str
    split: SplitEntry
    counts: Counts
    item_fields: tuple[FieldEntry, ...]
    client_fields: tuple[FieldEntry, ...]
    steps: tuple[StepEntry, ...] = ()
    checks: tuple[str, ...] = ()
    skipped_rows: int = 0
    notes: tuple[str, ...] = ()
    oracle: OracleEntry | None = None
    files: dict[str, str]
    sizes: dict[str, int]
