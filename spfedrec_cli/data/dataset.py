"""A prepared Dataset, read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import TypeAdapter

from spfedrec_cli.data import hashes, schema, stored
from spfedrec_cli.data.arrays import to_arrow
from spfedrec_cli.data.grouping import distinct, latest
from spfedrec_cli.data.hashes import Identity
from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.purchases import Purchases, concatenate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.schema import MANIFEST, SCHEMA_VERSION, SPLITS, Manifest, TimeUnit
from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.errors import InputError
from spfedrec_cli.files import Damaged, read_json, seal, unsealed

if TYPE_CHECKING:
    import pandas as pd

Read = TypeVar("Read")


@dataclass(frozen=True)
class Field:
    """A categorical feature; its codes are 0 (unknown) to cardinality - 1."""

    name: str
    cardinality: int


class Dataset:
    """A folder made by `prepare`. Opening reads the manifest, and hashes files that were never hashed before.

    Each column is read when it is first asked for, from the very files that were opened."""

    def __init__(self, path: Path, manifest: Manifest, fingerprint: str, held: dict[str, Identity]) -> None:
        self.path, self.manifest = path, manifest
        self.fingerprint = fingerprint
        """SHA-256 of the data and their description: two Datasets that share it hold the same, whatever their names."""
        self._held = held
        self._columns: dict[tuple[str, str], npt.NDArray[Any]] = {}
        self._offsets: dict[str, I64] = {}
        self._unions: dict[tuple[str, ...], Purchases] = {}

    @classmethod
    def open(cls, path: Path | str) -> "Dataset":
        """Raises InputError where `path` is no Dataset, one of another schema version, or damaged."""
        path = Path(path)
        manifest, fingerprint = read_manifest(path)
        for name, size in manifest.sizes.items():
            if not (path / name).is_file():
                raise InputError("A file of the Dataset is missing", where=str(path / name), hint="prepare it again")
            if (path / name).stat().st_size != size:
                raise _changed(path / name)
        held = {name: hashes.identity(path / name) for name in manifest.files}
        for file in hashes.unlike({path / name: found for name, found in manifest.files.items()}):
            raise _changed(file)
        return cls(path, manifest, fingerprint, held)

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def n_clients(self) -> int:
        return self.manifest.counts.clients

    @property
    def n_items(self) -> int:
        return self.manifest.counts.items

    @property
    def repeats(self) -> bool:
        """Whether clients buy the same item again, so that seen items stay in the ranking."""
        return self.manifest.repeats

    @property
    def item_fields(self) -> tuple[Field, ...]:
        return tuple(Field(entry.name, entry.cardinality) for entry in self.manifest.item_fields)

    @property
    def client_fields(self) -> tuple[Field, ...]:
        return tuple(Field(entry.name, entry.cardinality) for entry in self.manifest.client_fields)

    @cached_property
    def item_codes(self) -> I32:
        """(n_items, fields) vocabulary codes."""
        return self._codes("items", self.item_fields, self.n_items)

    @property
    def client_codes(self) -> I32:
        """(n_clients, fields) vocabulary codes, read whenever they are asked for: models keep their own."""
        return self._codes("clients", self.client_fields, self.n_clients)

    @cached_property
    def _item_ids(self) -> pa.ChunkedArray:
        return self._read("items", stored.texts, schema.ITEM_ID, self.n_items)

    @cached_property
    def _client_ids(self) -> pa.ChunkedArray:
        return self._read("clients", stored.texts, schema.CLIENT_ID, self.n_clients)

    @cached_property
    def item_ids(self) -> list[str]:
        """The source's id of each item."""
        return list(self._item_ids.to_pylist())

    @cached_property
    def client_ids(self) -> list[str]:
        """The source's id of each client."""
        return list(self._client_ids.to_pylist())

    def item_id(self, index: int) -> str:
        return str(self._item_ids[index])

    def client_id(self, index: int) -> str:
        return str(self._client_ids[index])

    def item_index(self, ids: Sequence[str]) -> I32:
        """Items by the source's ids. Raises InputError for an unknown or malformed one, naming a near one."""
        return _look_up(ids, self._item_ids, self.manifest.item_form, "an article")

    def holds_item(self, id: str) -> bool:
        """Whether it is an item's id, as `item_index` reads it."""
        from spfedrec_cli.data.ids import FORMS, find  # as in `_look_up`

        return bool(find([id], self._item_ids, FORMS[self.manifest.item_form])[0] >= 0)

    def client_indices(self, ids: Sequence[str]) -> I32:
        """Clients by the source's ids; raises InputError as `item_index` does."""
        return _look_up(ids, self._client_ids, self.manifest.client_form, "a customer")

    def client_index(self, id: str) -> int:
        """A client by the source's id; raises InputError as `item_index` does."""
        return int(self.client_indices([id])[0])

    @cached_property
    def _labels(self) -> pa.Table:
        return self._read("items", stored.table, list(schema.DISPLAY))

    @property
    def labels(self) -> pa.Table:
        """Name, type and colour of every item, null where unknown; the columns alone that the source has."""
        return self._labels

    def item_labels(self, indices: npt.ArrayLike) -> list[dict[str, str]]:
        """For each item its name, type and colour, as far as the source has them."""
        rows = np.asarray(indices, np.int64)
        if not self._labels.num_columns:
            return [{} for _ in rows]
        labels = self._labels.take(to_arrow(rows)).to_pylist()
        return [{name: text for name, text in label.items() if text is not None} for label in labels]

    def column(self, split: str, name: str) -> npt.NDArray[Any]:
        """One column of `purchases(split)`, by its name in the schema; the others stay unread."""
        if (split, name) not in self._columns:
            below = {schema.CLIENT: self.n_clients, schema.ITEM: self.n_items}.get(name)
            self._columns[split, name] = self._read(split, stored.numbers, schema.PURCHASES.field(name), below)
        return self._columns[split, name]

    def offsets(self, split: str) -> I64:
        """(n_clients + 1,): the rows of client c in `split` are `offsets[c]` to `offsets[c + 1]`."""
        if split not in self._offsets:
            column = schema.PURCHASES.field(schema.CLIENT)
            self._offsets[split] = self._read(split, stored.offsets, column, self.n_clients)
        return self._offsets[split]

    def bought(self, *splits: str) -> Ragged:
        """For every client the items of its rows in `splits`, oldest first."""
        parts = [Ragged(self.offsets(split), self.column(split, schema.ITEM)) for split in _in_order(splits)]
        return reduce(Ragged.followed_by, parts)

    def purchases(self, split: str) -> Purchases:
        """The rows of one split, sorted by (client, time, order in the file)."""
        return Purchases(*(self.column(split, name) for name in schema.PURCHASES.names))

    def frame(self, split: str) -> "pd.DataFrame":
        """The rows of one split for a notebook: customer_id, article_id, time, purchases, pieces, price.

        `time`: days as midnights without a zone; moments as times in UTC; a whole number, which only tells the order,
        where the source has no times.
        """
        import pandas as pd

        if split not in SPLITS:
            raise InputError(f"There is no split {split!r}", hint=f"choose from {', '.join(SPLITS)}")
        table = self._read(split, stored.table, None, schema.PURCHASES).to_pandas()
        table[schema.TIME] = _moments(table[schema.TIME].to_numpy(np.int64), self.manifest.time_unit)
        customers = self._client_ids.take(pa.array(table.pop(schema.CLIENT))).to_pylist()
        articles = self._item_ids.take(pa.array(table.pop(schema.ITEM))).to_pylist()
        ids = pd.DataFrame({"customer_id": customers, "article_id": articles})
        return ids.join(table)

    def history(self, *splits: str) -> Ragged:
        """For every client the distinct items of `splits` in the order of their last purchase, oldest first."""
        return latest(self.bought(*splits), self.n_items)

    def history_of(self, clients: npt.NDArray[np.integer], *splits: str) -> Ragged:
        """The rows of `history` of these clients (n,), in their order, without the work for all others. Of neighbours,
        ascending, only their own rows are read."""
        parts = [self._bought_by(clients, split) for split in _in_order(splits)]
        return latest(reduce(Ragged.followed_by, parts), self.n_items)

    def _bought_by(self, clients: npt.NDArray[np.integer], split: str) -> Ragged:
        """The rows of `bought` of these clients."""
        offsets = self.offsets(split)
        if (split, schema.ITEM) in self._columns or not len(clients) or (np.diff(clients) != 1).any():
            return Ragged(offsets, self.column(split, schema.ITEM)).take(clients)
        own = offsets[clients[0] : clients[-1] + 2]
        column = schema.PURCHASES.field(schema.ITEM)
        return Ragged(own - own[0], self._read(split, stored.rows, column, int(own[0]), int(own[-1]), self.n_items))

    def truth(self, split: str) -> Ragged:
        """For every client the distinct items that it bought in `split`, ascending; empty where none."""
        return distinct(self.bought(split), self.n_items)

    def clients_with_history(self, *splits: str) -> I32:
        """Clients with a purchase in `splits` (train where none are named), ascending."""
        rows = sum(np.diff(self.offsets(split)) for split in splits or ("train",))
        return np.flatnonzero(rows).astype(np.int32)

    @cached_property
    def negatives(self) -> tuple[I32, I32]:
        """Clients (n,) ascending, and (n, 99) items that each never bought, -1 behind. For evaluation only."""
        table = self._read("negatives", stored.table).combine_chunks()
        items = table.column(schema.ITEMS).combine_chunks().flatten().to_numpy()
        return np.array(table.column(schema.CLIENT).to_numpy()), np.array(items).reshape(-1, schema.NEGATIVES)

    @property
    def has_oracle(self) -> bool:
        """Whether the best possible recommender is known: synthetic Datasets with a temporal split."""
        return self.manifest.oracle is not None

    def oracle_scores(self, clients: npt.NDArray[np.integer], splits: Sequence[str] = ("train", "validation")) -> F32:
        """(n, n_items): the probability of each client's next item given its purchases in `splits`.

        `splits` is ("train",) for the week of validation, or ("train", "validation") for the test week. Raises
        InputError where the Dataset has no oracle.
        """
        if self.manifest.oracle is None:
            hint = "use a synthetic Dataset with the temporal split"
            raise InputError("The best possible recommender is not known", where=str(self.path), hint=hint)
        day = self.manifest.split.test_from_time if "validation" in splits else self.manifest.split.validation_from_time
        assert day is not None
        return self._world.predict(self._joined(splits), np.asarray(clients), day)

    @cached_property
    def _world(self) -> World:
        assert self.manifest.oracle is not None
        return World.from_table(self.manifest.oracle, self._read(schema.ORACLE, stored.table))

    def _joined(self, splits: Sequence[str]) -> Purchases:
        """The rows of several splits, sorted by (client, time, split, order in the file)."""
        ordered = _in_order(splits)
        if ordered not in self._unions:
            rows = concatenate([self.purchases(split) for split in ordered])
            self._unions[ordered] = rows.take(np.argsort(rows.client, kind="stable"))
        return self._unions[ordered]

    def _read(self, table: str, read: Callable[..., Read], *more: Any) -> Read:
        """What `read` finds in the file of a table. Raises InputError where it is not the file that was opened."""
        file = self._file(table)
        found = read(file, *more)
        pa.default_memory_pool().release_unused()  # Arrow keeps what reading took, as much again as was read
        if hashes.identity(file) != self._held[file.name]:
            hint = "run the command again while nobody writes there"
            raise InputError("A file of the Dataset was exchanged while it was in use", where=str(file), hint=hint)
        return found

    def _file(self, table: str) -> Path:
        return self.path / f"{table}.parquet"

    def _codes(self, table: str, fields: tuple[Field, ...], rows: int) -> I32:
        codes = np.empty((rows, len(fields)), np.int32)
        for place, field in enumerate(fields):
            column = pa.field(schema.FIELD + field.name, pa.int32())
            read = self._read(table, stored.numbers, column, field.cardinality)
            if len(read) != rows:
                raise stored.damaged(self._file(table), f"it has {len(read)} of {rows} rows")
            codes[:, place] = read
        return codes


