"""The table of commands. A new one is one module and one row here."""

from typing import Annotated

import typer

from spfedrec_cli import __version__
from spfedrec_cli.cli import (
    audit,
    bench,
    compare,
    config,
    describe,
    device,
    doctor,
    evaluate,
    export,
    plot,
    prepare,
    recommend,
    report,
    runs,
    sweep,
    train,
)
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
    prepare,
    describe,
    train,
    sweep,
    evaluate,
    audit,
    compare,
    report,
    plot,
    recommend,
    export,
    device,
    runs,
    doctor,
    bench,
)


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


def build() -> typer.Typer:
    """The application with every command."""
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
    for module in COMMANDS:
        application.command(module.NAME, cls=Command, epilog=module.EXAMPLES)(module.command)
    application.add_typer(config.build(), name="config")
    return application


app = build()
