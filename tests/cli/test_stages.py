import io

import pytest
from rich.console import Console

from spfedrec_cli.cli.output import Output
from spfedrec_cli.cli.stages import sentence, staged
from spfedrec_cli.data.raw import Progress


def test_how_far_how_fast_and_how_much_longer() -> None:
    assert sentence(Progress("reading", 500_000_000, 2_000_000_000, 1_000_000), 5.0) == (
        "500.0 MB of 2.0 GB, 200,000 rows/s, 15 s left"
    )
    assert sentence(Progress("making", 10, 40, 0, "customers"), 2.0) == "10 of 40 customers, 6.0 s left"
    assert sentence(Progress("sorting", rows=9), 2.0) == ""
    assert sentence(Progress("reading", 0, 100), 0.0) == "0 B of 100 B"


def test_off_a_terminal_each_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with staged(Output()) as tell:
        for at in (Progress("reading a"), Progress("reading a", 1, 2), Progress("sorting")):
            tell(at)
    assert capsys.readouterr().err == "reading a ...\nsorting ...\n"


def test_on_a_terminal_there_is_a_bar_for_the_stage() -> None:
    out = Output()
    out.talk = Console(file=io.StringIO(), force_terminal=True, width=100, markup=False)
    with staged(out) as tell:
        tell(Progress("reading [bold]x.csv", 1_000_000, 4_000_000, 10_000))
        tell(Progress("sorting", rows=10_000))
    shown = out.talk.file.getvalue()  # type: ignore[attr-defined]
    assert "1.0 MB of 4.0 MB" in shown
    assert "[bold]x.csv" in shown
    assert "sorting" in shown
