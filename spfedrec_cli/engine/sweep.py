"""A sweep: every trial is a training of its own, several at once, each in a process of its own.

Trials are planned before the first begins, or (a search) each is chosen by what came of those before it.
"""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spfedrec_cli import run, runs, sweeps
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.load import load_config
from spfedrec_cli.engine.logs import check_logs
from spfedrec_cli.engine.search import Tried, check_search, ends, next_of, refuse_both
from spfedrec_cli.engine.settings import check_with
from spfedrec_cli.engine.stop import Interrupted
from spfedrec_cli.engine.validation import following_catalogue
from spfedrec_cli.errors import InputError, SpfedrecError, listed
from spfedrec_cli.locks import locked
from spfedrec_cli.run import RUNS
from spfedrec_cli.sweeps import Plan, Trial
from spfedrec_cli.threads import cores


@dataclass(frozen=True)
class Outcome:
    """Of one trial: its settings, the best `validation` by the monitor and the rounds it reached; `failure` is the
    sentence of one that failed."""

    run: str
    settings: dict[str, str]
    validation: float | None
    rounds: int
    failure: str | None = None


@dataclass(frozen=True)
class Swept:
    """The trials, the best on validation first. No test split was looked at."""

    name: str
    monitor: str
    trials: tuple[Outcome, ...]

    @property
    def best(self) -> Outcome | None:
        return next((each for each in self.trials if each.validation is not None), None)


Done = Callable[[Outcome, int, int], None]  # of a trial; how many are done, of how many


def quietly(outcome: Outcome, done: int, total: int) -> None:
    """For those who do not ask how far a sweep is."""


def sweep(
    dataset: Path | str,
    name: str,
    settings: Sequence[str],
    preset: str | None = None,
    config: Path | str | None = None,
    random: int | None = None,
    seed: int = 0,
    jobs: int | None = None,
    watch: Done = quietly,
    search: int | None = None,
    log: Sequence[str] = (),
) -> Swept:
    """Train every combination of `settings` (section.key=a,b,c), or `random` of them, `jobs` at once (one a core).

    `search`: so many trials, each chosen by Optuna from what came of those before it, from lists of values and ranges
    (section.key=0.01..1); with several jobs, what it knows of them depends on which ends first. `log`: as `train`.

    Runs are runs/NAME-001 and so on, each by one thread, so that the bits do not depend on `jobs`. The same call goes
    on with what was stopped: trials that ended are kept, one that had begun resumes. Raises InputError, before any
    training, where nothing varies, a combination does not fit the Dataset, or another sweep has the name; Locked where
    the same one is under way; Interrupted after a signal, when all that run have saved; SpfedrecError where every trial
    failed.
    """
    check_logs(log)
    opened = Dataset.open(dataset)
    plan = planned(
        opened, name, listed(settings), preset, None if config is None else str(config), random, seed, search
    )
    monitor = _checked(plan, opened)
    with locked(sweeps.file_of(name)):
        plan = replace(plan, trials=sweeps.keep(plan))
        _check_begun(plan, opened)
        training = _Training(plan, Path(dataset), tuple(log))
        outcomes = _train_all(training, jobs or cores(), watch)
    ranked = sorted(outcomes, key=lambda each: (each.validation is None, -(each.validation or 0.0)))
    if all(each.validation is None for each in outcomes):
        first = (outcomes[0].failure or "").removesuffix(".")
        raise SpfedrecError(f"Every trial failed; the first: {first}", hint="mend it and sweep again")
    return Swept(name, monitor, tuple(ranked))


def planned(
    dataset: Dataset,
    name: str,
    settings: Sequence[str],
    preset: str | None,
    config: str | None,
    random: int | None,
    seed: int,
    search: int | None = None,
) -> Plan:
    """What will be trained. Raises InputError as `sweeps.split`, `sweeps.trials` and `check_search` do, and for
    settings that can be read only once."""
    refuse_both(random, search)
    sweeps.file_of(name)
    if config is not None and Path(config).exists() and not Path(config).is_file():
        problem = "A sweep reads the settings once for each trial, and this is no plain file"
        raise InputError(problem, where=config, hint="write the settings into a file, and give that")
    fixed, values = sweeps.split(settings)
    if search is not None:
        check_search(values, search)
    trials = () if search is not None else sweeps.trials(name, values, random, seed)
    return Plan(name, dataset.fingerprint, preset, config, tuple(fixed), values, random, seed, trials, search)


def _checked(plan: Plan, dataset: Dataset) -> str:
    """The monitor of all trials. Raises InputError where one would be refused, or they are judged by different ones."""
    monitors = set()
    every = ends(plan.values) if plan.search is not None else [trial.settings for trial in plan.trials]
    for each in every:
        resolved = resolve(plan.preset, plan.config, _settings(plan, each))
        monitors.add(check_with(resolved, dataset).train.monitor)
    if len(monitors) > 1:
        raise InputError("Trials are compared by one measure", where="train.monitor", hint="give it one value")
    return monitors.pop()


def _check_begun(plan: Plan, dataset: Dataset) -> None:
    """Raises InputError where a trial has begun with other settings than the file has now."""
    begun = [trial for trial in plan.trials if (RUNS / trial.run / "run.json").is_file()]
    for trial in begun if plan.config is not None else []:
        now = following_catalogue(resolve(plan.preset, plan.config, _settings(plan, trial.settings)), dataset)
        if _lasting(now) != _lasting(load_config(RUNS / trial.run)):
            problem = f"{trial.run} was trained with other settings than this file has now"
            raise InputError(problem, where=plan.config, hint="put the file back as it was, or choose another --name")


def _lasting(config: Config) -> dict[str, Any]:
    """Without what a resume may choose anew, to the same bits or on another device."""
    return config.model_dump(exclude={"train": {"workers", "threads", "device"}})


