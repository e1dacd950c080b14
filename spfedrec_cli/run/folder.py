"""A run's folder itself: where it is, who it is, its settings."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spfedrec_cli import files
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.files import Damaged
from spfedrec_cli.locks import locked

LAYOUT = 2
RUNS = Path("runs")
DATASETS = Path("datasets")
_SEAL = "# sha256 of the run and the lines above: "
_NEEDED = ("id", "dataset", "dataset_sha256", "dataset_name")


def is_one_of_several() -> bool:
    """Whether torchrun started this process among others that run the same command."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_helper() -> bool:
    """Whether it did, and another one of them speaks and writes."""
    return is_one_of_several() and os.environ["RANK"] != "0"


def find(name: str | Path) -> Path:
    """The folder of a run: a path, or a name under ./runs. Raises InputError where it is none."""
    for folder in (Path(name), RUNS / name):
        if (folder / "run.json").is_file():
            return folder
    for folder in (Path(name), DATASETS / name):
        if (folder / "dataset.json").is_file():
            hint = f"train on it with `spfedrec train {name}`; `spfedrec runs` lists the runs there are"
            raise InputError(f"{str(name)!r} is a Dataset, not a run", where=str(folder), hint=hint)
    if Path(name).exists():
        raise InputError(
            "The folder is not a run: it has no run.json", where=str(name), hint="make one with `spfedrec train`"
        )
    known = [folder.name for folder in RUNS.iterdir() if (folder / "run.json").is_file()] if RUNS.is_dir() else []
    near = nearest(str(name), known)
    raise InputError(
        f"There is no run {str(name)!r}", hint=f"did you mean {near}?" if near else "see ./runs for the runs there are"
    )


def check_free(folder: Path) -> None:
    """Raises InputError where a run cannot be made there because something is."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise InputError(
            "The run's folder already exists", where=str(folder), hint="choose another --name, or --resume it"
        )


def create(folder: Path, config_toml: str, about: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    """Lay out a new run beside and rename it into place. Raises InputError where the folder is already there."""
    check_free(folder)
    new, identity = _unfinished(folder), uuid.uuid4().hex
    shutil.rmtree(new, ignore_errors=True)
    try:
        with files.disk_told(folder):
            new.mkdir(parents=True)  # which a link in its place does not survive
            (new / "checkpoints").mkdir()
            write_about(new, {"layout": LAYOUT, "id": identity, **about})
            write_config(new, config_toml)
            files.write_json(new / "environment.json", environment)
            os.replace(new, folder)
            files.sync(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def writing(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Nobody else writes the run meanwhile; what killed commands left there is swept. A process that does not write
    locks nothing. Raises Locked where somebody does, after `patience` seconds."""
    if is_helper():
        yield
        return
    with locked(folder, patience):
        sweep(folder)
        yield


def sweep(folder: Path) -> None:
    """Removes what commands that were killed have left in a run and beside it; only for whoever has locked it."""
    shutil.rmtree(_unfinished(folder), ignore_errors=True)
    for place in (folder, folder / "checkpoints", folder / "private"):
        files.sweep(place)


def _unfinished(folder: Path) -> Path:
    folder = Path(os.path.abspath(folder))  # "." has no name
    return folder.with_name(f".{folder.name}.new")


def about(folder: Path) -> dict[str, Any]:
    """run.json. Raises InputError where it is damaged or of another layout."""
    file = folder / "run.json"
    try:
        found = files.read_json(file)
        if found.get("layout") == LAYOUT:
            found = files.unsealed(found, file)
    except (OSError, InputError):
        raise Damaged("The run's run.json cannot be read", where=str(folder), hint="train it again") from None
    if found.get("layout") != LAYOUT:
        hint = f"this version reads layout {LAYOUT}; train it again"
        raise InputError(f"The run has layout {found.get('layout')}", where=str(folder), hint=hint)
    missing = [key for key in _NEEDED if not isinstance(found.get(key), str)]
    if missing:
        raise Damaged(f"The run's run.json lacks {missing[0]}", where=str(folder), hint="train it again")
    return found


def write_about(folder: Path, values: Mapping[str, Any]) -> None:
    """The inverse of `about`."""
    files.write_json(folder / "run.json", files.sealed(values))


def write_config(folder: Path, text: str) -> None:
    """config.toml, with its seal in the last line. The seal knows the run, so that those of two are not exchanged."""
    files.write_text(folder / "config.toml", f"{text}{_SEAL}{_sealing(folder, text)}\n")


def check_config(folder: Path) -> Path:
    """config.toml. Raises InputError where it is not as it was written."""
    file = folder / "config.toml"
    try:
        with files.reading(file) as stream:
            text, found, told = stream.read().decode().rpartition(_SEAL)
    except (OSError, ValueError):
        raise Damaged("The run's settings cannot be read", where=str(file), hint="train it again") from None
    if not found or told.strip() != _sealing(folder, text):
        hint = "put it back as it was, or train a new run with other settings"
        raise Damaged("The run's settings were changed after it began", where=str(file), hint=hint)
    return file


def _sealing(folder: Path, text: str) -> str:
    return files.sha256(f"{about(folder)['id']}\n{text}".encode())
