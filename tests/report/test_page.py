"""The page as text: nothing of a user's is markup, everything can be reached, and every word can be read."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from facts import HOSTILE, facts, measured, told, versus

from spfedrec_cli.report.page import TEMPLATES, coded, numeric, rendered, wordy
from spfedrec_cli.report.parts import Entry, Page, Table
from spfedrec_cli.report.sections import sections

CONTRAST, OF_LINES = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
ON_PAPER = ("text", "muted", "accent", "good", "bad")


class Read(HTMLParser):
    """Counts elements and keeps their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def page(**changes: object) -> str:
    every = sections(facts(told(), told("model.dim=8", name="second"), versus=[versus("second", 0.1, 0.5)], **changes))
    return rendered(Page("first", "Report", [("Dataset", "shop")], every), "0.1.0")


def test_it_loads_nothing_and_runs_nothing() -> None:
    read = Read(page())
    assert [read.tags[tag] for tag in ("script", "img", "iframe", "object", "audio")] == [0] * 5
    assert [value for value in [*read.values("href"), *read.values("src")] if not value.startswith(("#", "data:"))] == [
        value for value in read.values("xlink:href") if not value.startswith("#")
    ]
    assert not [key for _, key, _ in read.attributes if key.startswith("on")]
    assert "default-src 'none'" in " ".join(read.values("content"))


def test_markup_and_scripts_in_names_are_text() -> None:
    found = measured(beside={HOSTILE: measured().metrics})
    hostile = [replace(facts().customers[0], name=HOSTILE, recommended=[Entry(HOSTILE, HOSTILE)])]
    near = {HOSTILE: (3, 0.5, 0.25)}
    every = facts(
        told(name=HOSTILE, measured=found, environment={HOSTILE: HOSTILE}),
        shop=replace(facts().shop, name=HOSTILE),
        best=versus(HOSTILE, 0.1, 0.5),
        customers=hostile,
        map=replace(facts().map, near=near, values=[HOSTILE] * 5),  # type: ignore[type-var]
        notes=(HOSTILE,),
    )
    plain = Read(page())
    read = Read(rendered(Page(HOSTILE, "Report", [(HOSTILE, HOSTILE)], sections(every)), "0.1.0"))
    assert [read.tags[tag] for tag in ("script", "img")] == [0, 0]
    assert set(read.tags) <= set(plain.tags)
    assert not [key for _, key, _ in read.attributes if key.startswith("on")]
    assert sum(HOSTILE in words for words in read.words) > 8


def test_a_command_in_a_sentence_stands_as_code() -> None:
    assert coded("<b> `spfedrec audit` of 3 kB") == "&lt;b&gt; <code>spfedrec audit</code> of 3\N{NO-BREAK SPACE}kB"
    assert "`" not in re.sub(r"<style>.*?</style>", "", page(), flags=re.DOTALL)


def test_everything_has_a_name_and_a_place() -> None:
    read = Read(page())
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    targets = [value[1:] for value in read.values("href") if value.startswith("#")]
    assert set(targets) <= set(ids)
    pictures = [value for tag, key, value in read.attributes if key == "aria-label" and tag == "div"]
    assert read.tags["svg"] == len([value for value in read.values("role") if value == "img"])
    assert all(pictures)
    assert read.tags["figure"] == read.tags["figcaption"] == read.tags["svg"]
    assert read.tags["table"] == read.tags["caption"]
    assert read.values("lang") == ["en"]
    assert '<th scope="col"></th>' not in page()


def test_headings_do_not_skip_a_level() -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", page())]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", [0, 1])
def test_words_and_lines_stand_out_from_what_is_behind_them(scheme: int) -> None:
    palette = palettes()[scheme]
    for name in ON_PAPER:
        for behind in ("paper", "raised"):
            assert contrast(palette[name], palette[behind]) >= CONTRAST, (name, behind)
    for name in (name for name in palette if name.startswith("series-")):
        assert contrast(palette[name], palette["paper"]) >= OF_LINES, name
    assert contrast(palette["paper"], palette["good"]) >= CONTRAST  # the mark of what was found


def palettes() -> list[dict[str, str]]:
    """By day and by night."""
    css = (TEMPLATES / "page.css").read_text()
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in css.split(":root")[1:]]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2: (L1 + .05) / (L2 + .05) of relative luminances."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))


def test_the_contrast_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_column_of_numbers_stands_right() -> None:
    table = Table("", ("", "mean", "size", "what"), [("a", 0.5, "3.1 kB", "sums"), ("b", None, "12 B", "3 lists")])
    assert [numeric(table, column) for column in range(4)] == [False, True, True, False]


def test_a_table_with_sentences_is_stacked_on_a_phone_and_stays_a_table() -> None:
    """As blocks, browsers forget that rows are rows, unless they are told; and each cell says its heading."""
    plain = Table("", ("", "mean"), [("a" * 40, 0.5)])
    told = Table("", ("", "mean", "what"), [("a", 0.5, "the sum over all clients is seen")])
    assert [wordy(plain), wordy(told)] == [False, True]
    read = Read(page())
    for tag, role in (("table", "table"), ("tr", "row"), ("tbody", "rowgroup"), ("td", "cell")):
        roles = [value for name, key, value in read.attributes if name == tag and key == "role"]
        assert set(roles) == {role}
    assert read.values("data-head").count("what it saw") > 0
    assert read.tags["td"] - len(read.values("data-head")) == page().count("<td></td>")


def test_no_line_ends_before_a_per_cent() -> None:
    assert "80\N{NO-BREAK SPACE}% of those" in page()