def _settings(plan: Plan, of: Mapping[str, str]) -> list[str]:
    return [*plan.fixed, *(f"{key}={value}" for key, value in of.items())]


@dataclass
class _Children:
    """Trainings that run, to be told to end."""

    running: set[subprocess.Popen[str]] = field(default_factory=set)
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, words: list[str]) -> "subprocess.Popen[str] | None":
        with self.lock:
            if self.ended:
                return None
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
            # In a session of its own: Ctrl-C reaches this process alone, which tells each once.
            child = subprocess.Popen(words, text=True, env=environment, start_new_session=True, **streams)  # type: ignore[call-overload]
            self.running.add(child)
            return child  # type: ignore[no-any-return]

    def end(self) -> None:
        with self.lock:
            self.ended = True
            for child in self.running:
                if child.poll() is None:
                    child.send_signal(signal.SIGTERM)


@dataclass
class _Training:
    """A sweep that is under way: what is planned of it, which grows where it is a search."""

    plan: Plan
    dataset: Path
    log: tuple[str, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.plan.search or len(self.plan.trials)

    def trials(self) -> Iterator[Trial]:
        """Those that are planned, then, of a search, others; whoever asks for the next one may have trained more."""
        yield from self.plan.trials
        while self.plan.search is not None and len(self.plan.trials) < self.plan.search:
            chosen = next_of(self.plan.values, [self._tried(trial) for trial in self.plan.trials], self.plan.seed)
            if chosen is None:
                return
            trial = Trial(self.plan.run_of(len(self.plan.trials) + 1), chosen)
            self.plan = replace(self.plan, trials=(*self.plan.trials, trial))
            sweeps.add(self.plan)
            yield trial

    def _tried(self, trial: Trial) -> Tried:
        found = self.outcomes.get(trial.run)
        if found is None:
            return Tried(trial.settings, None)
        return Tried(trial.settings, math.nan if found.validation is None else found.validation)


def _train_all(training: _Training, jobs: int, watch: Done) -> list[Outcome]:
    """In the order of the trials."""
    children, running, trials = _Children(), dict[Future[Outcome], Trial](), training.trials()
    with _ending(training, children, jobs) as pool:
        while True:
            while len(running) < max(1, jobs) and (trial := next(trials, None)) is not None:
                running[pool.submit(_train, training, trial, children)] = trial
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = training.outcomes[running.pop(future).run] = future.result()
                watch(outcome, len(training.outcomes), training.total)
    return [training.outcomes[trial.run] for trial in training.plan.trials]


@contextmanager
def _ending(training: _Training, children: _Children, jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that wait for trainings. A signal, or a failure, ends these, once they have saved."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            yield pool
        except BaseException as error:
            children.end()
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                hint = "say the same again to go on"
                number = getattr(error, "number", signal.SIGINT)
                done = f"{len(training.outcomes)} of {training.total}"
                problem = f"Stopped; {done} trials are done, what had begun is saved"
                raise Interrupted(problem, hint=hint, number=number) from None
            raise


def _train(training: _Training, trial: Trial, children: _Children) -> Outcome:
    """Begins, resumes, or finds it done."""
    folder = RUNS / trial.run
    outcome = _outcome(trial)
    if outcome.validation is not None and outcome.rounds and _is_done(folder):
        return outcome
    child = children.start(_words(training, trial, (folder / "run.json").is_file()))
    if child is None:
        return outcome
    _, said = child.communicate()
    children.running.discard(child)
    if child.returncode == 0:
        return _outcome(trial)
    sentence = (
        said.strip().splitlines()[-1].removeprefix("Error: ") if said.strip() else f"exit code {child.returncode}"
    )
    return _outcome(trial, sentence)


def _words(training: _Training, trial: Trial, begun: bool) -> list[str]:
    program = [sys.executable, "-m", "spfedrec_cli", "train"]
    plan, more = training.plan, [f"--log={','.join(training.log)}"] if training.log else []
    if begun:
        return [*program, "--resume", trial.run, *more, "--quiet", "--json"]
    sources = [f"--preset={plan.preset}"] if plan.preset else []
    sources += [f"--config={plan.config}"] if plan.config else []
    chosen = [word for setting in _settings(plan, trial.settings) for word in ("--set", setting)]
    return [*program, str(training.dataset), *sources, *chosen, "--name", trial.run, *more, "--quiet", "--json"]


def _is_done(folder: Path) -> bool:
    """Whether its last checkpoint has all its rounds, or those that its own patience left; and its second stage."""
    found, saved = runs.read(folder), run.rounds(folder)
    try:
        tally = run.load_manifest(folder, saved[-1])["tally"] if saved else {}
    except SpfedrecError:
        return False  # whoever resumes it says what is wrong
    if found.rounds not in saved or (found.settings["second_stage.rounds"] and not tally["ranking_validation"]):
        return False
    lines, patience = _last_lines(folder), found.settings["train.patience"]
    return found.rounds >= found.rounds_planned or bool(patience and lines >= patience)


def _last_lines(folder: Path) -> int:
    """How many validations came after the best one."""
    monitor, best, since = runs.read(folder).monitor, float("-inf"), 0
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        found = (json.loads(line)["validation"] or {}).get(monitor)
        if found is not None:
            best, since = (found, 0) if found > best else (best, since + 1)
    return since


def _outcome(trial: Trial, failure: str | None = None) -> Outcome:
    folder = RUNS / trial.run
    if not (folder / "run.json").is_file():
        return Outcome(trial.run, dict(trial.settings), None, 0, failure)
    found = runs.read(folder)
    return Outcome(trial.run, dict(trial.settings), None if failure else found.validation, found.rounds, failure)
