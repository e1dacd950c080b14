"""spfedrec train: a Dataset to a run."""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spfedrec_cli.cli.options import (
    AsJson,
    ConfigFile,
    Debug,
    Device,
    Logs,
    Preset,
    Quiet,
    Settings,
    dataset_folder,
    dataset_names,
    listed,
    run_names,
    where,
)
from spfedrec_cli.cli.output import Cell, Output, counted, duration, facts, size, table
from spfedrec_cli.cli.trained import as_json, facts_of, messages_of
from spfedrec_cli.cli.watch import following
from spfedrec_cli.errors import InputError
from spfedrec_cli.run import RUNS, find, is_helper
from spfedrec_cli.run import rounds as run_rounds

if TYPE_CHECKING:
    from spfedrec_cli.config import Config
    from spfedrec_cli.data.dataset import Dataset
    from spfedrec_cli.engine import Begun, SecondRehearsal, Seeds, TrainResult

NAME = "train"
LONGEST_NAME = 200  # bytes: file systems take 255, and locks and seeds are named after it
EXAMPLES = """Examples:

\b
  spfedrec train sample --preset sample --name first
  spfedrec train datasets/hm --set train.rounds=200 --set federated.cohort_size=512
  spfedrec train hm --preset hm-full --workers 2 --dry-run
  spfedrec train ml-100k --preset ml-100k --seeds 5
  spfedrec train hm --config mine.toml --json > result.json
  spfedrec train sample --preset sample --log tensorboard,mlflow
  spfedrec train --resume first"""


Maybe = Annotated[
    str | None,
    typer.Argument(
        metavar="DATASET", help="A Dataset: its path, or a name under ./datasets.", autocompletion=dataset_names
    ),
]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Name of the run; left out, DATASET-PRESET-NUMBER.")]
Resumed = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="Go on with a run; of --set it takes train.rounds alone.", autocompletion=run_names
    ),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Processes side by side; the result is the same to the bit.")
]
SeveralSeeds = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Train N times, from train.seed on: mean and deviation of validation."),
]
Canaries = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Plant N pairs of purchases for `spfedrec audit` to look for; their clients give up their own.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Run a few rounds, say what a training would cost, and leave nothing.")
]


