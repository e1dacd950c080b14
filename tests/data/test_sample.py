import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.sources import sample as source
from spfedrec_cli.errors import InputError

FILE = Path(__file__).parents[2] / "datasets" / "hm-sample" / "transactions.csv"


def test_the_notebooks_facts_come_out(sample: Dataset) -> None:
    counts = sample.manifest.counts
    assert (counts.purchases, counts.clients, counts.items) == (138, 5, 134)
    with FILE.open() as file:
        appearance = list(dict.fromkeys(row["customer_id"] for row in csv.DictReader(file)))
    assert [one[:8] for one in appearance[:2]] == ["000058a1", "00007d2d"]
    whole = sample.history("train", "validation", "test")
    assert [int(whole.lengths[sample.client_index(one)]) for one in appearance[:2]] == [14, 110]


def test_order_is_time_and_nothing_else_is_known() -> None:
    raw = source.read(Request((), 0))
    assert raw.time.tolist() == list(range(138))
    assert np.isnan(raw.price).all()
    with FILE.open() as file:
        rows = [(row["customer_id"], row["article_id"]) for row in csv.DictReader(file)]
    assert list(zip(*(one.dictionary_decode().to_pylist() for one in (raw.client, raw.item)), strict=True)) == rows


def test_the_split_is_leave_one_out_and_repeats_stay(sample: Dataset) -> None:
    assert sample.manifest.split.kind == "leave-one-out"
    assert sample.repeats
    assert sample.manifest.time_unit == "row"
    assert sample.item_fields == sample.client_fields == ()
    assert sample.item_codes.shape == (134, 0)
    # One customer has two articles and trains only: 4 + 4 are held out.
    assert (sample.truth("test").lengths > 0).sum() == 4
    assert sample.manifest.split.clients_train_only == 1


def test_the_packaged_file_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hm_sample.csv").write_text(f"customer_id,article_id\n{'a' * 64},0000000001\n")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    assert source.read(Request((), 0)).item.dictionary_decode().to_pylist() == ["0000000001"]


def test_an_installation_without_the_sample_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    monkeypatch.setattr(source, "_CHECKOUT", tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="sample is not installed"):
        source.read(Request((), 0))
