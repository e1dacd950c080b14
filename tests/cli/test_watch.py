import io
import logging

import pytest
from answers import progress
from rich.console import Console

from spfedrec_cli.cli.output import Output
from spfedrec_cli.cli.watch import Pace, following


def test_pace_is_worked_out_from_the_rounds_seen() -> None:
    """Rounds 1 and 2 of 4: 16 clients in 1 s, so 2 rounds/s, and two rounds left take 1 s."""
    pace = Pace("ndcg@10")
    pace.add(progress(1))
    pace.add(progress(2, loss=1.5, validation={"hit_rate@10": 0.5, "ndcg@10": 0.25}))
    assert pace.sentence() == "1.0 s left, ndcg@10 0.2500, loss 1.5000, 16 clients/s, 2.0 rounds/s"


def test_a_first_round_that_compiled_is_not_taken_for_the_pace_of_those_that_follow() -> None:
    pace = Pace()
    pace.add(progress(1, seconds=20.0))
    pace.add(progress(2, seconds=0.5))
    assert pace.sentence().startswith("1.0 s left")


def test_the_last_validation_stays_until_the_next() -> None:
    pace = Pace("ndcg@10")
    pace.add(progress(1, validation={"ndcg@10": 0.25}))
    pace.add(progress(2))
    assert "ndcg@10 0.2500" in pace.sentence()


def test_without_the_monitor_the_first_metric_is_shown() -> None:
    pace = Pace("map@12")
    pace.add(progress(1, validation={"hit_rate@10": 0.5, "ndcg@10": 0.25}))
    assert "hit_rate@10 0.5000" in pace.sentence()


def test_a_clock_that_stands_still_divides_nothing_by_zero() -> None:
    pace = Pace()
    pace.add(progress(1, seconds=0.0))
    assert "left" in pace.sentence()


def test_off_a_terminal_each_validation_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Output(), "ndcg@10") as follow:
        for round_ in (1, 2, 3):
            follow(progress(round_, validation={"ndcg@10": 0.5} if round_ == 2 else None))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "round 2/4: 1.0 s left, ndcg@10 0.5000, loss 2.0000, 16 clients/s, 2.0 rounds/s"
    ]


def test_quiet_tells_warnings_alone_and_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    with following(Output(quiet=True)) as follow:
        follow(progress(1, validation={"ndcg@10": 0.5}, warning="lower tau"))
        follow(progress(2, warning="lower tau"))
        follow.warn("lower tau")
        follow.warn("another")
    assert capsys.readouterr().err == "Warning: lower tau\nWarning: another\n"


@pytest.mark.parametrize("quiet, drawn", [(False, True), (True, False)])
def test_a_bar_is_drawn_on_a_terminal_unless_quiet(quiet: bool, drawn: bool) -> None:
    out, screen = Output(quiet=quiet), io.StringIO()
    out.talk = Console(file=screen, force_terminal=True, width=120)
    with following(out, "ndcg@10") as follow:
        follow(progress(1))
        follow(progress(2, validation={"ndcg@10": 0.5}))
    assert ("round 2/4, 1.0 s left, ndcg@10 0.5000" in screen.getvalue()) is drawn


def test_what_the_engine_logs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("spfedrec_cli.kernels")
    with following(Output()):
        log.info("Compiling, once")
    log.info("nobody listens any more")
    assert capsys.readouterr().err == "Compiling, once\n"
    with following(Output(quiet=True)):
        log.info("Compiling, once")
        log.warning("it is not kept")
    assert capsys.readouterr().err == "Warning: it is not kept\n"
