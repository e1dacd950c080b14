"""spfedrec config: the settings, explained and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spfedrec_cli.cli.failures import Command
from spfedrec_cli.cli.options import (
    AsJson,
    ConfigFile,
    Debug,
    Preset,
    Quiet,
    Settings,
    dataset_folder,
    dataset_names,
)
from spfedrec_cli.cli.output import Output, facts, table

if TYPE_CHECKING:
    from spfedrec_cli.config import Config

HELP = "Show and check settings."
SHOW = """Examples:

\b
  spfedrec config show
  spfedrec config show --preset sample --set train.rounds=50 > mine.toml"""
VALIDATE = """Examples:

\b
  spfedrec config validate mine.toml
  spfedrec config validate mine.toml --dataset ml-100k"""
PRESETS = """Examples:

\b
  spfedrec config presets"""

Checked = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="DATASET",
        help="Check against a Dataset too: its path, or a name under ./datasets.",
        autocompletion=dataset_names,
    ),
]


def build() -> typer.Typer:
    """The three subcommands."""
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("show", cls=Command, epilog=SHOW)(show)
    group.command("validate", cls=Command, epilog=VALIDATE)(validate)
    group.command("presets", cls=Command, epilog=PRESETS)(presets)
    return group


def show(
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Print every setting with its meaning, as a TOML file that --config takes."""
    from spfedrec_cli.config import resolve

    out = Output(json, quiet)
    resolved = resolve(preset, config, settings or [])
    if json:
        out.result(resolved.model_dump(mode="json"))
    else:
        out.line(explained(resolved))


def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file of settings.")],
    dataset: Checked = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a file of settings: whatever `spfedrec train` refuses is refused here."""
    from spfedrec_cli.config import resolve

    config = resolve(file=file)
    folder = None if dataset is None else dataset_folder(dataset)
    _check(config, folder)
    on = {} if folder is None else {"dataset": str(folder)}
    shown = facts("Settings", [(str(file), "valid"), *on.items()])
    Output(json, quiet).result({"file": str(file), "valid": True, **on}, shown)


def _check(config: "Config", folder: Path | None) -> None:
    from spfedrec_cli.engine.settings import check, check_with

    if folder is None:
        check(config)
    else:
        from spfedrec_cli.data.dataset import Dataset

        check_with(config, Dataset.open(folder))


def presets(json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """List the settings that ship."""
    from spfedrec_cli.config import presets as shipped

    rows = list(shipped().items())
    Output(json, quiet).result({"presets": dict(rows)}, table("Presets", ["name", "for"], rows))


def explained(config: "Config") -> str:
    """The configuration as TOML with the meaning of each key behind it."""
    from spfedrec_cli.config import describe

    meanings = {key: meaning for key, _, meaning in describe()}
    lines: list[str] = []
    for section, values in config.model_dump(mode="json").items():
        lines += ["", f"[{section}]"]
        for key, value in values.items():
            setting, meaning = f"{key} = {_toml(value)}", meanings[f"{section}.{key}"]
            lines.append(f"{setting:<30}  # {meaning}" if meaning else setting)
    return "\n".join(lines[1:])


def _toml(value: object) -> str:
    """A value on one line, which tomli_w does not do for lists."""
    import tomli_w

    if isinstance(value, list):
        return f"[{', '.join(_toml(part) for part in value)}]"
    return tomli_w.dumps({"": value}).partition("=")[2].strip()
