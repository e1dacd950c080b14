"""Values of a command line: what is taken as it is, is what Typer makes of it."""

import re
from typing import Any

import pytest
import typer
from typer.main import get_command

from spfedrec_cli.cli.app import COMMANDS, app
from spfedrec_cli.cli.values import taken_as_they_are

ONE = [
    None,
    "",
    "a",
    "-",
    "a/../b",
    "é,1",
    "12",
    "0",
    "-3",
    "007",
    "1_0",
    " 7 ",
    "٣",
    "9999999999",
    "1.5",
    "true",
    "parquet",
    "csv",
]
MANY = [None, (), [], ["a"], ["1", "b,c"], ("x", "y")]


def made(parameter: Any, context: Any, value: Any) -> Any:
    try:
        found = parameter.get_runtime_param().coerce(value, param=parameter, ctx=context)
    except typer.BadParameter as error:
        return error.message
    return type(found), found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_comes_to_what_typer_makes_of_it(name: str) -> None:
    command: Any = get_command(app).commands[name]  # type: ignore[attr-defined]
    context = typer.Context(command)
    for parameter in command.params:
        many = parameter.multiple or parameter.nargs == -1
        values = MANY if many else ONE
        vars(parameter).pop("get_runtime_param", None)
        by_typer = [made(parameter, context, value) for value in values]
        taken_as_they_are([parameter])
        ours = [made(parameter, context, value) for value in values]
        assert list(map(_plain, ours)) == list(map(_plain, by_typer)), parameter.name


def _plain(made: Any) -> Any:
    """Without the value that a sentence names, and with pydantic's beginning in the place of ours."""
    return re.sub("^.* is not |^Input should be |, unable to.*", "", made) if isinstance(made, str) else made


@pytest.mark.parametrize(
    "value, said",
    [
        ("0", "'0' is not greater than or equal to 1"),
        ("x", "'x' is not a valid integer"),
        ("", "'' is not a valid integer"),
    ],
)
def test_what_is_wrong_is_named(value: str, said: str) -> None:
    command: Any = get_command(app).commands["recommend"]  # type: ignore[attr-defined]
    (parameter,) = taken_as_they_are([one for one in command.params if "-k" in one.opts])
    assert made(parameter, typer.Context(command), value) == said


def test_typer_is_asked_once_of_what_may_be_wrong() -> None:
    """However often a command looks at its parameters."""
    asked = []

    class Parameter:
        multiple, nargs, min, max = False, 1, 1, None
        type_descriptor = type("", (), {"annotation": int})

        def get_runtime_param(self) -> Any:
            asked.append(self)
            return type("", (), {"coerce": lambda _, value, param, ctx: ("typer", value)})()

    (parameter,) = taken_as_they_are(taken_as_they_are([Parameter()]))
    assert made(parameter, None, "5") == (int, 5)
    assert made(parameter, None, None) == (type(None), None)
    assert not asked
    assert made(parameter, None, "0") == (tuple, ("typer", "0"))
    assert len(asked) == 1
    assert taken_as_they_are([other := object()]) == [other]
