"""Training: rounds, each recorded; validation and checkpoints when they are due."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import spfedrec_cli
from spfedrec_cli import files, run
from spfedrec_cli.config import Config, Settings, to_toml
from spfedrec_cli.config import validate as within_bounds
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.checkpoint import check_finite, go_on_from, load_state
from spfedrec_cli.engine.executed import beside_ideal
from spfedrec_cli.engine.load import check_popularity, given_popularity, load_config, load_dataset, load_world
from spfedrec_cli.engine.logs import check_logs, logged
from spfedrec_cli.engine.machine import environment
from spfedrec_cli.engine.memory import check_memory, free_memory, resident_memory, shape_of
from spfedrec_cli.engine.place import Place
from spfedrec_cli.engine.second_stage import rank_for_themselves
from spfedrec_cli.engine.settings import check, check_with
from spfedrec_cli.engine.spread import check_in_step, started, whole
from spfedrec_cli.engine.stop import agreed, deferred_interrupt, interrupted
from spfedrec_cli.engine.tally import Tally
from spfedrec_cli.engine.team import device_of, gathered
from spfedrec_cli.engine.told import Progress, TrainResult, Watch, ignore
from spfedrec_cli.engine.validation import Validation, validate
from spfedrec_cli.errors import DiskFull, InputError
from spfedrec_cli.federated.processes import Team
from spfedrec_cli.federated.simulation.state import State, stored_tensors
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.table import STRATEGIES

Begun = Callable[[Path, Config], None]


def silently(folder: Path, config: Config) -> None:
    """For those who do not ask when a training begins."""


def train(
    dataset: Dataset,
    config: Config,
    folder: Path | str,
    watch: Watch = ignore,
    preset: str | None = None,
    begun: Begun = silently,
    log: Sequence[str] = (),
) -> TrainResult:
    """Train into a new run folder. Raises InputError where the folder exists or the settings do not fit the Dataset.

    `preset`: its name, where the settings come from one, for the record. `begun` is told of the training once nothing
    is left to refuse, with the settings as they are followed. `log`: who else is told of every round, of tensorboard
    and mlflow.
    """
    check_logs(log)
    folder = Path(folder)
    config = check_with(config, dataset)
    about = {
        "dataset": str(dataset.path.resolve()),
        "dataset_sha256": dataset.fingerprint,
        "dataset_name": dataset.name,
        "preset": preset,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "secrets": "simulated",
    }
    given = given_popularity(dataset, config)
    if given is not None:
        about["popularity_sha256"] = given.sha256
    with run.writing(folder), _gathered(folder, dataset, config) as team:
        world = load_world(dataset, config, team, device_of(config.train.device, team))
        if team.is_chief:
            about |= {"version": spfedrec_cli.__version__}
            run.create(folder, to_toml(config), about, environment(world.known.device))
            begun(folder, config)
        chief = folder if team.is_chief else None
        with _resumable(folder), logged(chief, config, log, watch) as watching:
            return _train(dataset, world, None, Place(chief, watching))


@contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """A full disk stops a training whose run is there by now, so that the same command would be refused."""
    try:
        yield
    except Exception as error:
        full = files.full_disk(folder) if files.is_full(error) else error
        if not isinstance(full, DiskFull):
            raise
        hint = f"make room, and go on with `spfedrec train --resume {folder}`"
        raise DiskFull(full.problem, where=full.where, hint=hint) from None


@contextmanager
def _gathered(folder: Path, dataset: Dataset, config: Config) -> Iterator[Team]:
    """The processes of a new training, where there is room for it."""
    run.check_free(folder)
    check_memory(shape_of(dataset), config, free_memory())
    with gathered(dataset, config, "train") as team:
        yield team


def resume(
    folder: Path | str,
    watch: Watch = ignore,
    rounds: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    dataset: Path | str | None = None,
    log: Sequence[str] = (),
) -> TrainResult:
    """Go on from the last checkpoint, to the same bits as an unbroken run, unless `device` is another than before;
    `rounds` may prolong the training (under `server.schedule = linear` with the rates of the longer one). `dataset`:
    where the run's Dataset is now, if it is not found by itself. A damaged checkpoint is passed over, with a warning,
    for the one before it. `log`: as `train` has it; what a log lacks of earlier rounds is added. Raises Locked where
    another process writes the run."""
    check_logs(log)
    folder = run.find(folder)
    with run.writing(folder):
        changed = {"rounds": rounds, "workers": workers, "device": device}
        return _resume(folder, watch, {key: value for key, value in changed.items() if value is not None}, dataset, log)


def _resume(
    folder: Path, watch: Watch, changed: dict[str, Any], dataset: Path | str | None, log: Sequence[str]
) -> TrainResult:
    config, opened = load_config(folder), load_dataset(folder, dataset)
    train = config.train.model_copy(update=changed)
    config = within_bounds(config.model_copy(update={"train": train}).model_dump())
    check(config)
    begun = run.rounds(folder) or run.listed(folder)
    loaded = load_state(folder, run.usable(folder, lines=True)) if begun else None
    reached = loaded[0].round if loaded else 0
    if loaded is None:
        check_popularity(folder, opened, config)
    if reached > config.train.rounds:
        raise InputError(f"The run is already at round {reached}", where=str(folder), hint="give a number above that")
    check_memory(shape_of(opened), config, free_memory())
    with gathered(opened, config, "train") as team:
        world = load_world(opened, config, team, device_of(config.train.device, team))
        if team.is_chief:
            run.write_config(folder, to_toml(config))
            go_on_from(folder, loaded, config.train.keep)
        chief = folder if team.is_chief else None
        with logged(chief, config, log, watch) as watching:
            return _train(opened, world, loaded, Place(chief, watching))


def train_in(dataset: Dataset, config: Config, team: Team) -> None:
    """Take part in a training that another process of the team leads."""
    world = load_world(dataset, config, team, device_of(config.train.device, team))
    _train(dataset, world, None, Place(None, ignore))


def _train(dataset: Dataset, world: World, loaded: tuple[State, Tally] | None, place: Place) -> TrainResult:
    """The loop. Whatever is due in a round is due again after a resume: nothing depends on when it was stopped."""
    train, step, team = world.config.train, STRATEGIES[world.config.federated.strategy], world.team
    state, tally = started(world, loaded)
    seconds, updates_before, validation = 0.0, tally.client_updates, Validation(dataset, world)
    with deferred_interrupt() as stop:
        while state.round < train.rounds and not is_patience_over(world.config, state.round, tally):
            began = time.perf_counter()
            state, report = step(state, world)
            check_finite(state, tables=False)
            spent = time.perf_counter() - began
            seconds, tally = seconds + spent, tally.after(report)
            last = state.round == train.rounds
            due = last or state.round % train.eval_every == 0
            state, scores, of_scores = validate(validation, state) if due else (state, None, [])
            judged = time.perf_counter() - began - spent
            warnings = [*_warnings(report, due), *of_scores]
            tally, warning = _judge(tally, world.config, state, scores, warnings)
            progress = _progress(world.config, state, report, (spent, judged), scores, warning)
            place.record(report, progress)
            is_best, stopped = due and tally.best_round == state.round, agreed(team, stop)
            last = last or is_patience_over(world.config, state.round, tally)
            if is_best or last or stopped or state.round % train.checkpoint_every == 0:
                check_finite(state)
                check_in_step(world, state)
                place.save(whole(world, state), tally, train.keep)
            place.watch(progress)
            if stopped and not last:
                raise interrupted(stop, f"round {state.round} of {train.rounds}", place.folder)
    moved = tally.client_updates > updates_before
    state, tally, second = rank_for_themselves(dataset, world, state, tally, place, moved)
    speed = (tally.client_updates - updates_before) / seconds if seconds else 0.0
    result = _result(place.folder or Path(), whole(world, state), tally, speed, train.monitor)
    return replace(result, second_stage=second, bytes_in_chains=beside_ideal(world, state))


def _result(folder: Path, state: State, tally: Tally, speed: float, monitor: str) -> TrainResult:
    every = {**stored_tensors(state), **({} if state.private is None else {"private": state.private})}
    return TrainResult(
        run=folder,
        rounds=state.round,
        client_updates=tally.client_updates,
        survivors=tally.survivors,
        aborted=tally.aborted,
        clients_per_second=speed,
        validation=dict(tally.validation or {}),
        bytes_up=tally.bytes_up,
        bytes_down=tally.bytes_down,
        state_sha256=run.digest(every),
        best_round=tally.best_round,
        warnings=tally.warnings,
        monitor=monitor,
        prior=tally.prior,
    )


def is_patience_over(config: Settings, round_: int, tally: Tally) -> bool:
    """Whether the last `train.patience` validations brought nothing better. It follows from what a checkpoint holds."""
    train = config.train
    validated = round_ // train.eval_every - tally.best_round // train.eval_every
    return 0 < train.patience <= validated and tally.best_round > 0


DROWNED = "server.tau is larger than √v in most coordinates, so the optimiser does not adapt; lower server.tau"


def _warnings(report: Report, due: bool) -> list[str]:
    """Of the strategy, and, where a validation is due, of its optimiser."""
    return [*([report.warning] if report.warning else []), *([DROWNED] if report.drowned and due else [])]


def _judge(
    tally: Tally, config: Settings, state: State, scores: Mapping[str, float] | None, warnings: list[str]
) -> tuple[Tally, str | None]:
    """Is this the best round so far? And is there something to warn about that was not said before?"""
    fresh = tuple(warning for warning in warnings if warning not in tally.warnings)
    tally, warning = replace(tally, warnings=tally.warnings + fresh), "; ".join(fresh) or None
    if scores is None or scores[config.train.monitor] <= tally.best:
        return tally, warning
    return tally.best_in(state.round, scores, config.train.monitor, _chosen(state)), warning


def _chosen(state: State) -> float | None:
    """γ, where validation chose it."""
    return None if state.prior is None else float(state.prior)


def _progress(
    config: Settings,
    state: State,
    report: Report,
    seconds: tuple[float, float],
    scores: dict[str, float] | None,
    warning: str | None,
) -> Progress:
    up, down = report.ledger.total("up"), report.ledger.total("down")
    return Progress(
        report.round,
        config.train.rounds,
        report.loss,
        report.clients,
        report.survivors,
        report.aborted,
        report.saturated,
        seconds[0],
        up,
        down,
        scores,
        warning,
        report.without_target,
        seconds[1] if scores else 0.0,
        report.silent,
        resident_memory(),
        prior=_chosen(state),
    )
