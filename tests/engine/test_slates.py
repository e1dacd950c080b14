"""Trainings in which nobody requests anything, and item popularity from a file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.popularity import read_popularity
from spfedrec_cli.engine import Progress
from spfedrec_cli.errors import InputError

Make = Callable[..., Config]
SLATE = ["request.mode=slate", "request.slate_size=30", "request.refresh=4"]


def timeless(file: Path) -> list[dict[str, object]]:
    return [
        {key: value for key, value in record.items() if key != "memory" and "seconds" not in key}
        for record in run.records(file)
    ]


class Killed(BaseException):
    pass


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on_to_the_same_bits_and_bytes(
    shop: Dataset, config: Make, tmp_path: Path, workers: int
) -> None:
    """From a checkpoint between two publications; every line of metrics and ledger included."""

    def kill(progress: Progress) -> None:
        if progress.round == 4:
            raise Killed

    made = config(*SLATE, "train.eval_every=6")
    whole = engine.train(shop, made, tmp_path / "whole")
    with pytest.raises(Killed):
        engine.train(shop, made, tmp_path / "run", kill)
    assert run.latest(tmp_path / "run") == 3
    resumed = engine.resume(tmp_path / "run", workers=workers)
    unlike = {name: getattr(whole, name) for name in ("run", "clients_per_second", "bytes_in_chains")}
    assert replace(resumed, **unlike) == whole
    for name in ("metrics.jsonl", "ledger.jsonl"):
        assert timeless(whole.run / name) == timeless(tmp_path / "run" / name)
    kinds = [record["kind"] for record in timeless(whole.run / "ledger.jsonl") if record["round"] == 5]
    assert kinds == ["catalogue", "broadcast", "slate", "update"]
    idle = [record["without_target"] for record in run.records(whole.run / "metrics.jsonl")]
    assert all(isinstance(number, int) and 0 <= number < 40 for number in idle)
    assert any(idle)


def test_evaluation_and_recommendations_need_no_slate(shop: Dataset, config: Make, tmp_path: Path) -> None:
    made = engine.train(shop, config(*SLATE, "train.rounds=2"), tmp_path / "run")
    found = engine.evaluate(made.run, split="validation", ks=[10])
    assert found.metrics["ndcg@10"] == pytest.approx(made.validation["ndcg@10"])


def counted(shop: Dataset) -> dict[str, int]:
    sold = np.bincount(shop.column("train", "item"), minlength=shop.n_items)
    return dict(zip(shop.item_ids, sold.tolist(), strict=True))


def write(file: Path, rows: dict[str, int], kind: str) -> Path:
    if kind == "parquet":
        pq.write_table(pa.table({"count": list(rows.values()), "item": list(rows), "more": [0] * len(rows)}), file)
    else:
        mark = {"csv": ",", "semicolons": ";"}[kind]
        file.write_text("\n".join([f"item{mark}count", *(f"{item}{mark}{count}" for item, count in rows.items())]))
    return file


@pytest.mark.parametrize("kind", ["csv", "semicolons", "parquet"])
def test_popularity_from_a_file(shop: Dataset, tmp_path: Path, kind: str) -> None:
    """By the ids of the source; what is not in the file was never bought, what only it knows is counted."""
    known = dict(list(counted(shop).items())[:50])
    given = read_popularity(write(tmp_path / "popularity", known | {"0999999999": 5}, kind), shop)
    assert given.counts.tolist() == [*known.values(), *[0] * (shop.n_items - 50)]
    assert given.foreign == 1
    assert len(given.sha256) == 64


def test_lost_zeros_in_front_come_back(shop: Dataset, tmp_path: Path) -> None:
    first = shop.item_ids[0]
    assert first.startswith("0")
    assert read_popularity(write(tmp_path / "file", {first.lstrip("0"): 3}, "csv"), shop).counts[0] == 3


def test_a_training_on_given_popularity_counts_no_sum_and_tells_the_file(
    shop: Dataset, config: Make, tmp_path: Path
) -> None:
    """And does not read it again: a resume, an evaluation can do without."""
    file = write(tmp_path / "popularity.csv", counted(shop), "csv")
    settings = [*SLATE, f"request.popularity={json.dumps(str(file))}", "train.rounds=3"]
    made = engine.train(shop, config(*settings), tmp_path / "run")
    assert "popularity" not in {record["kind"] for record in run.records(made.run / "ledger.jsonl")}
    assert run.about(made.run)["popularity_sha256"] == read_popularity(file, shop).sha256
    file.unlink()
    assert engine.evaluate(made.run, split="validation", ks=[10]).clients > 0
    assert engine.resume(made.run, rounds=4).rounds == 4


def test_a_file_that_changed_before_anything_was_saved_is_noticed(shop: Dataset, config: Make, tmp_path: Path) -> None:
    file = write(tmp_path / "popularity.csv", counted(shop), "csv")

    def kill(progress: Progress) -> None:
        raise Killed

    settings = [*SLATE, f"request.popularity={json.dumps(str(file))}", "train.eval_every=6"]
    with pytest.raises(Killed):
        engine.train(shop, config(*settings), tmp_path / "run", kill)
    write(file, {shop.item_ids[0]: 1}, "csv")
    with pytest.raises(InputError, match="is not the one that the run was started with"):
        engine.resume(tmp_path / "run")


@pytest.mark.parametrize(
    "text, told",
    [
        ("item,count\n{0},1\n{0},2\n", r"The item \d{10} comes twice"),
        ("item,count\n{0},-1\n", r"a whole number from 0.*line 2.*mend or remove that line\.$"),
        ("item,count\n{0},many\n", "a whole number from 0"),
        ("item,count\nshirt,1\n", "10 digits"),
        ("item,sold\n{0},1\n", "count"),
        ("item,count\n{0},0\n", "counts no purchase of any item of the Dataset"),
        ("item,count\n0999999999,3\n", "counts no purchase of any item of the Dataset"),
        ("", "The file is empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(shop: Dataset, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "popularity.csv"
    file.write_text(text.format(shop.item_ids[0]))
    with pytest.raises(InputError, match=told):
        read_popularity(file, shop)


def test_a_missing_file_is_told_before_there_is_a_run(shop: Dataset, config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist.*request\.popularity"):
        engine.train(shop, config(*SLATE, "request.popularity=smu"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
