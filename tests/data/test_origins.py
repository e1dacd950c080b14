"""Earlier weeks as test weeks: what a Dataset that was prepared until then would hold, and nothing later."""

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.origins import last_days, prepare_until
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.subset import Subset
from spfedrec_cli.errors import InputError

Row = tuple[str, str, int, int, int]


def rows(dataset: Dataset, split: str) -> list[Row]:
    """By the source's ids, in the order of the file within a client: dense numbers may differ."""
    of = dataset.purchases(split)
    ids = ([dataset.client_ids[c] for c in of.client], [dataset.item_ids[i] for i in of.item])
    columns = (of.time.tolist(), of.purchases.tolist(), of.pieces.tolist())
    return sorted(zip(*ids, *columns, strict=True), key=lambda row: row[0])


@pytest.fixture(scope="module")
def earlier(synthetic_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    day = last_days(synthetic_dataset, 3)[0]
    return prepare_until(synthetic_dataset, day, tmp_path_factory.mktemp("origins") / "earlier")


def test_weeks_end_a_week_apart_and_the_last_is_the_own(synthetic_dataset: Dataset) -> None:
    days = last_days(synthetic_dataset, 3)
    assert days[-1].isoformat() == synthetic_dataset.manifest.split.end
    assert [later - day for day, later in pairwise(days)] == [timedelta(weeks=1)] * 2


def test_an_earlier_week_is_what_prepare_makes_until_then(
    synthetic_dataset: Dataset, earlier: Dataset, tmp_path: Path
) -> None:
    last = earlier.manifest.split.end
    made = prepare("synthetic", None, tmp_path / "cut", customers=300, items=200, subset=Subset(last=last))
    cut = Dataset.open(made.dataset)
    assert earlier.manifest.split == cut.manifest.split
    for split in SPLITS:
        assert rows(earlier, split) == rows(cut, split)
    assert earlier.manifest.counts.train == cut.manifest.counts.train > 0
    assert earlier.manifest.counts.cold_clients == cut.manifest.counts.cold_clients
    assert earlier.repeats == cut.repeats == synthetic_dataset.repeats
    some = np.arange(20)
    same = np.array([earlier.client_index(cut.client_ids[client]) for client in some])
    np.testing.assert_array_equal(earlier.oracle_scores(same), cut.oracle_scores(some))


def test_nothing_of_the_test_week_or_later_is_known(synthetic_dataset: Dataset, earlier: Dataset) -> None:
    """The three splits are, by their times, all purchases until the end and no other."""
    split = earlier.manifest.split
    assert split.validation_from_time is not None
    assert split.test_from_time is not None
    assert split.end_time is not None
    assert earlier.column("train", "time").max() < split.validation_from_time
    assert earlier.column("validation", "time").max() < split.test_from_time
    assert earlier.column("test", "time").max() <= split.end_time
    every = np.concatenate([synthetic_dataset.column(each, "time") for each in SPLITS])
    assert sum(len(earlier.column(each, "time")) for each in SPLITS) == (every <= split.end_time).sum() < len(every)


def test_clients_and_items_keep_their_numbers(synthetic_dataset: Dataset, earlier: Dataset) -> None:
    assert (earlier.client_ids, earlier.item_ids) == (synthetic_dataset.client_ids, synthetic_dataset.item_ids)
    np.testing.assert_array_equal(earlier.item_codes, synthetic_dataset.item_codes)
    assert earlier.fingerprint != synthetic_dataset.fingerprint


def test_a_week_may_end_on_a_day_without_purchases(tmp_path: Path) -> None:
    days = ["2020-01-01", "2020-01-10", "2020-01-17", "2020-01-25", "2020-02-01"]
    file = tmp_path / "table.csv"
    file.write_text("c,i,t\n" + "".join(f"{c},{i},{day}\n" for c in "ab" for i, day in enumerate(days)))
    prepare("table", file, tmp_path / "table", columns={"customer": "c", "item": "i", "time": "t"}, split="temporal")
    dataset = Dataset.open(tmp_path / "table")
    earlier = prepare_until(dataset, date(2020, 1, 18), tmp_path / "earlier")
    split = earlier.manifest.split
    assert (split.validation_from, split.test_from, split.end) == ("2020-01-05", "2020-01-12", "2020-01-18")
    assert [len(earlier.column(each, "time")) for each in SPLITS] == [2, 2, 2]


def test_weeks_that_there_are_not(synthetic_dataset: Dataset, sample_dataset: Dataset) -> None:
    with pytest.raises(InputError, match="divided by leave-one-out, so that it has no test weeks"):
        last_days(sample_dataset, 2)
    with pytest.raises(InputError, match=r"choose 1 to \d+") as found:
        last_days(synthetic_dataset, 500)
    most = int(str(found.value).rstrip(".").rpartition(" ")[2])
    first = last_days(synthetic_dataset, most)[0]
    start = np.datetime64("1970-01-01") + int(synthetic_dataset.column("train", "time").min())
    assert np.timedelta64(0, "D") < np.datetime64(first) - np.timedelta64(13, "D") - start <= np.timedelta64(7, "D")
    for weeks in (0, most + 1):
        with pytest.raises(InputError):
            last_days(synthetic_dataset, weeks)
