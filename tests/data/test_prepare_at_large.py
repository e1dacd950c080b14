"""prepare as a whole against a plain reference, and what it leaves when it is disturbed."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.schema import SPLITS
from spfedrec_cli.data.subset import Subset
from spfedrec_cli.errors import InputError

WriteHm = Callable[..., Path]
Row = tuple[str, str, str, str]

DAYS = ("2020-06-01", "2020-09-08", "2020-09-09", "2020-09-15", "2020-09-16", "2020-09-22")
ROW = st.tuples(
    st.sampled_from(DAYS),
    st.sampled_from("abcdef"),
    st.sampled_from(["10", "0000000020", "77", "0000000077", "30.0"]),
    st.sampled_from(["0.5", "0.25", "", "1"]),
)
CERTAIN: list[Row] = [(DAYS[0], "a", "10", "0.5"), (DAYS[-1], "b", "77", "")]
ROWS = st.lists(ROW, max_size=40).map(lambda rows: CERTAIN + rows)
IN_TMP = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def reference(rows: list[Row]) -> dict[str, list[tuple[Any, ...]]]:
    """What prepare should make of them, by pandas."""
    frame = pd.DataFrame(rows, columns=["day", "customer", "article", "price"])
    frame["article"] = frame.article.str.replace(".0", "").str.zfill(10)
    frame["price"] = pd.to_numeric(frame.price).astype(np.float32)
    groups = frame.groupby(["customer", "day", "article"], sort=False)
    merged = groups.agg(purchases=("price", "size"), price=("price", "mean")).reset_index()
    merged = merged.sort_values(["customer", "day"], kind="stable")
    end = pd.Timestamp(frame.day.max())
    part = (pd.to_datetime(merged.day) > end - pd.Timedelta(days=14)).astype(int)
    part += pd.to_datetime(merged.day) > end - pd.Timedelta(days=7)
    columns = ["customer", "article", "day", "purchases", "price"]
    return {
        split: [tuple(row) for row in merged.loc[part == number, columns].itertuples(index=False)]
        for number, split in enumerate(SPLITS)
    }


def read_back(dataset: Dataset) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each split with their ids."""
    found = {}
    for split in SPLITS:
        rows = dataset.purchases(split)
        customers = [dataset.client_ids[client][0] for client in rows.client]
        articles = [dataset.item_ids[item] for item in rows.item]
        days = (np.datetime64("1970-01-01") + rows.time).astype(str).tolist()
        found[split] = list(zip(customers, articles, days, rows.purchases.tolist(), rows.price, strict=True))
    return found


def same(one: dict[str, list[tuple[Any, ...]]], two: dict[str, list[tuple[Any, ...]]]) -> bool:
    for split in SPLITS:
        if [row[:4] for row in one[split]] != [row[:4] for row in two[split]]:
            return False
        prices = [np.array([row[4] for row in side[split]], np.float64) for side in (one, two)]
        if not np.allclose(*prices, rtol=1e-6, equal_nan=True):
            return False
    return True


@IN_TMP
@given(rows=ROWS)
def test_it_agrees_with_pandas(write_hm: WriteHm, rows: list[Row]) -> None:
    folder = write_hm(rows)
    prepare("hm", folder, folder.parent / "out")
    assert same(read_back(Dataset.open(folder.parent / "out")), reference(rows))


SUBSETS = st.builds(
    Subset,
    customers=st.sampled_from([None, 1, 2, 0.5]),
    last_weeks=st.sampled_from([None, 1, 20]),
    min_purchases=st.sampled_from([None, 2]),
    min_sales=st.sampled_from([None, 2]),
)


