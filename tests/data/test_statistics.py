from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli.data import grouping, statistics
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.statistics import measure


@pytest.mark.parametrize("size", [5, 100, grouping.CHUNK])
def test_it_counts_what_a_plain_loop_counts(synthetic: Dataset, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(statistics, "chunks", lambda offsets: grouping.chunks(offsets, size))
    clients, items, days = Counter[int](), Counter[int](), Counter[int]()
    baskets, pairs, several, rows = Counter[tuple[int, int]](), set(), 0, 0
    for split in SPLITS:
        part = synthetic.purchases(split)
        for client, item, day, count in zip(part.client, part.item, part.time, part.purchases.tolist(), strict=True):
            clients[client] += count
            items[item] += count
            days[int(day)] += count
            baskets[client, day] += count
            pairs.add((client, item))
            several += count > 1
            rows += 1
    counted = measure(synthetic)
    assert counted.by_client.tolist() == [clients[client] for client in range(synthetic.n_clients)]
    assert counted.by_item.tolist() == [items[item] for item in range(synthetic.n_items)]
    assert counted.by_day.tolist() == [days[day] for day in range(min(days), max(days) + 1)]
    assert counted.first_day == min(days)
    assert sorted(counted.baskets) == sorted(baskets.values())
    assert (counted.pairs, counted.several, counted.rows) == (len(pairs), several, rows)
    assert counted.pair_days == rows
    assert counted.purchases == synthetic.manifest.counts.purchases


def test_weeks_are_counted_back_from_the_last_day(hm_folder: Path, tmp_path: Path) -> None:
    """53 days, 1 August to 22 September: seven weeks, and four days before them."""
    prepare("hm", hm_folder, tmp_path / "out")
    starts, purchases = measure(Dataset.open(tmp_path / "out")).by_week()
    days = ["08-01", "08-05", "08-12", "08-19", "08-26", "09-02", "09-09", "09-16"]
    assert starts.tolist() == [int(np.datetime64(f"2020-{day}").astype(int)) for day in days]
    assert purchases.tolist() == [3, 0, 0, 0, 0, 0, 1, 2]


def test_seconds_are_gathered_by_day(movielens_folder: Path, tmp_path: Path) -> None:
    """All ratings are of the first minutes of 1970; either client has one basket of three."""
    prepare("movielens", movielens_folder, tmp_path / "out")
    counted = measure(Dataset.open(tmp_path / "out"))
    assert (counted.first_day, counted.by_day.tolist(), counted.baskets.tolist()) == (0, [6], [3, 3])
    assert (counted.pairs, counted.pair_days, counted.rows) == (6, 6, 6)


def test_without_dates_there_are_no_days(sample: Dataset) -> None:
    counted = measure(sample)
    assert not counted.dated
    assert (counted.by_client.sum(), counted.pairs, counted.rows) == (138, 134, 138)