def command(
    dataset: Maybe = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    name: Name = None,
    resume: Resumed = None,
    workers: Workers = None,
    device: Device = None,
    seeds: SeveralSeeds = None,
    canaries: Canaries = None,
    dry_run: DryRun = False,
    log: Logs = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Simulate the federated training of a recommender.

    Everything that a training leaves behind is in runs/NAME.

    Settings come from the defaults, then the preset, then the file, then --set; a later one wins.
    Without a preset or a file, some are chosen for the Dataset, which is said.
    """
    out = Output(json, quiet, is_helper())
    placed = {"workers": workers, "device": device}
    chosen = [*(settings or []), *(f"train.{key}={value}" for key, value in placed.items() if value is not None)]
    chosen += [] if canaries is None else [f"simulation.canaries={canaries}"]
    if resume is not None:
        _refuse_beside_resume(
            preset=preset, config=config, name=name, dry_run=dry_run or None, seeds=seeds, canaries=canaries
        )
        result = _resume(out, find(resume), dataset, settings or [], workers, device, listed(log))
    elif dataset is None:
        raise InputError("Nothing to train on", hint="give a DATASET, or a run with --resume")
    elif dry_run:
        _nothing_logged(log)
        _rehearse(out, dataset_folder(dataset), preset, config, chosen)
        return
    elif seeds is not None:
        _repeat(out, dataset_folder(dataset), preset, config, chosen, name, seeds, listed(log))
        return
    else:
        result = _start(out, dataset_folder(dataset), preset, config, chosen, name, listed(log))
    messages = [] if out.helper else messages_of(result.run)
    shown = table(
        "What crossed the network", ["message", "to", "messages", "mean", "largest", "what it tells"], messages
    )
    out.result(as_json(result), facts(f"Run {result.run}", facts_of(result)), *([shown] if messages else []))
    out.say(f"Next: spfedrec evaluate {result.run} --baselines")
    out.say(f"What somebody could guess from this: spfedrec audit {result.run}")


def _start(
    out: Output,
    folder: Path,
    preset: str | None,
    file: Path | None,
    settings: list[str],
    name: str | None,
    log: list[str],
) -> "TrainResult":
    from spfedrec_cli.config import resolve

    asked = resolve(preset, file, settings)  # what is wrong with them is said before anything is read
    target = RUNS / name_of_run(name, folder.resolve().name, preset)
    from spfedrec_cli import engine
    from spfedrec_cli.data.dataset import Dataset

    dataset = Dataset.open(folder)
    config = asked if preset or file else _suited(out, dataset, settings)
    with following(out, config.train.monitor) as follow:
        announce = _announcing(out, dataset.n_clients, config)
        result = engine.train(dataset, config, target, follow, preset, announce, log=log)
        _warn(follow.warn, result.warnings)
    if result.rounds < config.train.rounds:
        out.say(f"Ended after {result.rounds:,} of {config.train.rounds:,} rounds: {_out_of_patience(config, result)}")
    return result


def _out_of_patience(config: "Config", result: "TrainResult") -> str:
    of = f"train.patience = {config.train.patience}; a new run with 0 trains all rounds"
    return f"no validation after round {result.best_round:,} was better ({of})"


def _repeat(
    out: Output,
    folder: Path,
    preset: str | None,
    file: Path | None,
    settings: list[str],
    name: str | None,
    count: int,
    log: list[str],
) -> None:
    from spfedrec_cli.config import resolve

    asked = resolve(preset, file, settings)
    first = asked.train.seed
    target = RUNS / name_of_run(name, folder.resolve().name, preset, first)
    from spfedrec_cli import engine
    from spfedrec_cli.data.dataset import Dataset

    dataset = Dataset.open(folder)
    config = asked if preset or file else _suited(out, dataset, settings)
    with ExitStack() as stack:

        def watching(run: Path) -> "engine.Watch":
            stack.close()
            return stack.enter_context(following(out, config.train.monitor))

        announce = _announcing(out, dataset.n_clients, config)
        found = engine.train_seeds(dataset, config, target, count, watching, preset, announce, log=log)
    rows = [(metric, mean, found.deviation[metric]) for metric, mean in found.mean.items()]
    shown = table(f"Validation over {counted(count, 'seed')}", ["metric", "mean", "deviation"], rows)
    monitor = found.results[0].monitor
    runs = table("Runs", ["run", "seed", "best round", monitor], _seed_rows(found, first, monitor))
    told = {
        "runs": [as_json(result) for result in found.results],
        "validation": found.mean,
        "deviation": found.deviation,
    }
    out.result(told, shown, runs)


def _suited(out: Output, dataset: "Dataset", settings: list[str]) -> "Config":
    """The settings of a training without a preset or a file: some are chosen for the Dataset, which is said."""
    from spfedrec_cli import engine
    from spfedrec_cli.config import resolve

    chosen = engine.suited(dataset, settings)
    for choice in chosen:
        out.say(f"Chosen for {dataset.name}: {choice.why}")
    return resolve(settings=[*(each for choice in chosen for each in choice.settings), *settings])


def _seed_rows(found: "Seeds", first: int, monitor: str) -> list[tuple[Cell, ...]]:
    numbered = enumerate(found.results, first)
    return [(str(run.run), str(seed), run.best_round, run.validation[monitor]) for seed, run in numbered]


def _rehearse(out: Output, folder: Path, preset: str | None, file: Path | None, settings: list[str]) -> None:
    from spfedrec_cli.config import resolve

    asked = resolve(preset, file, settings)
    from spfedrec_cli import engine
    from spfedrec_cli.data.dataset import Dataset

    dataset = Dataset.open(folder)
    config = asked if preset or file else _suited(out, dataset, settings)
    with out.stages() as tell:
        tell("rehearsing a few rounds")
        told = engine.rehearse(dataset, config)
    rows: list[tuple[str, Cell]] = [
        ("rounds", told.rounds),
        ("clients a round", told.clients),
        ("time a round", duration(told.seconds_a_round)),
        ("time without validation", duration(told.seconds)),
        ("memory of those rounds", size(told.peak_memory)),
        ("memory reckoned for all of it", size(told.reckoned_memory)),
        ("sent by a client a round", size(told.bytes_up)),
        ("received by a client a round", size(told.bytes_down)),
        *((f"{way}, in secret-sharing chains", size(count)) for way, count in told.bytes_in_chains.items()),
        ("multiply-adds of a client a round", round(told.multiply_adds)),
        ("weights of the query tower", told.query_parameters),
        ("weights of the item tower", told.item_parameters),
        *_second_rehearsed(told.second_stage),
    ]
    out.result(asdict(told), facts(f"A training on {folder}", rows))


def _second_rehearsed(told: "SecondRehearsal | None") -> list[tuple[str, Cell]]:
    if told is None:
        return []
    return [
        ("rounds of the second stage", told.rounds),
        ("clients in one of its rounds", told.clients),
        ("time of one of its rounds", duration(told.seconds_a_round)),
        ("time of all of them, at most", duration(told.seconds)),
        ("sent by a client in one of them", size(told.bytes_up)),
        ("received by a client in one of them", size(told.bytes_down)),
        ("sent by a client once, for weekly sums", size(told.bytes_once)),
        ("weights of the second stage", told.parameters),
    ]


def _resume(
    out: Output,
    folder: Path,
    dataset: str | None,
    settings: list[str],
    workers: int | None,
    device: str | None,
    log: list[str],
) -> "TrainResult":
    rounds = _rounds(settings)
    from spfedrec_cli import engine

    before = run_rounds(folder)
    with following(out, engine.load_config(folder).train.monitor) as follow:
        result = engine.resume(folder, follow, rounds, workers, device, log=log, **where(dataset))
        _warn(follow.warn, result.warnings)
    if before and before[-1] == result.rounds and follow.idle:
        out.say(f"{folder} was finished already, with {counted(result.rounds, 'round')}: nothing was trained")
        config = engine.load_config(folder)
        longer = f"To prolong it: spfedrec train --resume {folder} --set train.rounds={2 * result.rounds}"
        ended = f"It cannot be prolonged: {_out_of_patience(config, result)}"
        out.say(ended if result.rounds < config.train.rounds else longer)
    return result


def _nothing_logged(log: str | None) -> None:
    if log is not None:
        raise InputError("A rehearsal leaves nothing, and so no log", hint="leave --log out, or --dry-run")


def _refuse_beside_resume(**given: object) -> None:
    for name, value in given.items():
        if value is not None:
            option = name.replace("_", "-")
            raise InputError("A resumed run keeps its name and settings", hint=f"leave --{option} out")


def _rounds(settings: list[str]) -> int | None:
    """The rounds that a resumed run is to reach, where they are said."""
    from spfedrec_cli.config import resolve

    for setting in settings:
        if setting.partition("=")[0].strip() != "train.rounds":
            hint = "only train.rounds can be raised; start a new run for anything else"
            raise InputError("A resumed run keeps its settings", where=f"--set {setting}", hint=hint)
    return resolve(settings=settings).train.rounds if settings else None


def name_of_run(name: str | None, dataset: str, preset: str | None, seed: int | None = None) -> str:
    """`name` where it is given and can name a folder, else the first of dataset-preset-1, -2, … that is free (with a
    seed behind it, where there are several)."""
    if name is not None:
        if not re.fullmatch(r"\w[\w.-]*", name) or len(name.encode()) > LONGEST_NAME:
            hint = f"use up to {LONGEST_NAME} letters, digits, dots, - and _; the run goes to runs/NAME"
            raise InputError(f"{name!r} cannot name a run", where="--name", hint=hint)
        return name
    stem = f"{dataset}-{preset}" if preset and preset != dataset else dataset
    behind = "" if seed is None else f"-seed-{seed}"
    return next(f"{stem}-{n}" for n in count(1) if not (RUNS / f"{stem}-{n}{behind}").exists())


def _announcing(out: Output, clients: int, asked: "Config") -> "Begun":
    """Says what begins, and where the settings follow the catalogue."""

    def announce(target: Path, config: "Config") -> None:
        cohort = counted(min(config.federated.cohort_size, clients), "client")
        out.say(f"Training {target}: {counted(config.train.rounds, 'round')}, each with {cohort} of {clients:,}")
        if config.train.monitor != asked.train.monitor:
            fewer = f"there are fewer items than {asked.train.monitor} asks for"
            out.say(f"The best round is chosen by {config.train.monitor}: {fewer}")

    return announce


def _warn(warn: Any, warnings: Iterable[str]) -> None:
    for warning in warnings:
        warn(warning)
