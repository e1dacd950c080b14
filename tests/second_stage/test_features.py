"""Each feature by arithmetic that is shown, and what all rows of the table have in common."""

import inspect

import numpy as np
import pytest

from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import InputError
from spfedrec_cli.second_stage import own, shown
from spfedrec_cli.second_stage.features import FEATURES, Pairs, columns, features_of
from spfedrec_cli.second_stage.past import Past
from spfedrec_cli.second_stage.public import public_at, weekly_buyers
from spfedrec_cli.second_stage.rows import Rows

CODES = np.array([[1], [1], [2], [2], [0]], np.int32)  # of items 0 to 4; 0 is unknown


def pairs_of(past: Past, keys: I64) -> Pairs:
    buyers = weekly_buyers(past.rows, past.n_items, 40, 5)
    return Pairs(past, keys, public_at(buyers, (5,), 2), np.zeros(len(past.rows), np.int64))


def test_keys_are_distinct_pairs(past: Past) -> None:
    assert past.keys.tolist() == [0 * 5 + 1, 0 * 5 + 3, 1 * 5 + 2]
    assert past.counts.tolist() == [3, 2, 1]
    assert past.youngest.tolist() == [10, 10, 15]
    assert past.oldest.tolist() == [30, 10, 15]


@pytest.mark.parametrize(
    "name, values",
    [
        ("bought", [1, 1, 1]),
        ("count", [np.log(4), np.log(3), np.log(2)]),
        ("recency", [2 ** (-10 / 30), 2 ** (-10 / 30), 2 ** (-15 / 30)]),
        ("last_basket", [1, 1, 1]),
        ("overdue", [(10 / 10) / 4, 0, 0]),  # item 1 every ten days, ten days ago
        ("due", [1, 0, 0]),
        ("basket_share", [3 / 3, 1 / 3, 1 / 1]),
        ("basket_rate", [3 / 5, 1 / 3, 1 / 3]),
        ("habit", [1 - 2 / 4, 1 - 2 / 4, 0]),  # two items in four purchases
    ],
)
def test_of_own_purchases(past: Past, name: str, values: list[float]) -> None:
    np.testing.assert_allclose(FEATURES[name].of(past), values)


def test_counts_lose_half_of_their_weight_in_a_half_life(past: Past) -> None:
    """Item 1 of device 0 was bought 30, 20 and 10 days ago; item 3 twice, 10 days ago."""
    expected = [np.log1p(1 / 8 + 1 / 4 + 1 / 2), np.log1p(2 / 2), np.log1p(2**-1.5)]
    np.testing.assert_allclose(own.decayed(past, half_life=10.0), expected)


def test_the_share_of_a_code_in_own_purchases(past: Past) -> None:
    """Device 0 made three purchases of code 1 and one of code 2; the unknown code shares with nobody."""
    device, item = np.array([0, 0, 0, 1, 2]), np.array([0, 2, 4, 3, 0])
    expected = [3 / 4, 1 / 4, 0, 1, 0]
    np.testing.assert_allclose(own.share_of_codes(past, CODES[:, 0], device, item), expected)


