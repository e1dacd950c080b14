import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli import files
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.schema import PURCHASES, SPLITS
from spfedrec_cli.data.sources import SOURCES
from spfedrec_cli.errors import InputError

WriteHm = Callable[..., Path]
Make = Callable[..., Dataset]


@pytest.fixture
def make(tmp_path: Path, hm_folder: Path, movielens_folder: Path) -> Make:
    """Prepares a small Dataset of any source."""
    sales = tmp_path / "sales.csv"
    days = ("2020-01-01", "2020-03-10", "2020-03-20")
    sales.write_text(
        "\n".join(["day,who,sku", *(f"{day},{who},{sku}" for day in days for who in "xyz" for sku in "ab")])
    )
    inputs = {"hm": hm_folder, "movielens": movielens_folder, "table": sales}

    def run(source: str, name: str = "out", seed: int = 0) -> Dataset:
        customers, items = (200, 120) if SOURCES[source].makes else (None, None)
        columns = {"customer": "who", "item": "sku", "time": "day"} if source == "table" else None
        place = tmp_path / name
        prepare(source, inputs.get(source), place, seed=seed, customers=customers, items=items, columns=columns)
        return Dataset.open(tmp_path / name)

    return run


@pytest.mark.parametrize("source", list(SOURCES))
class TestEverySource:
    def test_rows_are_sorted_dense_and_counted(self, make: Make, source: str) -> None:
        dataset = make(source)
        counts, rows = dataset.manifest.counts, 0
        for split in SPLITS:
            part = dataset.purchases(split)
            assert pq.read_schema(dataset.path / f"{split}.parquet").equals(PURCHASES)
            assert part.total == getattr(counts, split)
            assert (np.lexsort((part.time, part.client)) == np.arange(len(part))).all()
            assert (part.client < dataset.n_clients).all()
            assert (part.item < dataset.n_items).all()
            rows += len(part)
        assert rows == counts.rows
        assert counts.train + counts.validation + counts.test == counts.purchases

    def test_codes_fit_their_fields(self, make: Make, source: str) -> None:
        dataset = make(source)
        for codes, fields, n in (
            (dataset.item_codes, dataset.item_fields, dataset.n_items),
            (dataset.client_codes, dataset.client_fields, dataset.n_clients),
        ):
            assert codes.shape == (n, len(fields))
            assert codes.dtype == np.int32
            assert all(
                0 <= column.min() <= column.max() < f.cardinality for column, f in zip(codes.T, fields, strict=True)
            )

    def test_ids_lead_back_to_their_numbers(self, make: Make, source: str) -> None:
        dataset = make(source)
        assert dataset.item_index(dataset.item_ids).tolist() == list(range(dataset.n_items))
        assert dataset.client_index(dataset.client_ids[-1]) == dataset.n_clients - 1
        assert dataset.client_id(0) == dataset.client_ids[0]

    def test_negatives_cover_those_held_out_and_were_never_bought(self, make: Make, source: str) -> None:
        dataset = make(source)
        clients, items = dataset.negatives
        held_out = (dataset.truth("validation").lengths > 0) | (dataset.truth("test").lengths > 0)
        assert clients.tolist() == np.flatnonzero(held_out).tolist()
        assert items.shape == (len(clients), 99)
        bought = dataset.history(*SPLITS)
        for client, row in zip(clients, items, strict=True):
            own = bought.row(client).tolist()
            real = row[row >= 0].tolist()
            assert len(set(real)) == len(real) == min(99, dataset.n_items - len(own))
            assert not set(real) & set(own)

    def test_files_are_signed(self, make: Make, source: str) -> None:
        dataset = make(source)
        written = {path.name for path in dataset.path.iterdir()} - {"dataset.json"}
        assert dataset.manifest.files.keys() == dataset.manifest.sizes.keys() == written
        for name, digest in dataset.manifest.files.items():
            assert hashlib.sha256((dataset.path / name).read_bytes()).hexdigest() == digest

    def test_the_same_seed_gives_the_same_bytes(self, make: Make, source: str) -> None:
        one, two = make(source, "one", 3), make(source, "two", 3)
        assert one.manifest.files == two.manifest.files
        assert one.fingerprint == two.fingerprint

    def test_the_manifest_repeats_the_table_of_sources(self, make: Make, source: str) -> None:
        manifest, row = make(source).manifest, SOURCES[source]
        assert (manifest.source, manifest.split.kind) == (source, row.split)
        assert manifest.name == "out"


