"""The errors that a user is meant to read: what is wrong, where, and what to do next."""

import signal
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class SpfedrecError(Exception):
    """A handled failure, told in one sentence.

    `problem` says what is wrong, `where` names the file, line, column or key, `hint` the next thing to do.
    """

    exit_code = 1

    def __init__(self, problem: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.problem, self.where, self.hint = problem, where, hint
        super().__init__(self.sentence())

    def sentence(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{self.problem}{place}{advice}".removesuffix(".") + ("" if advice.endswith("?") else ".")


class InputError(SpfedrecError):
    """Bad usage, configuration or input: exit code 2."""

    exit_code = 2


class DiskFull(SpfedrecError):
    """The disk, or the user's share of it, has no room for what was to be written."""


SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


class Stopped(KeyboardInterrupt):
    """The process was asked to end, by one of SIGNALS. Exit code: 128 and the signal's number, as shells have it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def expected(given: object, kind: type, hint: str) -> None:
    """Raises InputError where something of another kind was given."""
    if not isinstance(given, kind):
        raise InputError(f"A {kind.__name__} is needed, not a {type(given).__name__}", hint=hint)


def listed(given: Iterable[T]) -> list[T]:
    """One thing alone is a list of one: a text is not the letters that it consists of."""
    alone = isinstance(given, str) or not isinstance(given, Iterable)
    return [given] if alone else list(given)  # type: ignore[list-item]


def nearest(word: str, known: list[str], cutoff: float = 0.5) -> str | None:
    """The member of `known` most like `word`, or None where nothing is near."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    return near[0] if near else None


class Table(dict[str, T]):
    """Rows by name. To ask for one that is not there raises InputError: a run may have been trained with a row that
    was added in a notebook."""

    def __init__(self, what: str, rows: Mapping[str, T]) -> None:
        super().__init__(rows)
        self._what = what

    def __missing__(self, name: str) -> T:
        near = nearest(name, list(self))
        hint = f"did you mean {near}?" if near else f"choose from {', '.join(self)}, or add its row first"
        raise InputError(f"There is no {self._what} {name!r}", hint=hint)
