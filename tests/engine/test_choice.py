"""Lists of some articles only, and why an article stands in one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli import engine
from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import TrainResult
from spfedrec_cli.engine.choice import EVERYTHING, kept_items, parsed
from spfedrec_cli.errors import InputError


def test_only_kept_items_are_ranked_in_the_order_of_the_whole_list(trained: TrainResult, shop: Dataset) -> None:
    customer = shop.client_ids[5]
    (whole,) = engine.recommend(trained.run, [customer], k=shop.n_items)
    where = {"colour": ["Black", "White"], "product_group": ["Group 00", "Group 01"]}
    (found,) = engine.recommend(trained.run, [customer], k=shop.n_items, where=where)
    kept = {shop.item_id(int(item)) for item in kept_items(shop, where)}  # type: ignore[union-attr]
    assert 0 < len(kept) < shop.n_items
    assert [item.article_id for item in found.items] == [
        item.article_id for item in whole.items if item.article_id in kept
    ]
    scores = {item.article_id: item.score for item in whole.items}
    for item in found.items:
        assert item.score == pytest.approx(scores[item.article_id], abs=1e-6)
    assert found.kept == len(kept)
    assert {item.labels["colour"] for item in found.items} <= {"Black", "White"}


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_what_was_bought_is_left_out_of_what_is_kept(trained: TrainResult, shop: Dataset, exclude_seen: bool) -> None:
    client = int(np.argmax(shop.history(*EVERYTHING).lengths))
    own = {shop.item_id(int(item)) for item in shop.history(*EVERYTHING).row(client)}
    where = {"product_group": ["Group 00", "Group 01"]}
    kept = {shop.item_id(int(item)) for item in kept_items(shop, where)}  # type: ignore[union-attr]
    assert own & kept
    customer = [shop.client_ids[client]]
    (found,) = engine.recommend(trained.run, customer, k=200, where=where, exclude_seen=exclude_seen)
    assert {item.article_id for item in found.items} == (kept - own if exclude_seen else kept)


def test_files_have_the_same_filters(trained: TrainResult, shop: Dataset, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    where = {"colour": ["Black"]}
    engine.recommend_all(trained.run, tmp_path / "all.parquet", k=4, where=where, active_days=28)
    row = pq.read_table(tmp_path / "all.parquet").to_pylist()[5]
    (alone,) = engine.recommend(trained.run, [shop.client_ids[5]], k=4, where=where, active_days=28)
    assert row["article_id"] == [item.article_id for item in alone.items]


def test_active_items_were_sold_in_the_last_days(shop: Dataset) -> None:
    kept = kept_items(shop, active_days=7)
    assert kept is not None
    last = max(int(shop.column(split, schema.TIME).max()) for split in EVERYTHING)
    sold = {
        int(item)
        for split in EVERYTHING
        for item, day in zip(shop.column(split, schema.ITEM), shop.column(split, schema.TIME), strict=True)
        if day > last - 7
    }
    assert set(kept.tolist()) == sold
    assert len(kept) < shop.n_items


def test_nothing_said_keeps_everything(shop: Dataset) -> None:
    assert kept_items(shop) is None
    assert kept_items(shop, {}) is None


def test_a_value_that_exists_is_that_value_and_another_is_split(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed(["colour=Black,White", "type=Type 001", "colour=Grey"], shop) == {
        "colour": ["Black", "White", "Grey"],
        "type": ["Type 001"],
    }
    entry = shop.manifest.item_fields[0]
    fields = (replace(entry, name="genre", vocabulary=("A, B", *entry.vocabulary[1:])),)
    monkeypatch.setattr(shop, "manifest", replace(shop.manifest, item_fields=fields))
    monkeypatch.setattr(Dataset, "item_codes", np.ones((shop.n_items, 1), np.int32))
    assert parsed(["genre=A, B"], shop) == {"genre": ["A, B"]}


@pytest.mark.parametrize(
    "where, days, problem",
    [
        ({"color": ["Black"]}, None, "Items have no field 'color'; did you mean colour"),
        ({"colour": ["Blakc"]}, None, "No item has colour 'Blakc'; did you mean Black"),
        ({"colour": [""]}, None, "No item has colour ''"),
        ({"index": ["A"], "department": ["1001"], "colour": ["Black", "White"]}, 1, "No item is left to recommend"),
    ],
)
def test_what_no_item_has_and_what_leaves_nothing(
    shop: Dataset, where: dict[str, list[str]], days: int | None, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        kept_items(shop, where, days)


def test_without_days_there_are_no_last_ones(sample_dataset: Dataset) -> None:
    with pytest.raises(InputError, match="no days"):
        kept_items(sample_dataset, active_days=7)


def test_a_score_is_the_sum_of_its_parts_and_purchases_are_left_out_one_by_one(
    trained: TrainResult, shop: Dataset
) -> None:
    history = [shop.item_id(item) for item in (3, 40, 90)]
    (found,) = engine.recommend(trained.run, history=history, k=5, explain=True)
    item = found.items[0]
    assert item.why is not None
    assert item.why.prior + item.why.profile + item.why.history == pytest.approx(item.score, abs=1e-5)
    assert item.why.prior == 0
    id, pull = item.why.purchases[0]
    (without,) = engine.recommend(trained.run, history=[each for each in history if each != id], k=shop.n_items)
    left = next(each.score for each in without.items if each.article_id == item.article_id)
    assert pull == pytest.approx(item.score - left, abs=1e-5)
    assert pull > 0


def test_nobody_asked_why(trained: TrainResult, shop: Dataset) -> None:
    (found,) = engine.recommend(trained.run, [shop.client_ids[5]], k=1)
    assert found.items[0].why is None