def test_another_seed_draws_other_negatives(synthetic: Dataset, tmp_path: Path) -> None:
    prepare("sample", None, tmp_path / "a", seed=0)
    prepare("sample", None, tmp_path / "b", seed=1)
    a, b = Dataset.open(tmp_path / "a"), Dataset.open(tmp_path / "b")
    differing = [name for name in a.manifest.files if a.manifest.files[name] != b.manifest.files[name]]
    assert differing == ["negatives.parquet"]


LETTERS, DAYS = "abc", ("2020-06-01", "2020-09-01", "2020-09-10", "2020-09-16", "2020-09-22")
ROW = st.tuples(st.sampled_from(DAYS), st.sampled_from(LETTERS), st.sampled_from(["10", "0000000020", "77"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(rows=st.lists(ROW, max_size=25))
def test_what_was_written_comes_back(write_hm: WriteHm, rows: list[tuple[str, str, str]]) -> None:
    rows = [(DAYS[0], "a", "10"), *rows, (DAYS[-1], "b", "77")]
    folder = write_hm([(*row, "0.1") for row in rows])
    prepare("hm", folder, folder.parent / "out")
    dataset = Dataset.open(folder.parent / "out")

    expected: dict[str, dict[tuple[str, str, str], int]] = {split: defaultdict(int) for split in SPLITS}
    for day, customer, article in rows:
        split = "train" if day < "2020-09-09" else "validation" if day < "2020-09-16" else "test"
        expected[split][customer * 64, article.zfill(10), day] += 1
    for split in SPLITS:
        part = dataset.purchases(split)
        days = (np.datetime64("1970-01-01") + part.time).astype(str)
        found = [
            ((dataset.client_ids[client], dataset.item_ids[item], str(day)), count)
            for client, item, day, count in zip(part.client, part.item, days, part.purchases, strict=True)
        ]
        assert found == sorted(expected[split].items(), key=lambda entry: (entry[0][0], entry[0][2]))
        _check_truth(dataset, split, expected[split])


def _check_truth(dataset: Dataset, split: str, rows: dict[tuple[str, str, str], int]) -> None:
    truth = dataset.truth(split)
    for number, customer in enumerate(dataset.client_ids):
        bought = {dataset.item_ids[item] for item in truth.row(number)}
        assert bought == {article for one, article, _ in rows if one == customer}


def test_customers_keeps_so_many_buyers_whole(write_hm: WriteHm, tmp_path: Path) -> None:
    folder = write_hm([(day, letter, "10", "1") for letter in "abcdef" for day in DAYS], customers=None)
    prepare("hm", folder, tmp_path / "whole")
    three = prepare("hm", folder, tmp_path / "three", customers=3)
    half = prepare("hm", folder, tmp_path / "half", customers=0.5)
    assert (three.clients, three.purchases) == (half.clients, half.purchases) == (3, 15)
    assert [(step.step, step.purchases, step.clients, step.items) for step in three.steps] == [
        ("as read", 30, 6, 1),
        ("--customers 3", 15, 3, 1),
    ]
    kept = Dataset.open(tmp_path / "three").client_ids
    assert set(kept) < set(Dataset.open(tmp_path / "whole").client_ids)
    chosen = set()
    for seed in range(8):
        prepare("hm", folder, tmp_path / "again", customers=3, seed=seed)
        chosen.add(tuple(Dataset.open(tmp_path / "again").client_ids))
    assert len(chosen) > 1


def test_customers_who_were_not_kept_leave_the_customer_table(hm_folder: Path, tmp_path: Path) -> None:
    summary = prepare("hm", hm_folder, tmp_path / "out", customers=2)
    assert summary.clients == 2  # b is in customers.csv and never bought


@pytest.mark.parametrize("customers", [0, -1, 3, 0.0, 1.5, -0.5])
def test_customers_out_of_range(hm_folder: Path, tmp_path: Path, customers: int | float) -> None:
    with pytest.raises(InputError, match=r"--customers .* does not fit the source's 2 buyers"):
        prepare("hm", hm_folder, tmp_path / "out", customers=customers)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"source": "movielenz"}, "no source 'movielenz'; did you mean movielens"),
        ({"source": "zzz"}, f"choose one of {', '.join(SOURCES)}"),
        ({"source": "sample", "split": "temporary"}, "no split 'temporary'; did you mean temporal"),
        ({"source": "sample", "split": "temporal"}, "needs dates"),
        ({"source": "hm"}, "The source hm needs an input; give its folder or file with --input"),
        ({"source": "sample", "input": Path("x")}, "takes no input"),
        ({"source": "sample", "items": 5}, "has its own items"),
        ({"source": "synthetic", "customers": 0.5}, "fraction of nothing"),
        ({"source": "synthetic", "customers": 0}, "too few"),
        ({"source": "synthetic", "items": 5}, "too few"),
        ({"source": "synthetic", "items": 0}, "too few"),
    ],
)
def test_wrong_requests_are_one_sentence(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(**{"input": None, "output": tmp_path / "out", **arguments})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_is_replaced_and_a_failure_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    prepare("sample", None, output)
    before = Dataset.open(output).fingerprint

    def interrupt(path: Path) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files, "hash_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            prepare("synthetic", None, output, customers=100, items=50)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert Dataset.open(output).fingerprint == before
    prepare("synthetic", None, output, customers=100, items=50)
    assert Dataset.open(output).manifest.source == "synthetic"


def test_progress_names_each_stage_once(tmp_path: Path) -> None:
    stages: list[str] = []
    prepare("sample", None, tmp_path / "out", tell=lambda at: stages.append(at.stage))
    expected = [
        "reading",
        "reading transactions.csv",
        "choosing",
        "numbering clients and items",
        "sorting",
        "splitting",
        "writing",
        "checking",
    ]
    assert stages == expected


def test_the_manifest_is_plain_json(tmp_path: Path) -> None:
    prepare("sample", None, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert content["schema_version"] == 3
    assert content["counts"]["purchases"] == 138
    assert content["repeats"] is True
    assert content["split"]["kind"] == "leave-one-out"


def test_purchases_are_source_rows_and_pieces_sum_quantities(tmp_path: Path) -> None:
    """Quantities up to 2^31 - 1, of which int32 and floats hold no sum."""
    most = 2**31 - 1
    lines = ["who,sku,day,n", *(f"x,a,2020-01-01,{n}" for n in (most, most, 3)), f"x,b,2020-02-01,{most}"]
    (tmp_path / "sales.csv").write_text("\n".join(lines) + "\n")
    columns = {"customer": "who", "item": "sku", "time": "day", "quantity": "n"}
    made = prepare("table", tmp_path / "sales.csv", tmp_path / "out", columns=columns)
    assert (made.purchases, made.pieces) == (4, 3 * most + 3)
    assert made.splits == {"train": 3, "validation": 0, "test": 1}
    dataset = Dataset.open(tmp_path / "out")
    counts = dataset.manifest.counts
    assert (counts.purchases, counts.pieces, counts.rows) == (4, 3 * most + 3, 2)
    train = dataset.purchases("train")
    assert (train.purchases.tolist(), train.pieces.tolist()) == ([3], [2 * most + 3])


def test_how_many_of_the_test_split_are_cold_is_told(tmp_path: Path) -> None:
    frame = pd.DataFrame({"who": list("abcb"), "sku": "x", "day": ["2020-01-01", *["2020-02-01"] * 2, "2020-01-02"]})
    made = prepare(frame, output=tmp_path / "out", columns={"customer": "who", "item": "sku", "time": "day"})
    assert "1 client of 2 in the test split without history: kept, marked cold" in made.notes


def test_notes_are_told_and_recorded(tmp_path: Path) -> None:
    made = prepare("synthetic", None, tmp_path / "out", customers=100, items=50)
    assert made.notes[0].startswith("purchases from 2018-09-20 to 2020-09-2")
    assert tuple(made.notes) == Dataset.open(tmp_path / "out").manifest.notes
