from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli.data.check import check_leaks
from spfedrec_cli.data.schema import PURCHASES, SPLITS, SplitEntry
from spfedrec_cli.errors import SpfedrecError

TEMPORAL = SplitEntry(
    kind="temporal",
    validation_from="1970-01-11",
    test_from="1970-01-18",
    validation_from_time=10,
    test_from_time=17,
)
OWN = SplitEntry(kind="leave-one-out")


def write(folder: Path, **times: list[tuple[int, int]]) -> None:
    """(client, time) of the rows of each split."""
    for split in SPLITS:
        client, time = np.array(times.get(split, []), np.int32).reshape(-1, 2).T
        nothing = np.zeros(len(client))
        columns = [client, client, time, client, client.astype(np.int64), nothing.astype(np.float32)]
        table = pa.Table.from_arrays([pa.array(column) for column in columns], schema=PURCHASES)
        pq.write_table(table, folder / f"{split}.parquet")


def test_what_lies_in_its_own_span_passes(tmp_path: Path) -> None:
    write(tmp_path, train=[(0, 9), (1, 0)], validation=[(0, 10), (1, 16)], test=[(0, 17), (1, 23)])
    checks = check_leaks(tmp_path, TEMPORAL, 2)
    assert checks[0] == "no purchase of train on or after 1970-01-11"
    assert len(checks) == 3


@pytest.mark.parametrize(
    "split, time", [("train", 10), ("train", 17), ("validation", 9), ("validation", 17), ("test", 16), ("test", 3)]
)
def test_a_leak_in_time_is_found(tmp_path: Path, split: str, time: int) -> None:
    rows = {"train": [(0, 9)], "validation": [(0, 10)], "test": [(0, 17)]}
    rows[split].append((0, time))
    write(tmp_path, **rows)
    with pytest.raises(SpfedrecError, match=f"split {split} holds purchases of another"):
        check_leaks(tmp_path, TEMPORAL, 1)


def test_clients_are_compared_with_themselves(tmp_path: Path) -> None:
    write(tmp_path, train=[(0, 5), (1, 90), (2, 7)], validation=[(0, 5), (1, 95)], test=[(0, 6), (1, 95)])
    assert len(check_leaks(tmp_path, OWN, 3)) == 1
    write(tmp_path, train=[(0, 5), (0, 7)], validation=[(0, 6)], test=[(0, 9)])
    with pytest.raises(SpfedrecError, match="split validation"):
        check_leaks(tmp_path, OWN, 1)
    write(tmp_path, train=[(0, 5)], validation=[(0, 8)], test=[(0, 7)])
    with pytest.raises(SpfedrecError, match="split test"):
        check_leaks(tmp_path, OWN, 1)
