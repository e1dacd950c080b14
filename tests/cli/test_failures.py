import importlib
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from answers import Invoke, StandIn

from spfedrec_cli.cli.failures import told
from spfedrec_cli.engine import Interrupted
from spfedrec_cli.errors import InputError, SpfedrecError, Stopped


@pytest.mark.parametrize(
    "failure, code, sentence",
    [
        (InputError("No such thing", where="a.csv", hint="look again"), 2, "No such thing (a.csv); look again."),
        (SpfedrecError("The loss is nan"), 1, "The loss is nan."),
        (Interrupted("Stopped; round 5 is saved", hint="go on"), 130, "Stopped; round 5 is saved; go on."),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (Stopped(15), 143, "Stopped by SIGTERM."),
        (Stopped(1), 129, "Stopped by SIGHUP."),
        (PermissionError(13, "Permission denied", "x.json"), 1, "Permission denied (x.json)"),
        (OSError(28, "No space left on device"), 1, "The disk is full"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), 1, "The GPU has too little memory; use --device cpu"),
        (
            ZeroDivisionError("by zero"),
            1,
            "Internal error: ZeroDivisionError: by zero; run the command again with --debug",
        ),
    ],
)
def test_every_failure_is_a_sentence_and_a_code(failure: BaseException, code: int, sentence: str) -> None:
    assert told(failure)[1] == code
    assert sentence in told(failure)[0]


@pytest.mark.parametrize(
    "failure, code",
    [
        (InputError("No such thing"), 2),
        (SpfedrecError("It broke"), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("x"), 1),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",), ("--quiet",), ("--json", "--quiet")])
def test_a_failing_command_says_one_line_on_stderr(
    invoke: Invoke, a_run: Path, stand_in: StandIn, failure: BaseException, code: int, flags: Sequence[str]
) -> None:
    stand_in(evaluate=failure)
    result = invoke("evaluate", "first", *flags)
    assert (result.exit_code, result.stdout) == (code, "")
    last = result.stderr.splitlines()[-1]
    assert last == f"Error: {told(failure)[0]}"
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_being_imported_is_imported_before_a_signal_stops_the_command(
    invoke: Invoke,
    a_run: Path,
    stand_in: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """As torch, which would abort the process."""
    name = f"imported_by_{number.name}"
    (tmp_path / f"{name}.py").write_text(f"import os\nos.kill(os.getpid(), {number})\nwhole = [*range(1000)]\n")
    monkeypatch.syspath_prepend(tmp_path)

    def evaluate(*arguments: object, **more: object) -> None:
        importlib.import_module(name)
        time.sleep(30)

    stand_in(evaluate=evaluate)
    assert invoke("evaluate", "first").exit_code == 128 + number
    assert len(sys.modules[name].whole) == 1000


def test_debug_shows_the_traceback_and_keeps_the_code(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=InputError("No such thing"))
    result = invoke("evaluate", "first", "--debug")
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert result.stderr.endswith("Error: No such thing.\n")


def test_markup_and_control_characters_in_an_error_are_shown_not_obeyed(invoke: Invoke, workplace: Path) -> None:
    result = invoke("describe", "[red]x[/red]\x1b[31m")
    assert "[red]x[/red]" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_broken_pipe_is_left_to_the_shell(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=BrokenPipeError(32, "Broken pipe"))
    result = invoke("evaluate", "first", "--quiet")
    assert result.exit_code == 1
    assert result.output == ""


def test_no_path_of_the_program_is_in_an_error(invoke: Invoke, workplace: Path) -> None:
    text = invoke("describe", "nowhere").stderr
    assert not re.search(re.escape(str(Path(__file__).parents[2])), text)
