"""What a column of a raw file may hold: how it is read at speed, and how one bad value is told."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from spfedrec_cli.data.ids import Form
from spfedrec_cli.data.schema import LARGEST_QUANTITY

Numbers = npt.NDArray[np.int32] | npt.NDArray[np.int8] | npt.NDArray[np.float32]

TEXT = pa.dictionary(pa.int32(), pa.string())
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PRICE = re.compile(r"([0-9]{1,30}(\.[0-9]{1,30})?)?")
_FIRST_DAY, _LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))
_HIGHEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Kind:
    """`arrow` is what pyarrow reads the column as; `numbers` turns that into an array, or None where a value is wrong.

    `fits` says of one value as it stands in the file that it is surely right, and `described` what it should be. A
    column of texts has no `numbers`: it is interned, and may have a `form`.
    """

    described: str
    arrow: pa.DataType
    fits: Callable[[str], bool]
    numbers: Callable[[pa.Array], Numbers | None] | None = None
    form: Form | None = None

    def holds(self, text: str) -> bool:
        """Whether a file that holds this value is read: where `fits` is not sure, pyarrow is asked."""
        return self.fits(text) or (self.numbers is not None and self._reads(text))

    def _reads(self, text: str) -> bool:
        assert self.numbers is not None
        quoted = text.replace('"', '""')
        try:
            read = pyarrow.csv.read_csv(
                pa.BufferReader(f'"{quoted}",\n'.encode()),
                read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=["value", "rest"]),
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                convert_options=pyarrow.csv.ConvertOptions(column_types={"value": self.arrow}, null_values=[""]),
            )
        except pa.ArrowInvalid:
            return False
        return self.numbers(read.column("value").combine_chunks()) is not None


def ids(form: Form) -> Kind:
    pattern = re.compile(form.pattern)
    return Kind(form.described, TEXT, lambda text: bool(pattern.fullmatch(text)), form=form)


def _days(values: pa.Array) -> npt.NDArray[np.int32] | None:
    return _whole(values.cast(pa.int32()), _FIRST_DAY, _LAST_DAY)


def _is_day(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _seconds(values: pa.Array) -> npt.NDArray[np.int32] | None:
    return _whole(values, 0, 2**31 - 1)


def _prices(values: pa.Array) -> npt.NDArray[np.float32] | None:
    """An empty price is unknown; any other must be a number that is not negative."""
    numbers = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
    right = (numbers >= 0) & (numbers <= _HIGHEST)
    return numbers.astype(np.float32) if int(right.sum()) + values.null_count == len(values) else None


def _is_price(text: str) -> bool:
    return bool(_PRICE.fullmatch(text))


def _quantities(values: pa.Array) -> npt.NDArray[np.int32] | None:
    return _whole(values, 1, LARGEST_QUANTITY)


def _channels(values: pa.Array) -> npt.NDArray[np.int8] | None:
    """An empty one is 0."""
    numbers = _whole(pc.fill_null(values, 0), 0, 127)
    return None if numbers is None else numbers.astype(np.int8)


def _whole(values: pa.Array, low: int, high: int) -> npt.NDArray[np.int32] | None:
    if values.null_count:
        return None
    numbers = values.to_numpy()
    in_range = not len(numbers) or (low <= numbers.min() and numbers.max() <= high)
    return np.asarray(numbers, np.int32) if in_range else None


def _is_whole(low: int, high: int, empty: bool = False) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        if not text:
            return empty
        return text.isascii() and text.isdigit() and len(text) <= 18 and low <= int(text) <= high

    return fits


DAY = Kind("a date like 2020-09-22", pa.date32(), _is_day, _days)
SECOND = Kind("a number of seconds since 1970", pa.int64(), _is_whole(0, 2**31 - 1), _seconds)
COUNT = Kind("a whole number from 0 to 2,147,483,647", pa.int64(), _is_whole(0, 2**31 - 1), _seconds)
PRICE = Kind("a price", pa.float64(), _is_price, _prices)
QUANTITY = Kind(f"a quantity from 1 to {LARGEST_QUANTITY}", pa.int64(), _is_whole(1, LARGEST_QUANTITY), _quantities)
CHANNEL = Kind("a sales channel", pa.int64(), _is_whole(0, 127, empty=True), _channels)
CATEGORY = Kind("a text", TEXT, lambda text: True)
