"""Text columns of a delimited file, and the line that holds a bad value.

Columns come as dictionary arrays: the values of a large file repeat, so that each distinct one is checked and
converted once. A line number is sought only after something was found to be wrong, by a slow second reading.
"""

import csv
import gzip
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spfedrec_cli.data import ids
from spfedrec_cli.data.ids import Form
from spfedrec_cli.errors import InputError

_BLOCK = 1 << 26
T = TypeVar("T", bound=np.generic)
_TEXT = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Columns:
    """The named columns of one file; `names` are all columns of the file, in order, and `header` whether it says so."""

    path: Path
    values: dict[str, pa.DictionaryArray]
    names: tuple[str, ...]
    delimiter: str = ","
    header: bool = True

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> pa.Array:
        """A column as plain text."""
        return self.values[name].dictionary_decode()

    def ids(self, name: str, form: Form) -> pa.DictionaryArray:
        """A column of ids, leading zeros restored. Raises InputError at the first that does not have the form."""
        column = self.values[name]
        wrong = ids.malformed(column.dictionary, form)
        if wrong is not None:
            self.refuse(name, wrong, form.described)
        return pa.DictionaryArray.from_arrays(column.indices, ids.restore(column.dictionary, form), safe=False)

    def converted(
        self, name: str, convert: Callable[[pa.Array], npt.NDArray[T] | str], expected: str
    ) -> npt.NDArray[T]:
        """A column through `convert`, which maps the distinct values to numbers or returns the first bad value."""
        column = self.values[name]
        numbers = convert(column.dictionary)
        if isinstance(numbers, str):
            self.refuse(name, numbers, expected)
        rows: npt.NDArray[T] = numbers[column.indices.to_numpy(zero_copy_only=False)]
        return rows

    def refuse(self, name: str, value: str, expected: str) -> NoReturn:
        """Raises InputError naming the file, the line and the value."""
        line = self._line(self.names.index(name), value)
        where = f"{self.path}, line {line}" if line else str(self.path)
        raise InputError(f"The {name} {value!r} is not {expected}", where=where, hint="mend or remove that line")

    def _line(self, position: int, value: str) -> int | None:
        with open_text(self.path) as file:
            reader = csv.reader(file, delimiter=self.delimiter)
            if self.header:
                next(reader)
            return next((reader.line_num for row in reader if row and row[position] == value), None)


def read(
    path: Path,
    needed: Sequence[str],
    optional: Sequence[str] = (),
    *,
    names: Sequence[str] | None = None,
    delimiter: str = ",",
    newlines: bool = False,
) -> Columns:
    """The `needed` and, where present, the `optional` columns of a plain or gzipped file.

    `names` gives the columns of a file without a header; `newlines` allows them inside quotes. Raises InputError for
    a file that is absent, empty, cut short or ragged, and for a needed column that it lacks.
    """
    with refusals(path, delimiter):
        known = tuple(names) if names else _header(path, delimiter)
        missing = [name for name in needed if name not in known]
        if missing:
            hint = f"its columns are {', '.join(known)[:200]}"
            raise InputError(f"The column {missing[0]} is missing", where=f"{path}, line 1", hint=hint)
        wanted = [*needed, *(name for name in optional if name in known)]
        table = _read_table(path, wanted, names, delimiter, newlines)
    columns = {name: _combined(table.column(name)) for name in wanted}
    return Columns(path, columns, known, delimiter, names is None)


def _read_table(path: Path, wanted: list[str], names: Sequence[str] | None, delimiter: str, newlines: bool) -> pa.Table:
    with pa.input_stream(str(path), compression="gzip" if _is_gzip(path) else None) as stream:
        return pyarrow.csv.read_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=newlines),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, _TEXT), strings_can_be_null=False
            ),
        )


def _combined(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not column.num_chunks:
        return pa.array([], pa.string()).dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _header(path: Path, delimiter: str) -> tuple[str, ...]:
    with open_text(path) as file:
        header = next(csv.reader(file, delimiter=delimiter), None)
    if header is None:
        raise _empty(path)
    return tuple(header)


@contextmanager
def refusals(path: Path, delimiter: str = ",") -> Iterator[None]:
    """What can be wrong with a file as a whole, each in one sentence."""
    try:
        if path.stat().st_size == 0:
            raise _empty(path)
        yield
    except FileNotFoundError:
        raise InputError("The file does not exist", where=str(path), hint="check the path") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "is not UTF-8 text") from None
    except pa.ArrowInvalid as error:
        raise _invalid(path, delimiter, str(error)) from None
    except (EOFError, OSError) as error:
        if isinstance(error, EOFError | gzip.BadGzipFile) or "compress" in str(error) or "zlib" in str(error):
            raise _unreadable(path, "is cut short or damaged") from None
        raise InputError("The file cannot be read", where=str(path), hint=str(error.strerror or error)) from None


def _empty(path: Path) -> InputError:
    return InputError("The file is empty", where=str(path), hint="copy or download it again")


def _unreadable(path: Path, problem: str) -> InputError:
    return InputError(f"The file {problem}", where=str(path), hint="copy or download it again")


def _invalid(path: Path, delimiter: str, message: str) -> InputError:
    if "UTF8" in message:
        return _unreadable(path, "is not UTF-8 text")
    if "Empty CSV" in message:
        return _empty(path)
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        width = len(next(reader, []))
        for row in reader:
            if row and len(row) != width:
                where = f"{path}, line {reader.line_num}"
                problem = f"The line has {len(row)} columns where the first has {width}"
                return InputError(problem, where=where, hint="mend or remove that line")
    return InputError(f"The file cannot be read: {message.splitlines()[0]}", where=str(path), hint="mend it")


def open_text(path: Path, encoding: str = "utf-8-sig") -> TextIO:
    """A plain or gzipped file as text."""
    if _is_gzip(path):
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return open(path, encoding=encoding, newline="")


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def find(folder: Path, stem: str) -> Path | None:
    """`stem` or `stem`.gz in the folder, or None."""
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)


def need(folder: Path, stem: str) -> Path:
    """As `find`; raises InputError where the folder or the file is missing."""
    if not folder.exists():
        raise InputError("The input does not exist", where=str(folder), hint="check the path given to --input")
    if not folder.is_dir():
        raise InputError("The input is not a folder", where=str(folder), hint=f"name the folder that holds {stem}")
    path = find(folder, stem)
    if path is None:
        state = "holds neither" if any(folder.iterdir()) else "is empty: it holds neither"
        hint = "name the folder with the source's own files"
        raise InputError(f"The folder {state} {stem} nor {stem}.gz", where=str(folder), hint=hint)
    return path


def whole_numbers(values: pa.Array) -> npt.NDArray[np.int32] | str:
    """For Columns.converted: text to int32."""
    fits = pc.fill_null(pc.match_substring_regex(values, "^[0-9]{1,10}$"), False)
    numbers = pc.if_else(fits, values, "0").cast(pa.int64()).to_numpy()
    bad = ~fits.to_numpy(zero_copy_only=False) | (numbers >= 2**31)
    return str(values[int(np.argmax(bad))]) if bad.any() else np.asarray(numbers, np.int32)
