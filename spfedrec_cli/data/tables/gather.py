"""What is wanted of a file, and what its blocks hold so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.data.tables.intern import Found, Interner
from spfedrec_cli.data.tables.kinds import Kind, Numbers
from spfedrec_cli.errors import InputError


@dataclass(frozen=True)
class Wanted:
    """Which column plays which role, and how the file is laid out; `names` of a file without a header.

    `optional` roles may be missing. `rewrite` is applied to every block of text before it is read.
    """

    columns: Mapping[str, tuple[str, Kind]]
    optional: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    delimiter: str = ","
    quotes: bool = True
    rewrite: Callable[[bytes], bytes] | None = None


@dataclass
class Scanned:
    """By role: an array of numbers, or for texts a dictionary array. All (n,), in the order of the file.

    `skipped` are the rows of a Parquet file, counted from 0, that are not among them.
    """

    columns: dict[str, npt.NDArray[Any] | pa.DictionaryArray]
    names: tuple[str, ...]
    rows: int
    skipped: tuple[int, ...] = ()

    def __contains__(self, role: str) -> bool:
        return role in self.columns

    def texts(self, role: str) -> pa.DictionaryArray:
        return self.columns[role]


class _Growing:
    """An array that is appended to. It is moved in the page table, not copied: a list of blocks would need its memory
    twice when they are joined."""

    def __init__(self, first: Numbers) -> None:
        self._array, self._size = np.empty(max(len(first), 1), first.dtype), 0

    def append(self, numbers: Numbers) -> None:
        end = self._size + len(numbers)
        if end > len(self._array):
            self._array.resize(end + end // 8, refcheck=False)
        self._array[self._size : end] = numbers
        self._size = end

    def take(self) -> Numbers:
        """The array, cut to its size; of no use afterwards."""
        self._array.resize(self._size, refcheck=False)
        return self._array


class Gathered:
    """What the blocks so far hold, by role."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self.rows = 0
        self._interners = {role: Interner() for role, kind in kinds.items() if kind.numbers is None}
        self._columns = {role: _Growing(_nothing(kind)) for role, kind in kinds.items()}

    def take(self, table: Mapping[str, pa.Array]) -> bool:
        """Adds a block; adds nothing and returns False where a value in it is wrong."""
        columns: dict[str, Numbers] = {}
        found: dict[str, Found] = {}
        for role, kind in self.kinds.items():
            if kind.numbers is None:
                found[role] = self._interners[role].find(table[role].dictionary)
                if not _all_fit(found[role].new, kind):
                    return False
            elif (numbers := kind.numbers(table[role])) is None:
                return False
            else:
                columns[role] = numbers
        for role, texts in found.items():
            columns[role] = self._interners[role].add(texts)[table[role].indices.to_numpy()]
        for role, numbers in columns.items():
            self._columns[role].append(numbers)
        self.rows += len(next(iter(columns.values())))
        return True

    def columns(self) -> dict[str, npt.NDArray[Any] | pa.DictionaryArray]:
        """One array a role; of no use afterwards."""
        return {role: self._joined(role, numbers.take()) for role, numbers in self._columns.items()}

    def _joined(self, role: str, numbers: Numbers) -> npt.NDArray[Any] | pa.DictionaryArray:
        if role not in self._interners:
            return numbers
        texts = self._interners.pop(role).texts()
        return pa.DictionaryArray.from_arrays(pa.array(numbers), texts, safe=False)


def _nothing(kind: Kind) -> Numbers:
    numbers = np.empty(0, np.int32) if kind.numbers is None else kind.numbers(pa.array([], kind.arrow))
    assert numbers is not None
    return numbers


def _all_fit(texts: pa.Array, kind: Kind) -> bool:
    if kind.form is None:
        return True
    return bool(pc.all(pc.match_substring_regex(texts, kind.form.pattern)).as_py() in (True, None))


def present(wanted: Wanted, names: tuple[str, ...], file: RawFile | None = None) -> dict[str, Kind]:
    """By role, of the columns that are there. Raises InputError where a needed one is not."""
    kinds = {}
    for role, (name, kind) in wanted.columns.items():
        if names.count(name) > 1:
            raise InputError(f"The column {name} occurs twice", where=_header_of(file), hint="rename one of them")
        if name in names:
            kinds[role] = kind
        elif role not in wanted.optional:
            hint = f"its columns are {' '.join(', '.join(names)[:200].split())}"
            raise InputError(f"The column {name} is missing", where=_header_of(file), hint=hint)
    return kinds


def _header_of(file: RawFile | None) -> str:
    return f"{file}" if file is not None and file.is_parquet else f"{file}, line 1"


def unreadable(file: RawFile, message: str) -> InputError:
    hint = "write it again as plain CSV"
    return InputError(f"The file cannot be read: {message.splitlines()[0]}", where=str(file), hint=hint)