@IN_TMP
@given(rows=ROWS, subset=SUBSETS, random=st.randoms())
def test_the_same_subset_whatever_the_order_of_the_rows(
    write_hm: WriteHm, rows: list[Row], subset: Subset, random: Any
) -> None:
    """But for the order within a day, which is that of the file."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    kept = []
    for name, table in (("in-order", rows), ("shuffled", shuffled)):
        folder = write_hm(table, name=name)
        try:
            prepare("hm", folder, folder.parent / f"out-{name}", subset=subset, customers=subset.customers)
        except InputError as error:
            kept.append(str(error).replace(name, ""))
            continue
        dataset = Dataset.open(folder.parent / f"out-{name}")
        splits = {split: sorted(row[:4] for row in part) for split, part in read_back(dataset).items()}
        kept.append((splits, dataset.client_ids, dataset.manifest.steps))
    assert kept[0] == kept[1]


def test_the_steps_of_a_subset_are_recorded(write_hm: WriteHm, tmp_path: Path) -> None:
    rows = [(day, letter, article, "1") for day in DAYS for letter in "abc" for article in ("10", "20", "40")]
    folder = write_hm([*rows, ("2020-09-22", "d", "30", "1")])
    subset = Subset(last_weeks=2, min_purchases=2, channel=2)
    summary = prepare("hm", folder, tmp_path / "out", split="leave-one-out", subset=subset, customers=1.0)
    steps = [astuple(step) for step in summary.steps]
    assert steps == [
        ("as read", 55, 4, 4),
        ("--customers 1.0", 55, 4, 4),
        ("--last-weeks 2", 37, 4, 4),
        ("--channel 2", 37, 4, 4),
        ("--min-purchases 2", 36, 3, 3),
    ]
    content = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert [tuple(step.values()) for step in content["steps"]] == steps
    assert summary.clients == 3  # of a subset, those with a purchase that is left
    assert summary.items == 4  # the catalogue stays whole: three articles that are described, and one that was bought


@pytest.mark.parametrize("described", [{}, {"name": "title"}])
def test_the_catalogue_stays_whole_with_and_without_words_for_items(described: dict[str, str], tmp_path: Path) -> None:
    rows = [f"u,s{month},2020-0{month}-01,a title" for month in range(1, 8)]
    (tmp_path / "sales.csv").write_text("\n".join(["user,sku,at,title", *rows]))
    columns = {"customer": "user", "item": "sku", "time": "at", **described}
    prepare("table", tmp_path / "sales.csv", tmp_path / "out", columns=columns, subset=Subset(first="2020-03-01"))
    assert Dataset.open(tmp_path / "out").item_ids == [f"s{month}" for month in range(1, 8)]


def test_with_min_sales_the_catalogue_is_what_is_left(write_hm: WriteHm, tmp_path: Path) -> None:
    rows = [("2020-06-01", "a", "10", "1"), ("2020-09-22", "a", "10", "1"), ("2020-09-22", "a", "20", "1")]
    prepare("hm", write_hm(rows), tmp_path / "out", subset=Subset(min_sales=2))
    assert Dataset.open(tmp_path / "out").item_ids == ["0000000010"]


def test_a_subset_has_the_vocabularies_of_the_whole(hm_folder: Path, tmp_path: Path) -> None:
    prepare("hm", hm_folder, tmp_path / "whole")
    prepare("hm", hm_folder, tmp_path / "part", customers=2)
    whole, part = (Dataset.open(tmp_path / name) for name in ("whole", "part"))
    assert part.n_clients == 2 < whole.n_clients
    assert part.manifest.client_fields == whole.manifest.client_fields
    place = whole.client_ids.index(part.client_ids[0])
    assert part.client_codes[0].tolist() == whole.client_codes[place].tolist()


def test_bad_rows_are_skipped_counted_and_listed(write_hm: WriteHm, tmp_path: Path) -> None:
    rows: list[Any] = [("2020-06-01", "a", "10", "1"), "2020-09-01,too,few", ("2020-13-01", "a", "10", "1")]
    folder = write_hm([*rows, ("2020-09-22", "a", "20", "1")])
    with pytest.raises(InputError, match=r"3 columns where the first has 5 .*line 3.*--skip-bad-rows"):
        prepare("hm", folder, tmp_path / "out")
    summary = prepare("hm", folder, tmp_path / "out", skip_bad_rows=True)
    assert (summary.purchases, summary.skipped_rows) == (2, 2)
    dataset = Dataset.open(tmp_path / "out")
    assert dataset.manifest.skipped_rows == 2
    with (dataset.path / "skipped-rows.csv").open(newline="") as file:
        listed = [(row["file"], row["line"], row["problem"]) for row in csv.DictReader(file)]
    assert listed == [
        ("transactions_train.csv", "3", "The line has 3 columns where the first has 5"),
        ("transactions_train.csv", "4", "The t_dat '2020-13-01' is not a date like 2020-09-22"),
    ]
    prepare("hm", folder, tmp_path / "out", skip_bad_rows=True)  # the list is part of a Dataset that may be replaced


def test_nothing_but_bad_rows_is_refused(write_hm: WriteHm, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no purchases that can be read .*; leave --skip-bad-rows out to see"):
        prepare("hm", write_hm(["1,2,3,4,5"]), tmp_path / "out", skip_bad_rows=True)
    assert not (tmp_path / "out").exists()


def test_the_checks_for_leaks_are_recorded(hm_folder: Path, tmp_path: Path) -> None:
    summary = prepare("hm", hm_folder, tmp_path / "out")
    assert summary.checks[0] == "no purchase of train on or after 2020-09-09"
    assert Dataset.open(tmp_path / "out").manifest.checks == summary.checks


def test_leave_one_out_on_dates_comes_with_a_warning(write_hm: WriteHm, tmp_path: Path) -> None:
    rows = [("2020-01-0" + str(day), "a", str(day), "1") for day in range(1, 5)]
    late = [("2020-08-0" + str(day), "b", str(day), "1") for day in range(1, 5)]
    summary = prepare("hm", write_hm([*rows, *late]), tmp_path / "out", split="leave-one-out")
    assert any("leave-one-out trains on the future: half of the test purchases" in note for note in summary.notes)


PREPARE = """
import sys
from pathlib import Path
from spfedrec_cli.data.prepare import prepare
prepare("hm", Path(sys.argv[1]), Path(sys.argv[2]), tell=lambda at: print(at.stage, flush=True))
print("done", flush=True)
"""


def start(folder: Path, output: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", PREPARE, str(folder), str(output)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True], ids=["none", "old"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("stage", ["reading", "choosing", "sorting", "splitting", "writing", "checking"])
def test_a_kill_at_any_stage_leaves_the_old_dataset_or_none(
    hm_folder: Path, tmp_path: Path, stage: str, how: signal.Signals, before: bool
) -> None:
    output = tmp_path / "out"
    fingerprint = None
    if before:
        prepare("sample", None, output)
        fingerprint = Dataset.open(output).fingerprint
    process = start(hm_folder, output)
    assert process.stdout is not None
    while process.stdout.readline().strip() != stage:
        pass
    process.send_signal(how)
    said, _ = process.communicate(timeout=30)
    if process.returncode == 0 or "done" in said:  # it was quicker
        assert Dataset.open(output).manifest.source == "hm"
    elif before:
        assert Dataset.open(output).fingerprint == fingerprint
    else:
        assert not output.exists()
    prepare("hm", hm_folder, output)
    assert {path.name for path in tmp_path.iterdir()} == {"hm", "out"}


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_whole_dataset(hm_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    prepare("sample", None, output)
    began = time.perf_counter()
    start(hm_folder, output).communicate()
    whole = time.perf_counter() - began
    for share in np.linspace(0.5, 1.0, 12):
        process = start(hm_folder, output)
        time.sleep(whole * share)
        process.kill()
        process.communicate()
        dataset = Dataset.open(output)
        assert sum(len(dataset.purchases(split)) for split in SPLITS) == dataset.manifest.counts.rows


def test_the_disk_is_asked_before_anything_is_written(
    hm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: replace_free(usage, 100))
    with pytest.raises(Exception, match=r"disk is full: about \d+ MB are needed, and 0 MB are free") as caught:
        prepare("hm", hm_folder, tmp_path / "out")
    assert type(caught.value).__name__ == "SpfedrecError"
    assert not (tmp_path / "out").exists()


def replace_free(usage: Any, free: int) -> Any:
    return usage._replace(free=free)


def test_the_estimate_of_room_is_enough_and_not_absurd(tmp_path: Path) -> None:
    from spfedrec_cli.data import folder

    needed: list[int] = []
    original = folder.NewFolder.need
    folder.NewFolder.need = lambda self, size: needed.append(size)  # type: ignore[method-assign]
    try:
        prepare("synthetic", None, tmp_path / "out", customers=2000, items=300)
    finally:
        folder.NewFolder.need = original  # type: ignore[method-assign]
    written = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert written < needed[0] < 10 * written
