import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from spfedrec_cli.data.arrays import to_arrow, to_numpy


@pytest.mark.parametrize("type", ["int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("cut", [slice(0), slice(None), slice(1, 3), slice(None, None, 2)], ids=str)
def test_there_and_back(type: str, cut: slice) -> None:
    values: npt.NDArray[Any] = np.array([3, 1, 4, 1, 5], type)[cut]
    there = to_arrow(values)
    assert there.equals(pa.array(values))
    back = to_numpy(there)
    assert back.dtype == type
    assert back.tolist() == values.tolist()


def test_a_part_of_an_arrow_array() -> None:
    assert to_numpy(pa.array([3, 1, 4, 1, 5])[1:3]).tolist() == [1, 4]


def test_an_unknown_price_is_nan() -> None:
    read = to_numpy(pa.array([0.5, None], pa.float32()))
    assert read.dtype == np.float32
    assert np.array_equal(read, [0.5, np.nan], equal_nan=True)


def test_pandas_stays_out() -> None:
    script = (
        "import sys, numpy\n"
        "from spfedrec_cli.data.arrays import to_arrow, to_numpy\n"
        "to_numpy(to_arrow(numpy.arange(3)))\n"
        "assert 'pandas' not in sys.modules\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
