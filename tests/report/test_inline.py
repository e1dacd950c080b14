"""Figures inside of a page: what is the page's own is left to it, and words stay words."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from facts import HOSTILE

from spfedrec_cli.report.drawing import INK, SECOND, figure
from spfedrec_cli.report.inline import VARIABLES, inlined


def drawn(name: str, words: str = "words") -> str:
    with figure(3, 2) as made:
        axes = made.subplots()
        axes.plot([0, 1], [0, 1], color=INK)
        axes.fill_between([0, 1], [0, 1], [1, 2], color=SECOND, alpha=0.2)
        axes.scatter([0, 1], [1, 0], color=SECOND)
        axes.set_title(words)
        return inlined(made, name)


def test_it_is_one_element_that_asks_for_nothing() -> None:
    text = drawn("first")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert re.findall(r"<(?:style|metadata|script|image|!DOCTYPE)", text) == []
    assert {found for found in re.findall(r'href="([^"]*)"', text) if not found.startswith("#first-")} == set()


def test_colours_and_fonts_are_those_of_the_page() -> None:
    text = drawn("first")
    assert not set(re.findall(r"#[0-9a-f]{6}", text)) & set(VARIABLES)
    assert "var(--series-1)" in text
    assert "var(--text)" in text
    assert set(re.findall(r"font-family: ([^;\"]*)", text)) == {"inherit"}


def test_two_figures_share_no_id() -> None:
    ids = [set(re.findall(r' id="([^"]*)"', drawn(name))) for name in ("first", "second")]
    assert ids[0]
    assert not ids[0] & ids[1]
    text = drawn("first")
    assert set(re.findall(r'(?:href="|url\()#([^")]*)', text)) == ids[0]


@pytest.mark.parametrize("words", [HOSTILE, "#1f5a8a &amp; <b>", "服務\x00\x1b[1m"])
def test_words_stay_words(words: str) -> None:
    """But for letters that no file of XML can hold, which whoever draws has replaced."""
    from spfedrec_cli.report.drawing import fitting

    shown = fitting(words, 200)
    every = [element.text for element in ElementTree.fromstring(drawn("first", shown)).iter() if element.text]
    assert shown in every
