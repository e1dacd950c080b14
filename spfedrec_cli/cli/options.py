"""Arguments that several commands share, and where the names in them lead."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.fitting import preset_for
from spfedrec_cli.run import DATASETS, RUNS


def dataset_names(incomplete: str) -> list[str]:
    """Datasets under ./datasets that the shell may complete a word to; where there is none, it completes paths."""
    return _beginning(incomplete, DATASETS.glob("*/dataset.json"))


def run_names(incomplete: str) -> list[str]:
    """The same of runs under ./runs."""
    return _beginning(incomplete, RUNS.glob("*/run.json"))


def preset_names(incomplete: str) -> list[str]:
    """The same of the presets that ship."""
    from spfedrec_cli.config import presets

    return [name for name in presets() if name.startswith(incomplete)]


def _beginning(incomplete: str, files: Iterable[Path]) -> list[str]:
    return sorted(file.parent.name for file in files if file.parent.name.startswith(incomplete))


DatasetName = Annotated[
    str,
    typer.Argument(
        metavar="DATASET", help="A Dataset: its path, or a name under ./datasets.", autocompletion=dataset_names
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its path, or a name under ./runs.", autocompletion=run_names)
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Settings that go well together; see `spfedrec config presets`.",
        autocompletion=preset_names,
    ),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings from a TOML file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting, for example train.rounds=50. Repeatable."),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None,
    typer.Option("--device", help="Where the server computes; auto: cuda where there is a GPU for it, else cpu."),
]
TrainedOn = Annotated[
    str | None,
    typer.Option("--dataset", metavar="DATASET", help="Where the run's Dataset is now, if it is not found by itself."),
]
Logs = Annotated[
    str | None,
    typer.Option("--log", metavar="LOG,…", help="Also tell tensorboard, mlflow or both; metrics.jsonl has the same."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no hints.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


def dataset_folder(name: str) -> Path:
    """The folder of a Dataset; raises InputError where neither the path nor the name leads to anything."""
    places = (Path(name), DATASETS / name)
    described = [folder for folder in places if (folder / "dataset.json").is_file()]
    if described:
        return described[0]
    for folder in (Path(name), RUNS / name):
        if (folder / "run.json").is_file():
            hint = f"resume it with `spfedrec train --resume {name}`, or see what it leaks with `spfedrec audit {name}`"
            raise InputError(f"{name!r} is a run, not a Dataset", where=str(folder), hint=hint)
    if places[0].exists():
        return places[0]
    known = sorted(file.parent.name for file in DATASETS.glob("*/dataset.json"))
    near = nearest(name, known)
    hint = f"did you mean {near}?" if near else "make one with `spfedrec prepare`, or check the path"
    raise InputError(f"There is no Dataset {name!r}", where=f"here and under {DATASETS}", hint=hint)


def listed(text: str | None) -> list[str]:
    """What stands between commas."""
    return [] if text is None else [part.strip() for part in text.split(",")]


def where(dataset: str | None) -> dict[str, Any]:
    """For the engine: where the run's Dataset is, if that was said."""
    return {} if dataset is None else {"dataset": dataset_folder(dataset)}


def training(dataset: Path, source: str, clients: int) -> str:
    """The command that trains on a Dataset of so many clients, with the preset that fits it, if there is one."""
    preset = preset_for(source, clients)
    return f"spfedrec train {dataset}" + (f" --preset {preset}" if preset else "")
