"""Pictures of runs, read as the text that they write."""

from pathlib import Path

import pytest
from facts import rounds, told

from spfedrec_cli.errors import InputError
from spfedrec_cli.report import pictures
from spfedrec_cli.report.facts import Told

ENDINGS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


def runs() -> list[Told]:
    seeds = [told(f"train.seed={n}", name=f"first-seed-{n}") for n in range(2)]
    return [*seeds, told("model.dim=8", name="second")]


@pytest.mark.parametrize("kind", pictures.KINDS)
@pytest.mark.parametrize("suffix", ENDINGS)
def test_each_kind_in_each_form(tmp_path: Path, kind: str, suffix: str) -> None:
    file = tmp_path / f"picture{suffix}"
    pictures.draw(kind, runs(), file)
    assert file.read_bytes().startswith(ENDINGS[suffix])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("kind", pictures.KINDS)
def test_seeds_are_one_line(tmp_path: Path, kind: str) -> None:
    pictures.draw(kind, runs(), tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text()
    assert [text.count(f">{name}</text>") for name in ("first, 2 seeds", "second", "first-seed-0")] == [1, 1, 0]


def test_the_same_runs_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        pictures.draw("cost", runs(), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("kind", ["learning", "cost"])
def test_runs_with_nothing_to_show(tmp_path: Path, kind: str) -> None:
    none = told(rounds=[{**line, "validation": None} for line in rounds()])
    with pytest.raises(InputError, match="The runs have no"):
        pictures.draw(kind, [none], tmp_path / "picture.svg")
    assert list(tmp_path.iterdir()) == []
