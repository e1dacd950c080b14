"""The one place where a failure becomes a sentence on stderr and an exit code."""

import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from spfedrec_cli import files
from spfedrec_cli.cli.output import Output
from spfedrec_cli.cli.values import taken_as_they_are
from spfedrec_cli.errors import SIGNALS, SpfedrecError, Stopped
from spfedrec_cli.run.folder import is_helper

INTERRUPTED = 130
UNFORESEEN = 1
SOON = 0.05  # seconds
_IMPORT, _ENGINE = "<frozen importlib._bootstrap>", "spfedrec_cli.engine"


class Command(TyperCommand):
    """A command whose failures are told. Has a --debug flag that shows the traceback as well.

    Usage errors, which come before a command runs, are Typer's own and leave with 2; Program shows them.
    """

    def get_params(self, ctx: Any) -> Any:
        return taken_as_they_are(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        try:
            with _warned(), _stoppable():
                return super().invoke(ctx)
        except (KeyboardInterrupt, SpfedrecError) as error:
            failure: BaseException = error
        except Exception as error:
            if _passes(error):
                raise
            failure = error
        if ctx.params.get("debug"):
            sys.stderr.write("".join(traceback.format_exception(failure)))
        sentence, code = told(failure)
        Output().error(sentence)
        raise typer.Exit(code)


class Program(TyperGroup):
    """All commands. A terminal is shown usage errors as other errors are: in lines that end between words."""

    def get_params(self, ctx: Any) -> Any:
        return taken_as_they_are(super().get_params(ctx))

    def make_context(self, *words: Any, **more: Any) -> Any:
        with _usage_told():
            return super().make_context(*words, **more)

    def invoke(self, ctx: Any) -> Any:
        with _usage_told():
            return super().invoke(ctx)


@contextmanager
def _usage_told() -> Iterator[None]:
    try:
        yield
    except typer.TyperException as error:
        if not sys.stderr.isatty():
            raise
        usage: Any = error  # Typer's own types keep their methods to themselves
        words = io.StringIO()
        usage.show(words)
        Output().lines_of_talk(words.getvalue())
        raise typer.Exit(usage.exit_code) from None


@contextmanager
def _stoppable() -> Iterator[None]:
    """While a command works, a signal to end makes it tidy up first.

    What is being imported comes to its end before: torch aborts where an exception comes in between. But until the
    engine is there nothing was begun: the program ends at once.
    """
    before = dict[int, Any]()

    def stop(number: int, frame: FrameType | None) -> None:
        under_way = list(_frames(frame))
        if not any(each.f_code.co_filename == _IMPORT for each in under_way):
            raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number)
        if callable(before[number]) and any(each.f_globals.get("__name__") == _ENGINE for each in under_way):
            before[number](number, frame)
        again = threading.Timer(SOON, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                    before[number] = signal.signal(number, stop)
                    stack.callback(signal.signal, number, before[number])
        yield


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


class _Warnings(logging.Handler):
    """What the engine warns of, wherever nobody else hears it."""

    def emit(self, record: logging.LogRecord) -> None:
        if logging.getLogger("spfedrec_cli").handlers[-1] is self:
            Output(helper=is_helper()).warn(record.getMessage())


@contextmanager
def _warned() -> Iterator[None]:
    log, handler = logging.getLogger("spfedrec_cli"), _Warnings(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def told(failure: BaseException) -> tuple[str, int]:
    """What the user reads of `failure`, and the exit code."""
    if isinstance(failure, SpfedrecError):
        return failure.sentence(), failure.exit_code
    if isinstance(failure, Stopped):
        return f"Stopped by {signal.Signals(failure.number).name}.", 128 + failure.number
    if isinstance(failure, KeyboardInterrupt):
        return "Interrupted.", INTERRUPTED
    if files.is_full(failure):
        return files.full_disk(Path(getattr(failure, "filename", None) or ".")).sentence(), UNFORESEEN
    if isinstance(failure, OSError) and failure.strerror:
        place = f" ({failure.filename})" if failure.filename else ""
        return (
            f"The system refused: {failure.strerror}{place}; check the path, its permissions and the disk.",
            UNFORESEEN,
        )
    kind = type(failure).__name__
    if kind == "OutOfMemoryError":  # torch's; to import torch for its sake would cost every command a second
        return "The GPU has too little memory; use --device cpu, or a smaller federated.cohort_size.", UNFORESEEN
    return f"Internal error: {kind}: {failure}; run the command again with --debug for the traceback.", UNFORESEEN


def _passes(error: Exception) -> bool:
    """Whether Typer deals with `error` itself: its own exceptions, and a reader that hung up (`| head`)."""
    return isinstance(error, BrokenPipeError | typer.Exit | typer.Abort | typer.TyperException)