def test_a_share_is_the_same_however_it_is_counted(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    device, item = np.repeat(np.arange(3), 5), np.tile(np.arange(5), 3)
    counted = own.share_of_codes(past, CODES[:, 0], device, item)
    monkeypatch.setattr(own, "_COUNTERS", 0)
    np.testing.assert_array_equal(own.share_of_codes(past, CODES[:, 0], device, item), counted)


def test_public_sums_count_a_device_once_a_week(rows: Rows) -> None:
    """Weeks end before day 40: days 33 to 39, 26 to 32, 19 to 25, and all before."""
    buyers = weekly_buyers(rows, 5, 40, 3)
    assert buyers[:, 1].tolist() == [1, 1, 1, 0]
    assert buyers[:, 3].tolist() == [0, 0, 1, 0]
    assert buyers[:, 2].tolist() == [0, 1, 0, 0]
    assert weekly_buyers(rows, 5, 30, 3)[:, 1].tolist() == [0, 1, 1, 0]  # what is bought on day 30 is not known


def test_what_is_public_at_a_moment(rows: Rows) -> None:
    buyers = weekly_buyers(rows, 5, 40, 3)
    now, before = public_at(buyers, (3,), 2), public_at(buyers, (2,), 2)
    assert (now.week[0, 1], now.month[0, 1], now.ever[0, 1]) == (0, 2, 3)
    assert (before.week[0, 1], before.month[0, 1], before.ever[0, 1]) == (1, 2, 3)
    assert now.popular.tolist() == [[1, 2]]  # by the month, then by number
    assert before.popular.tolist() == [[1, 3]]  # by the week


def test_public_features(rows: Rows) -> None:
    public = public_at(weekly_buyers(rows, 5, 40, 3), (2,), 2)
    assert shown.sales_week(public)[0, 1] == np.log(2)
    assert shown.trend(public)[0, 3] == pytest.approx(np.log2((1 + 4) / (1 + 1)) / 3)
    assert shown.new(public)[0].tolist() == [0, 0, 1, 1, 0]  # item 1 sold before the month, 0 and 4 never


def test_a_column_each_and_zero_for_what_was_never_bought(past: Past) -> None:
    shop = columns(["type"], CODES, days=True)
    keys = np.array([0, 1, 3, 5 + 2, 10 + 1])
    x = features_of(pairs_of(past, keys), shop)
    assert x.shape == (5, len(shop.labels))
    at = {label: x[:, place] for place, label in enumerate(shop.labels)}
    assert at["bought"].tolist() == [0, 1, 1, 1, 0]
    assert at["share_type"].tolist() == [0.75, 0.75, 0.25, 1, 0]
    for name, row in FEATURES.items():
        if row.known_by == "device" and row.needs != "fields":
            assert at[name][[0, 4]].tolist() == [0, 0], name


@pytest.mark.parametrize("name", FEATURES)
def test_each_row_is_told_no_more_than_whoever_knows_it(name: str) -> None:
    """What everybody knows takes public sums and nothing else; what a device knows is defined in `own`, which no room
    of the server may import (a contract)."""
    row = FEATURES[name]
    function = getattr(row.of, "func", row.of)
    told = list(inspect.signature(function).parameters)
    assert (function.__module__ == shown.__name__) == (row.known_by == "everybody")
    assert told[0] == ("public" if row.known_by == "everybody" else "past")
    assert row.known_by == "device" or len(told) == 1


def test_columns_follow_the_dataset_and_what_is_left_out() -> None:
    undated = columns(["type", "colour"], np.zeros((5, 2), np.int32), days=False, without=("habit",))
    assert {"share_type", "share_colour", "bought"} <= set(undated.labels)
    assert not {"recency", "sales_week", "habit"} & set(undated.labels)


def test_a_feature_that_is_none_is_named_with_a_near_one() -> None:
    with pytest.raises(InputError, match=r"'recencyy'.*did you mean recency"):
        columns([], np.zeros((5, 0), np.int32), days=True, without=("recencyy",))
    with pytest.raises(InputError, match="leaves no feature"):
        columns([], np.zeros((5, 0), np.int32), days=True, without=tuple(FEATURES))


def test_features_of_a_device_depend_on_no_other(past: Past, rows: Rows) -> None:
    shop = columns(["type"], CODES, days=True)
    together = features_of(pairs_of(past, np.array([1, 3, 5 + 2])), shop)
    alone = Past(rows.of(np.array([1])), np.array([40]), 5)
    public = pairs_of(past, past.keys).public
    apart = features_of(Pairs(alone, np.array([2]), public, np.zeros(1, np.int64)), shop)
    np.testing.assert_array_equal(apart, together[2:])
