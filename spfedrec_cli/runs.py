"""What there is to know of trained runs, gathered from their folders. Loads neither torch nor Arrow nor pandas."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from spfedrec_cli import files
from spfedrec_cli.config import Config, presets, resolve
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.run import RUNS, about, check_config, load_manifest, origin, records
from spfedrec_cli.run import rounds as rounds_of
from spfedrec_cli.run.lines import unlike

TEST = "test/full/all"  # the entry of evaluation.json that ranks all items for the test split
_DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Run:
    """One run. `validation` is the best of `monitor` so far, `test` its value on the test split where it was evaluated.

    `preset` is None where its settings are those of none. `notes` say what could not be read of it.
    """

    path: Path
    started: datetime
    dataset: str
    preset: str | None
    seed: int
    rounds: int
    rounds_planned: int
    monitor: str
    validation: float | None
    test: float | None
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())


def folders() -> list[Path]:
    """The runs under ./runs, by name, and what remains of some; none that is only about to begin."""
    found = {file.parent for name in ("run.json", "checkpoints") for file in RUNS.glob(f"*/{name}")}
    return sorted(folder for folder in found if not folder.name.startswith("."))


def read(folder: Path) -> Run:
    """Raises InputError where the folder cannot be read as a run; a damaged evaluation is a note."""
    told, config = about(folder), resolve(file=check_config(folder))
    monitor = config.train.monitor
    try:
        rounds = records(folder / "metrics.jsonl")
        reached, best = rounds[-1]["round"] if rounds else 0, _best(rounds, monitor)
        dataset, started = str(told["dataset_name"]), _started(folder, told)
    except _DAMAGED:
        raise InputError("The run cannot be read", where=str(folder), hint="mend its files, or move it away") from None
    preset = told["preset"] if "preset" in told else recognised(config)
    notes = _lines(folder)
    test, more = _test(folder, monitor)
    settings, train = _flat(config), config.train
    notes += more
    seed, planned = train.seed, train.rounds
    return Run(folder, started, dataset, preset, seed, reached, planned, monitor, best, test, settings, notes)


def gather(runs: Iterable[Path], warn: Callable[[str], None]) -> list[Run]:
    """Those that can be read; the others, and what is damaged in one, are named to `warn`."""
    found = []
    for folder in runs:
        try:
            found.append(read(folder))
        except SpfedrecError as error:
            warn(f"{folder} is left out: {error.sentence()}")
    for run in found:
        for note in run.notes:
            warn(note)
    return found


def in_order(runs: Sequence[Run], by: str) -> list[Run]:
    """Sorted by a key of ORDERS: dates newest first, metrics best first with the unmeasured behind."""
    return sorted(runs, key=ORDERS[by])


def changed(runs: Sequence[Run]) -> list[str]:
    """The settings, as section.key, in which these runs differ."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if any(run.settings.get(key) != runs[0].settings.get(key) for run in runs)]


def recognised(config: Config) -> str | None:
    """The one shipped preset whose settings these are, whatever [train] says of length, seed and machine."""
    same = [name for name, shipped in _shipped().items() if shipped == _lasting(config)]
    return same[0] if len(same) == 1 else None


ORDERS: dict[str, Callable[[Run], Any]] = {
    "name": lambda run: run.path.name,
    "date": lambda run: -run.started.timestamp(),
    "dataset": lambda run: (run.dataset, run.path.name),
    "validation": lambda run: _worse(run.validation),
    "test": lambda run: _worse(run.test),
}


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return {name: _lasting(resolve(name)) for name in presets()}


def _lasting(config: Config) -> dict[str, Any]:
    return config.model_dump(exclude={"train"})


def _flat(config: Config) -> dict[str, Any]:
    sections = config.model_dump(mode="json").items()
    return {f"{section}.{key}": value for section, values in sections for key, value in values.items()}


def _best(rounds: Sequence[Mapping[str, Any]], monitor: str) -> float | None:
    measured = [line["validation"].get(monitor) for line in rounds if line["validation"]]
    return max((float(value) for value in measured if value is not None), default=None)


def _started(folder: Path, origin: Mapping[str, Any]) -> datetime:
    """As run.json says, or when that was written."""
    if "started" not in origin:
        return datetime.fromtimestamp((folder / "run.json").stat().st_mtime, UTC)
    told = datetime.fromisoformat(origin["started"])
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _test(folder: Path, monitor: str) -> tuple[float | None, tuple[str, ...]]:
    file = folder / "evaluation.json"
    try:
        entry = files.read_json(file).get(TEST)
        if entry is None:
            return None, ()
        found = files.unsealed(entry, file)
        value = found["metrics"].get(monitor)
        if not _is_of(folder, found):
            return None, (f"The evaluation is of another run, Dataset or checkpoint ({file}); evaluate again",)
        return None if value is None else float(value), ()
    except FileNotFoundError:
        is_gone = file.is_symlink() or any(folder.glob("evaluation-*.parquet"))
        return None, (f"The evaluation is gone ({file}); evaluate again",) if is_gone else ()
    except (*_DAMAGED, SpfedrecError):
        return None, (f"The evaluation cannot be read ({file}); move it away and evaluate again",)


def _is_of(folder: Path, entry: Mapping[str, Any]) -> bool:
    try:
        return origin(folder, entry["checkpoint_round"]).items() <= entry.items()
    except SpfedrecError:
        return False


def _lines(folder: Path) -> tuple[str, ...]:
    """A note where metrics.jsonl is not what the last checkpoint knew, or that cannot be said."""
    try:
        saved = load_manifest(folder, found[-1])["lines"] if (found := rounds_of(folder)) else {}
    except SpfedrecError as error:
        return (error.sentence(),)
    hint = f"see what can be done with `spfedrec doctor {folder}`"
    return tuple(f"Lines of the run are damaged or gone ({file}); {hint}" for file in unlike(folder, saved))


def _worse(value: float | None) -> float:
    return float("inf") if value is None else -value
