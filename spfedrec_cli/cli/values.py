"""Values of a command line that are taken as they are.

Typer builds a validator by pydantic for each option, also for those that were not given: a quarter of what a short
command takes. Nothing is to be validated where nothing was given, where a text or a path is asked for, or of a plain
number within its bounds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer


def taken_as_they_are(parameters: list[Any]) -> list[Any]:
    """The same parameters, of which Typer from now on looks only at what may be wrong."""
    for parameter in parameters:
        validated = getattr(parameter, "get_runtime_param", None)  # a Typer of another way validates all
        if validated is not None and not isinstance(validated, _Taking):
            parameter.get_runtime_param = _Taking(validated)
    return parameters


@dataclass(frozen=True)
class _Taking:
    """`validated` makes Typer's own validator, which is asked where there is anything to ask."""

    validated: Callable[[], Any]

    def __call__(self) -> "_Taking":
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        wanted = param.type_descriptor.annotation
        for kind, several in ((str, list[str]), (Path, list[Path])):
            if wanted is kind and not many and isinstance(value, str):
                return kind(value)
            if wanted == several and many and all(isinstance(one, str) for one in value):
                return [kind(one) for one in value]
        if wanted is int and not many and _within(value, param):
            return int(value)
        try:
            return self.validated().coerce(value, param=param, ctx=ctx)
        except typer.BadParameter as error:
            wrong, _, right = error.message.partition("Input should be ")
            if right and not wrong and isinstance(value, str):  # pydantic's words, which do not say what was given
                error.message = f"{value!r} is not {right.partition(', unable to')[0]}"
            raise


def _within(value: Any, param: Any) -> bool:
    """Whether it is written in digits alone, and no bound forbids it."""
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
        return False
    least, most = (getattr(param, name, None) for name in ("min", "max"))
    return (-math.inf if least is None else least) <= int(value) <= (math.inf if most is None else most)
