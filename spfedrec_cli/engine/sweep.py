"""A sweep: every trial is a training of its own, several at once, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from spfedrec_cli import runs, sweeps
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.settings import check_with
from spfedrec_cli.engine.stop import Interrupted
from spfedrec_cli.errors import InputError, SpfedrecError
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
) -> Swept:
    """Train every combination of `settings` (section.key=a,b,c), or `random` of them, `jobs` at once (one a core).

    Runs are runs/NAME-001 and so on, each by one thread, so that the bits do not depend on `jobs`. The same call goes
    on with what was stopped: trials that ended are kept, one that had begun resumes. Raises InputError, before any
    training, where nothing varies, a combination does not fit the Dataset, or another sweep has the name; Interrupted
    after a signal, when all that run have saved; SpfedrecError where every trial failed.
    """
    opened = Dataset.open(dataset)
    plan = planned(opened, name, settings, preset, None if config is None else str(config), random, seed)
    monitor = _checked(plan, opened)
    sweeps.keep(plan)
    outcomes = _train_all(plan, Path(dataset), jobs or cores(), watch)
    ranked = sorted(outcomes, key=lambda each: (each.validation is None, -(each.validation or 0.0)))
    if all(each.validation is None for each in outcomes):
        raise SpfedrecError(f"Every trial failed; the first: {outcomes[0].failure}", hint="mend it and sweep again")
    return Swept(name, monitor, tuple(ranked))


def planned(
    dataset: Dataset,
    name: str,
    settings: Sequence[str],
    preset: str | None,
    config: str | None,
    random: int | None,
    seed: int,
) -> Plan:
    """What will be trained. Raises InputError as `sweeps.split` and `sweeps.trials` do."""
    fixed, values = sweeps.split(settings)
    trials = sweeps.trials(name, values, random, seed)
    return Plan(name, dataset.fingerprint, preset, config, tuple(fixed), values, random, seed, trials)


def _checked(plan: Plan, dataset: Dataset) -> str:
    """The monitor of all trials. Raises InputError where one would be refused, or they are judged by different ones."""
    monitors = set()
    for trial in plan.trials:
        resolved = resolve(plan.preset, plan.config, _settings(plan, trial))
        monitors.add(check_with(resolved, dataset).train.monitor)
    if len(monitors) > 1:
        raise InputError("Trials are compared by one measure", where="train.monitor", hint="give it one value")
    return monitors.pop()


def _settings(plan: Plan, trial: Trial) -> list[str]:
    return [*plan.fixed, *(f"{key}={value}" for key, value in trial.settings.items())]


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


def _train_all(plan: Plan, dataset: Path, jobs: int, watch: Done) -> list[Outcome]:
    """In the order of the trials."""
    children, outcomes = _Children(), dict[str, Outcome]()
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            waiting = {pool.submit(_train, plan, trial, dataset, children): trial for trial in plan.trials}
            for future in as_completed(waiting):
                outcomes[waiting[future].run] = future.result()
                watch(future.result(), len(outcomes), len(plan.trials))
        except BaseException as error:
            children.end()
            pool.shutdown(wait=True, cancel_futures=True)
            if isinstance(error, KeyboardInterrupt):
                hint = "say the same again to go on"
                number = getattr(error, "number", signal.SIGINT)
                problem = f"Stopped; {len(outcomes)} of {len(plan.trials)} trials are done, what had begun is saved"
                raise Interrupted(problem, hint=hint, number=number) from None
            raise
    return [outcomes[trial.run] for trial in plan.trials]


def _train(plan: Plan, trial: Trial, dataset: Path, children: _Children) -> Outcome:
    """Begins, resumes, or finds it done."""
    folder = RUNS / trial.run
    outcome = _outcome(trial)
    if outcome.validation is not None and outcome.rounds and _is_done(folder):
        return outcome
    child = children.start(_words(plan, trial, dataset, (folder / "run.json").is_file()))
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


def _words(plan: Plan, trial: Trial, dataset: Path, begun: bool) -> list[str]:
    program = [sys.executable, "-m", "spfedrec_cli", "train"]
    if begun:
        return [*program, "--resume", trial.run, "--quiet", "--json"]
    sources = [f"--preset={plan.preset}"] if plan.preset else []
    sources += [f"--config={plan.config}"] if plan.config else []
    chosen = [word for setting in _settings(plan, trial) for word in ("--set", setting)]
    return [*program, str(dataset), *sources, *chosen, "--name", trial.run, "--quiet", "--json"]


def _is_done(folder: Path) -> bool:
    """Whether it has all its rounds, or stopped early by its own patience."""
    found = runs.read(folder)
    lines = _last_lines(folder)
    patience = found.settings["train.patience"]
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
