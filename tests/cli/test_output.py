import io
import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.text import Text

from spfedrec_cli.cli.output import (
    Cell,
    Output,
    blocks,
    condensed,
    counted,
    course,
    duration,
    facts,
    number,
    plain,
    size,
    table,
    write_what_can_be_written,
)


@pytest.mark.parametrize(
    "count, text", [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5e12, "5.0 TB")]
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(0.44, "0.4 s"), (42.4, "42 s"), (185, "3 min 5 s"), (59.6, "1 min 0 s"), (7800, "2 h 10 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "value, text", [(1234, "1,234"), (0.25, "0.2500"), (None, ""), ("a\nb", "a\N{REPLACEMENT CHARACTER}b")]
)
def test_numbers(value: Cell, text: str) -> None:
    assert number(value) == text


def test_counts_agree_with_their_noun() -> None:
    assert (counted(1, "client"), counted(0, "client"), counted(1234, "client")) == (
        "1 client",
        "0 clients",
        "1,234 clients",
    )


@given(st.text())
def test_plain_text_cannot_steer_a_terminal(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) == len(text)


def test_with_json_the_object_is_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True)
    out.result({"name": "[red]é"}, table("never", ["a"], [["shown"]]))
    out.say("talk")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"name": "[red]é"}
    assert captured.err == "talk\n"


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Output(as_json=True).result({"loss": float("nan")})


def test_cells_are_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, table("[bold]t", ["[red]h"], [["[red]c[/red] :smile:"]]), facts("f", [("[x]", "[/y]")]))
    shown = capsys.readouterr().out
    for text in ("[bold]t", "[red]h", "[red]c[/red] :smile:", "[x]", "[/y]"):
        assert text in shown


def test_off_a_terminal_a_long_cell_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, facts("f", [("path", "x" * 150)]))
    assert "x" * 150 in capsys.readouterr().out


def test_numbers_stand_right_and_words_left(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, table("t", ["word", "count"], [["a", 1], ["bcdef", 1000]]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-2:] == ["a          1", "bcdef  1,000"]


def test_quiet_silences_talk_but_no_warning_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(quiet=True)
    out.say("talk")
    out.warn("care")
    out.error("It broke.")
    assert capsys.readouterr().err == "Warning: care\nError: It broke.\n"


def test_stages_are_lines_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Output().stages() as tell:
        tell("reading")
        tell("[writing]")
    assert capsys.readouterr().err == "reading ...\n[writing] ...\n"


def test_stages_are_not_told_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(quiet=True).stages() as tell:
        tell("reading")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("no_color, coloured", [("1", False), ("", True)])
def test_no_color_is_honoured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": no_color}.items():
        monkeypatch.setenv(name, value)
    Output().data.print(Text("x", style="red"))
    assert ("\x1b[31m" in capsys.readouterr().out) is coloured


def test_a_course_is_a_line_of_blocks_with_both_ends_below() -> None:
    """Eighths of the largest, rounded up: 1 of 800 shows, 0 does not."""
    assert blocks([0, 1, 100, 101, 400, 800]) == " ▁▁▂▄█"
    assert blocks([0, 0]) == "  "
    assert blocks([]) == ""


def test_a_long_course_is_condensed_to_means_of_neighbours() -> None:
    """121 values: three to a sign, and one is left."""
    assert condensed(range(121)) == [3.0 * sign + 1 for sign in range(40)] + [120]
    assert condensed([5, 7]) == [5, 7]
    assert condensed([]) == []


@pytest.mark.parametrize("encoding, line", [("utf-8", "▁▄█"), ("ascii", ".=#"), ("latin-1", ".=#")])
def test_a_course_is_written_in_what_the_terminal_can_show(
    monkeypatch: pytest.MonkeyPatch, encoding: str, line: str
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stream)
    Output().result({}, course("Volume", [1, 4, 8], "a", "b"))
    stream.seek(0)
    assert [row.rstrip() for row in stream.read().splitlines()] == ["Volume", line, "a  b"]


def test_the_ends_of_a_course_stand_under_them(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, course("Volume", [1] * 30, "2020-01-01", "2020-07-22"))
    rows = [row.rstrip() for row in capsys.readouterr().out.splitlines()]
    assert rows[1:] == ["█" * 30, "2020-01-01          2020-07-22"]


def test_a_course_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    Output().result({}, course("Volume", [3], "2020-01-01", "2020-01-01"))
    assert [row.rstrip() for row in capsys.readouterr().out.splitlines()][1:] == ["█", "2020-01-01"]


ID = "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318"


def narrow(width: int, *shown: Group) -> list[str]:
    """The lines on a terminal of this width."""
    out, stream = Output(), io.StringIO()
    out.data = Console(width=width, file=stream, force_terminal=True, no_color=True, markup=False, highlight=False)
    out.result({}, *shown)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


def test_a_narrow_terminal_folds_words_and_neither_ids_nor_numbers() -> None:
    rows = [[1, "0663713001", "Push-up body with a name of many words", -12345.5]]
    lines = narrow(50, table("Recommended", ["", "article", "name", "score"], rows))
    assert lines[3:] == ["1  0663713001  Push-up body with a     -12345.5000", "               name of many words"]


def test_a_table_that_no_terminal_holds_is_folded_by_none_of_us() -> None:
    lines = narrow(40, table(f"Of customer {ID}", ["customer", "count"], [[ID, 1234567], ["short", 1]]))
    assert lines[:2] == ["Of customer", ID]
    assert lines[4:] == [f"{ID}  1,234,567", f"short{'':59}          1"]
    assert narrow(40, facts("f", [("path", f"/{ID}"), ("few", 1)]))[1:] == [f"path  /{ID}", "few   1"]


def test_short_cells_and_their_indentation_stay() -> None:
    rows = [["this run", 0.5, 0.25], ["  95% from", 0.5, 0.25], ["        to", 0.5, 0.25]]
    lines = narrow(20, table("t", ["", "hit_rate", "ndcg"], rows))
    assert [line.split("  0.5")[0].rstrip() for line in lines[3:]] == ["this run", "  95% from", "        to"]


def test_talk_on_a_narrow_terminal_can_be_copied() -> None:
    out, stream = Output(), io.StringIO()
    out.talk = Console(width=40, file=stream, force_terminal=True, markup=False, highlight=False)
    out.say("Next: spfedrec train datasets/sample --preset sample")
    out.error("There is no run; make one with `spfedrec train`.")
    assert stream.getvalue().splitlines() == [
        "Next:",
        "spfedrec train datasets/sample \\",
        "--preset sample",
        "Error: There is no run; make one with",
        "`spfedrec train`.",
    ]


def test_a_stage_stays_on_one_line_of_a_narrow_terminal() -> None:
    out, stream = Output(), io.StringIO()
    out.talk = Console(width=20, file=stream, force_terminal=True, no_color=True, markup=False, highlight=False)
    with out.stages() as tell:
        tell("Reading a file with a long name")
        assert str(out.cut("Reading a file with a long name")) == "Reading a file wi…"
    assert "name" not in stream.getvalue()


@pytest.mark.parametrize("encoding, shown", [("ascii", b"Tr?ja ??"), ("latin-1", b"Tr\xf6ja ??")])
def test_what_cannot_be_written_is_replaced(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{name}", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    write_what_can_be_written()
    out = Output()
    out.line("Tröja 訓練")
    out.say("Tröja 訓練")
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.flush()
        assert stream.buffer.getvalue() == shown + b"\n"  # type: ignore[attr-defined]
