import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from spfedrec_cli.cli.folding import folded

ID = "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318"


def test_a_line_ends_at_a_blank() -> None:
    assert folded("Loss 0.5, and so on", 10) == "Loss 0.5,\nand so on"


def test_a_word_wider_than_the_terminal_stays_whole() -> None:
    assert folded(f"Customer {ID} is new", 40) == f"Customer\n{ID}\nis new"


def test_a_command_that_fits_a_line_is_not_broken() -> None:
    assert folded("Next: spfedrec train sample --preset sample", 40) == "Next:\nspfedrec train sample --preset sample"
    assert folded("No run; make one with `spfedrec train`.", 36) == "No run; make one with\n`spfedrec train`."


def test_a_longer_command_goes_on_behind_a_backslash() -> None:
    text = "Stopped; go on with `spfedrec train --resume first --set 'train.rounds = 50'`."
    assert folded(text, 26).split("\n") == [
        "Stopped; go on with",
        "`spfedrec train --resume \\",
        "first --set \\",
        "'train.rounds = 50'`.",
    ]


def test_wide_letters_count_twice() -> None:
    assert folded("訓練訓練 訓練", 11) == "訓練訓練\n訓練"


@given(st.lists(st.text("ab訓-=", min_size=1, max_size=30), min_size=1, max_size=12), st.integers(4, 60))
def test_whatever_is_told_no_word_is_lost_and_the_command_stays_the_same(words: list[str], width: int) -> None:
    command = shlex.join(["spfedrec", *words])
    shown = folded(f"Well: {' '.join(words)}", width)
    assert shown.split() == ["Well:", *words]
    for line in shown.split("\n"):
        assert cell_len(line) <= width or " " not in line
    before, copied = folded(f"Next: {command}", width).split(":", 1)
    assert before == "Next"
    assert shlex.split(copied.replace("\\\n", " ")) == ["spfedrec", *words]


@pytest.mark.parametrize("width", [1, 2, 5])
def test_no_width_is_too_small(width: int) -> None:
    assert folded("a `spfedrec b`", width).split() == ["a", "`spfedrec", "\\", "b`"]
