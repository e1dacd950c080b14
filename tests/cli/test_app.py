import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from answers import Invoke
from typer.core import TyperGroup
from typer.main import get_command

from spfedrec_cli import __version__
from spfedrec_cli.cli.app import COMMANDS as APP_COMMANDS
from spfedrec_cli.cli.app import app, asked, build

HEAVY = ("torch", "pandas", "pyarrow", "numpy", "scipy")


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command and subcommand."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        words = (*path, name)
        found += commands(command, words) if isinstance(command, TyperGroup) else [words]
    return found


COMMANDS = commands(get_command(app))


def test_a_command_line_loads_the_one_command_that_it_names() -> None:
    assert asked(["train", "sample"], {}) == "train"
    assert asked(["config", "show"], {}) == "config"
    for words, environment in (([], {}), (["--help"], {}), (["trian"], {}), (["train"], {"_SPFEDREC_COMPLETE": "x"})):
        assert asked(words, environment) is None
    for name in ("device", "config"):
        (found,) = get_command(build(name)).commands  # type: ignore[attr-defined]
        assert found == name
    assert set(get_command(app).commands) == {*APP_COMMANDS, "config"}  # type: ignore[attr-defined]


def spfedrec(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spfedrec_cli", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_the_version_is_data(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"spfedrec {__version__}\n")


def test_no_words_show_the_help(invoke: Invoke) -> None:
    result = invoke()
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_the_help_names_every_command_and_where_to_start(invoke: Invoke) -> None:
    text = invoke("--help").stdout
    for words in COMMANDS:
        assert f"\n  {words[0]} " in text
    assert "  spfedrec prepare --source sample --output datasets/sample\n" in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_examples(invoke: Invoke, words: Sequence[str]) -> None:
    result = invoke(*words, "--help")
    assert result.exit_code == 0
    examples = result.stdout.split("Examples:\n")[1].strip().splitlines()
    assert all(line.strip().startswith(f"spfedrec {' '.join(words)}") for line in examples)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_takes_the_common_flags(invoke: Invoke, words: Sequence[str]) -> None:
    text = invoke(*words, "--help").stdout
    for flag in ("--json", "-q, --quiet", "--debug", "-h, --help"):
        assert f"\n  {flag} " in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_explained(invoke: Invoke, words: Sequence[str]) -> None:
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    assert [param.name for param in command.params if not param.help] == []
    assert " range>" not in invoke(*words, "--help").stdout  # but a letter, and its bounds behind


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_default_could_beat_a_preset_unsaid(words: Sequence[str]) -> None:
    """Flags are off and everything else is None unless the user says it."""
    command: Any = get_command(app)
    for word in words:
        command = command.commands[word]
    assert [param.name for param in command.params if param.default not in (None, False)] == []


@pytest.mark.parametrize(
    "words", [("trian",), ("train", "--rounds", "5"), ("evaluate",), ("evaluate", "first", "--split", "tset")]
)
def test_usage_errors_leave_with_2_and_empty_stdout(invoke: Invoke, words: Sequence[str]) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


def test_a_mistyped_command_is_answered_with_a_near_one(invoke: Invoke) -> None:
    assert "Did you mean 'train'?" in invoke("trian").stderr


# Typer itself reads the options of a command with pydantic, but those of the program without.
@pytest.mark.parametrize(
    "words, heavy",
    [(["--help"], (*HEAVY, "pydantic")), (["train", "--help"], HEAVY), (["config", "--help"], HEAVY)],
)
def test_help_loads_nothing_heavy(words: Sequence[str], heavy: Sequence[str]) -> None:
    script = (
        "import sys\n"
        "from spfedrec_cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        f"loaded = [name for name in {heavy} if name in sys.modules]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_runs(tmp_path: Path) -> None:
    done = spfedrec("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"spfedrec {__version__}\n", "")


def test_an_error_leaves_the_process_with_2() -> None:
    done = spfedrec("describe", "nowhere-at-all", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_hangs_up_is_no_error() -> None:
    """`spfedrec config show | true`: the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "spfedrec_cli", "config", "show", "--json"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.stderr == ""
