"""Whether bought items stay in the ranking: told from the whole source, recorded, overruled by the user."""

from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.subset import Subset

COLUMNS = {"customer": "user", "item": "sku", "time": "at"}


def rows(again: int) -> list[str]:
    """100 pairs of four customers and 25 items over 25 days, of which so many are bought again on the last."""
    lines = [f"u{user},s{item},2020-03-{item + 1:02}" for user in range(4) for item in range(25)]
    return lines + [f"u{nth % 4},s{nth // 4},2020-03-26" for nth in range(again)]


def prepared(folder: Path, lines: list[str], **options: object) -> tuple[Dataset, list[str]]:
    (folder / "sales.csv").write_text("\n".join(["user,sku,at", *lines]) + "\n")
    made = prepare("table", folder / "sales.csv", folder / "out", columns=COLUMNS, **options)  # type: ignore[arg-type]
    return Dataset.open(folder / "out"), [note for note in made.notes if "bought again" in note]


@pytest.mark.parametrize("again, repeats", [(0, False), (1, False), (2, True), (4, True)])
def test_a_pair_in_a_hundred_flips_it_but_one_alone_nothing(tmp_path: Path, again: int, repeats: bool) -> None:
    dataset, notes = prepared(tmp_path, rows(again))
    assert dataset.repeats == repeats
    assert dataset.manifest.repeated_pairs == again / 100
    assert not dataset.manifest.repeats_said
    fate = "stay in the ranking (--no-repeats" if repeats else "leave the ranking (--repeats"
    single = ", a single one," * (again == 1)
    assert notes == [
        f"{again}.0% of pairs of customer and item{single} were bought again: bought items {fate} overrules it)"
    ]


def test_a_double_entry_is_not_bought_again(tmp_path: Path) -> None:
    dataset, _ = prepared(tmp_path, rows(0) * 2)
    assert (dataset.repeats, dataset.manifest.repeated_pairs) == (False, 0)
    assert dataset.manifest.counts.purchases == 200


def test_the_user_overrules_it(tmp_path: Path) -> None:
    dataset, notes = prepared(tmp_path, rows(0), repeats=True)
    assert (dataset.repeats, dataset.manifest.repeats_said, dataset.manifest.repeated_pairs) == (True, True, 0)
    assert notes[0].endswith("bought items stay in the ranking (as --repeats says)")
    dataset, notes = prepared(tmp_path, rows(50), repeats=False)
    assert (dataset.repeats, dataset.manifest.repeats_said, dataset.manifest.repeated_pairs) == (False, True, 0.5)
    assert notes[0].endswith("bought items leave the ranking (as --no-repeats says)")


def test_a_subset_has_the_answer_of_the_whole(tmp_path: Path) -> None:
    dataset, _ = prepared(tmp_path, rows(50), subset=Subset(min_sales=5), split="leave-one-out")
    assert dataset.manifest.repeated_pairs == 0.5
    assert dataset.manifest.counts.purchases < 150


def test_the_sources_that_ship(sample: Dataset, synthetic: Dataset) -> None:
    assert (sample.repeats, round(sample.manifest.repeated_pairs, 3)) == (True, 0.03)
    assert synthetic.repeats


def test_movielens_rates_once(movielens_folder: Path, tmp_path: Path) -> None:
    prepare("movielens", movielens_folder, tmp_path / "out")
    assert not Dataset.open(tmp_path / "out").repeats