def _moments(time: I64, unit: TimeUnit) -> "pd.Series[Any]":
    """Counts since 1970 as dates, to the second: nanoseconds would not reach beyond 2262."""
    import pandas as pd

    if unit == "row":
        return pd.Series(time)
    if unit == "day":
        return pd.Series(time.astype("datetime64[D]").astype("datetime64[s]"))
    return pd.Series(time.astype("datetime64[s]")).dt.tz_localize("UTC")


def _look_up(ids: Sequence[str], known: pa.ChunkedArray, form: str, what: str) -> I32:
    from spfedrec_cli.data.ids import FORMS, look_up  # with Arrow's functions, .1 s, which few need

    return look_up(ids, known, FORMS[form], what)


def _in_order(splits: Sequence[str]) -> tuple[str, ...]:
    """`splits` from early to late: each holds out the end of every client's purchases in those before it."""
    ordered = tuple(split for split in SPLITS if split in splits)
    if len(ordered) != len(splits) or not ordered:
        raise ValueError(f"splits must be distinct members of {SPLITS}, not {tuple(splits)}")
    return ordered


def _changed(file: Path) -> InputError:
    return InputError("A file of the Dataset was changed", where=str(file), hint="prepare it again")


def read_manifest(path: Path) -> tuple[Manifest, str]:
    """dataset.json, and the fingerprint that follows from it. Raises InputError as `Dataset.open` does."""
    file = path / MANIFEST
    if not path.exists():
        named = Path("datasets") / path
        hint = f"did you mean {named}?" if (named / MANIFEST).is_file() else "make it with `spfedrec prepare`"
        raise InputError("The Dataset does not exist", where=str(path), hint=hint)
    if not file.is_file():
        what = "folder is not a Dataset: it has no" if path.is_dir() else "file is not a Dataset: that is a folder with"
        raise InputError(f"The {what} {MANIFEST}", where=str(path), hint=_PREPARE)
    try:
        content = read_json(file)
        version = content["schema_version"]
        if version == SCHEMA_VERSION:
            said = {key: value for key, value in unsealed(content, file).items() if key not in _NAMES}
            return TypeAdapter(Manifest).validate_python(content), seal(said)
    except (ValueError, KeyError, TypeError, Damaged):
        raise InputError("The description of the Dataset cannot be read", where=str(file), hint=_PREPARE) from None
    problem = f"The Dataset has schema version {version}, and this program reads {SCHEMA_VERSION}"
    raise InputError(problem, where=str(file), hint="prepare it again")


_NAMES = ("name", "version")  # what may differ between two of the same content
OPEN_IT = "open it: spfedrec.Dataset.open('datasets/NAME')"
_PREPARE = "make one with `spfedrec prepare`"
