"""Pictures of Datasets, read back as files and, as far as that says something, as text."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.describe import describe
from spfedrec_cli.data.statistics import Statistics, measure
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.report import drawing, plots

Drawn = tuple[dict[str, Any], Statistics]
BEGINNINGS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


@pytest.fixture
def shop(synthetic_dataset: Dataset) -> Drawn:
    counted = measure(synthetic_dataset)
    return describe(synthetic_dataset, counted), counted


@pytest.mark.parametrize("suffix", drawing.SUFFIXES)
def test_a_picture_is_of_the_kind_that_its_name_says(shop: Drawn, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"shop{suffix}"
    plots.draw(*shop, file)
    assert file.read_bytes().startswith(BEGINNINGS[suffix])
    assert list(tmp_path.iterdir()) == [file]


def test_four_panels_with_dates(shop: Drawn, tmp_path: Path) -> None:
    plots.draw(*shop, tmp_path / "shop.SVG")
    text = (tmp_path / "shop.SVG").read_text()
    for words in ("Purchases per client", "Sales per item", "Volume per week", "Baskets", "validation", "median"):
        assert words in text


def test_a_date_that_means_never_can_be_drawn(shop: Drawn, tmp_path: Path) -> None:
    """9999-12-31 and 0001-01-01 stand in many tables where nobody knew better."""
    told, counted = shop
    ends = np.array(["0001-01-01", "9999-12-31"], "datetime64[D]").astype(int)
    far = replace(counted, first_day=int(ends[0]), by_day=np.zeros(ends[1] - ends[0] + 1, np.int64))
    far.by_day[[0, -1]] = 1
    plots.draw(told, far, tmp_path / "shop.svg")
    assert "Volume per week" in (tmp_path / "shop.svg").read_text()


def test_without_dates_the_splits_stand_for_weeks_and_baskets(sample_dataset: Dataset, tmp_path: Path) -> None:
    plots.draw(describe(sample_dataset), measure(sample_dataset), tmp_path / "sample.svg")
    text = (tmp_path / "sample.svg").read_text()
    assert "Splits" in text
    assert "Volume per week" not in text


def test_names_are_no_formulas_and_need_no_font(shop: Drawn, tmp_path: Path) -> None:
    told = {**shop[0], "name": "$x_1$ \\frac 服 <b>\n" + "y" * 100}
    plots.draw(told, shop[1], tmp_path / "shop.svg")
    assert "$x_1$ \\frac 服 &lt;b&gt;\N{REPLACEMENT CHARACTER}yyy" in (tmp_path / "shop.svg").read_text()
    plots.draw(told, shop[1], tmp_path / "shop.png")


def test_one_purchase_by_one_client_can_be_drawn(shop: Drawn, tmp_path: Path) -> None:
    one = np.ones(1, np.int64)
    plots.draw(shop[0], replace(shop[1], by_client=one, by_item=one, by_day=one, baskets=one), tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_no_bar_of_baskets_reaches_the_words_above_it() -> None:
    with drawing.figure(5, 4) as made:
        axes = made.add_subplot()
        plots._baskets(axes, np.full(9, 20))
        made.draw_without_rendering()
        (words,) = axes.texts
        assert max(bar.get_window_extent().y1 for bar in axes.patches) < words.get_window_extent().y0


def test_a_week_has_the_colour_of_its_split() -> None:
    split = {"validation_from": "1970-01-15", "test_from": "1970-01-22"}
    colours = [plots.COLOURS[name] for name in ("train", "train", "validation", "test")]
    assert plots._of_weeks(np.array([0, 7, 14, 21]), split) == colours
    assert set(plots._of_weeks(np.array([0, 7]), {})) == {plots.COLOURS["train"]}


@pytest.mark.parametrize(
    "name, message",
    [
        ("shop.jpg", r"'shop.jpg'.*\.svg, \.png or \.pdf"),
        ("shop", r"\.svg, \.png or \.pdf"),
        ("nowhere/shop.svg", "folder does not exist"),
        ("folder.svg", "is a folder"),
    ],
)
def test_what_cannot_become_a_picture(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InputError, match=message):
        drawing.check(tmp_path / name)


def test_without_matplotlib_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spfedrec_cli.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'spfedrec\[report\]'"):
        drawing.check(tmp_path / "shop.svg")


def test_a_picture_that_cannot_be_written_leaves_the_one_before(
    shop: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Figure, file: Path, **options: Any) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "shop.svg").write_text("before")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(SpfedrecError, match="The disk is full"):
        plots.draw(*shop, tmp_path / "shop.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["shop.svg"]
    assert (tmp_path / "shop.svg").read_text() == "before"
