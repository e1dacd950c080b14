"""Settings and command lines as nobody means them: each ends in an answer or in one sentence, never in a traceback."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from answers import Invoke

from spfedrec_cli import config
from spfedrec_cli.cli.app import app
from spfedrec_cli.data.dataset import Dataset

FEW, MANY = 20, 500
CODES = {0, 1, 2, 129, 130, 143}
VALUES = (
    *("", " ", "0", "-0", "-1", "1", "2", "7", "0.5", "1e-30", "1e30", "1e999", "10" + "0" * 26, "nan", "inf", "-inf"),
    *("true", "None", "null", "[]", "[1]", "[64, 64]", "[-1]", "{a = 1}", "'", '"', '"sgd"', "adam", "sum", "ring"),
    *("a\nb", "[red]x[/red]", "é\u202e", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "=1+1"),
    *("x" * 5000, "../x", "/nowhere/x", "/dev/null", "datasets/sample", "runs/first", "sample", "first", "-", "--"),
)
LONG = {"bench"}  # measures for minutes
SAFE = {"train": ("--dry-run",)}  # what a command of that name always gets, so that it does not train


@pytest.fixture
def place(workplace: Path, sample_dataset: Dataset) -> Path:
    """A copy of the sample, which a command may replace, and what is left of a run: its settings."""
    shutil.copytree(sample_dataset.path, workplace / "datasets" / "sample")
    (workplace / "runs" / "first").mkdir(parents=True)
    (workplace / "runs" / "first" / "config.toml").write_text("[train]\nrounds = 3\n", encoding="utf-8")
    return workplace


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_any_settings_end_in_an_answer_or_in_one_sentence(count: int, invoke: Invoke) -> None:
    assert [told for words in drawn(settings, count) if (told := wrong(invoke, words))] == []


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_any_command_line_ends_in_an_answer_or_in_one_sentence(count: int, invoke: Invoke) -> None:
    assert [told for words in drawn(command_line, count) if (told := wrong(invoke, words))] == []


def wrong(invoke: Invoke, words: list[str]) -> str:
    """What a command must not say or do, with its words; nothing where all is well."""
    result = invoke(*words)
    ended = result.exception is None or isinstance(result.exception, SystemExit)
    silent = result.exit_code != 0 and not result.stderr.strip()
    unwanted = [each for each in ("Traceback", "Internal error") if each in result.output]
    well = ended and not silent and not unwanted and result.exit_code in CODES
    return "" if well else f"{words}: {result.exit_code} {result.exception!r} {result.output}"


def drawn(make: Callable[[random.Random], list[str]], count: int) -> Iterator[list[str]]:
    return (make(random.Random(seed)) for seed in range(count))


def settings(draw: random.Random) -> list[str]:
    """A rehearsal with one to three settings."""
    keys = draw.sample(config.keys(), draw.randint(1, 3))
    pairs = [("--set", f"{key}={draw.choice(VALUES)}") for key in keys]
    return ["train", "sample", "--dry-run", *(word for pair in pairs for word in pair)]


def command_line(draw: random.Random) -> list[str]:
    """A command with words for its arguments, some of its options and, now and then, a word too many."""
    path, command = draw.choice(COMMANDS)
    words = [*path, *SAFE.get(path[0], ())]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words += [draw.choice(VALUES)] * (draw.random() < 0.9)
        elif draw.random() < 0.3 and parameter.name != "debug":  # which asks for a traceback
            flag = getattr(parameter, "is_flag", False)
            words += [draw.choice(parameter.opts), *([] if flag else [draw.choice(VALUES)])]
    return words + [draw.choice(VALUES)] * (draw.random() < 0.1)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands, those of groups by their path."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, below in command.commands.items():
        if name not in LONG:
            yield from commands(below, (*path, name))


COMMANDS = list(commands(typer.main.get_command(app)))
