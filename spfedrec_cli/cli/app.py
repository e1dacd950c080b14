"""The table of commands. A new one is one module and one name here."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated

import typer

from spfedrec_cli import __version__
from spfedrec_cli.cli.failures import Command, Program
from spfedrec_cli.cli.output import Output

OVERVIEW = """What would a recommender give me that never collects its customers' purchases?

spfedrec prepares purchase data, simulates the federated training of SpFedRec on it, measures how good its
recommendations are and what every client sends, and hands out recommendations and embeddings."""

START = """Start here:

\b
  spfedrec prepare --source sample --output datasets/sample
  spfedrec train sample --preset sample --name first
  spfedrec evaluate first --baselines"""

COMMANDS = (
    *("prepare", "describe", "train", "sweep", "evaluate", "audit", "compare", "report", "plot"),
    *("recommend", "export", "device", "runs", "doctor", "bench"),
)
CONFIG = "config"  # which has commands of its own


def _show_version(asked: bool) -> None:
    if asked:
        Output().line(f"spfedrec {__version__}")
        raise typer.Exit


def overview(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and leave.")
    ] = False,
) -> None:
    """Handles what is said before any command."""


def build(only: str | None = None) -> typer.Typer:
    """The application with every command, or with one alone: the others need not be loaded for it."""
    settings = {"help_option_names": ["--help", "-h"], "max_content_width": 100}
    application = typer.Typer(
        name="spfedrec",
        cls=Program,
        help=OVERVIEW,
        epilog=START,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=settings,
    )
    application.callback(help=OVERVIEW)(overview)
    for name in COMMANDS if only is None else [only] if only in COMMANDS else []:
        module = import_module(f"spfedrec_cli.cli.{name}")
        application.command(module.NAME, cls=Command, epilog=module.EXAMPLES)(module.command)
    if only in (None, CONFIG):
        from spfedrec_cli.cli import config

        application.add_typer(config.build(), name=CONFIG)
    return application


def asked(words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """The one command that a command line needs; None where it may need any, as for the shell's completion."""
    completes = any(name.endswith("_COMPLETE") for name in environment)
    return words[0] if words and words[0] in (*COMMANDS, CONFIG) and not completes else None


def __getattr__(name: str) -> typer.Typer:
    """`app`, the whole of it, built when it is first asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _whole()


@cache
def _whole() -> typer.Typer:
    return build()
