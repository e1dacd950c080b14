"""Pictures, read as the text that they write."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.report import charts
from spfedrec_cli.report.charts import Curve, Dot, spread, thinned
from spfedrec_cli.report.drawing import figure
from spfedrec_cli.report.inline import inlined


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_names_keep_their_order_and_their_distance(values: list[float]) -> None:
    ends = np.sort(values)
    moved = spread(ends, 0.25)
    assert (np.diff(moved) >= 0.25 - 1e-9).all()
    assert moved.mean() == pytest.approx(ends.mean(), abs=1e-9)


def test_what_is_apart_is_not_moved() -> None:
    assert spread(np.array([0.0, 1, 2]), 0.5).tolist() == [0, 1, 2]
    assert spread(np.array([0.0, 0.1]), 0.5).tolist() == pytest.approx([-0.2, 0.3])


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    places = thinned(100_000)
    assert len(places) == charts.LONGEST_CURVE
    assert places[[0, -1]].tolist() == [0, 99_999]
    assert thinned(3).tolist() == [0, 1, 2]


def lines(every: Sequence[Curve]) -> str:
    with figure(4, 3) as made:
        charts.curves(made.subplots(), every, "Learning", "round", "NDCG@10")
        return inlined(made, "learning")


def curve(name: str, *values: float) -> Curve:
    return Curve(name, np.arange(1.0, len(values) + 1), np.array(values))


def test_several_curves_are_named_at_their_ends_and_one_is_not() -> None:
    both = lines([curve("first", 0.1, 0.2), curve("second", 0.1, 0.3)])
    assert re.findall(r">(first|second)</text>", both) == ["first", "second"]
    assert "first" not in lines([curve("first", 0.1, 0.2)])


def test_a_curve_that_moves_by_little_looks_so() -> None:
    with figure(4, 3) as made:
        axes = made.subplots()
        charts.curves(axes, [curve("first", 0.5, 0.501)], "", "", "")
        low, high = axes.get_ylim()
    assert high - low >= 0.1


def test_each_dot_has_its_name_and_its_value() -> None:
    with figure(4, 3) as made:
        charts.dots(made.subplots(), [Dot("this run", 0.25, 0.2, 0.3, True), Dot("ease", 0.125, 0.1, 0.15)], "", "mean")
        text = inlined(made, "dots")
    assert [word in text for word in (">this run<", ">ease<", ">0.250<", ">0.125<")] == [True] * 4
