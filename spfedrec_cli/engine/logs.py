"""What a training measures, for TensorBoard and MLflow as well. metrics.jsonl stays the truth: a log only follows it.

A log is asked how far it has got, and is given what the run's files have beyond: a training that resumes adds nothing
twice, and one that is given a log later on has all its rounds there.
"""

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from spfedrec_cli import run
from spfedrec_cli.config import Config
from spfedrec_cli.engine.told import Progress, Watch
from spfedrec_cli.errors import InputError, listed, nearest
from spfedrec_cli.extras import needs

Step = tuple[int, dict[str, float]]
FILES = {"metrics.jsonl": "", "second_stage.jsonl": "second_stage/"}  # and what stands before the names of their values
NUMBERS = (
    *("clients", "survivors", "aborted", "saturated", "without_target", "seconds", "validation_seconds"),
    *("bytes_up", "bytes_down", "memory", "prior"),
)
LOSS = "loss"  # every round has one


class Log(Protocol):
    """Somebody else's record of a run."""

    def reached(self, value: str) -> int:
        """The last round that it has of a value, 0 for none."""

    def write(self, steps: Sequence[Step]) -> None:
        """Add values of rounds."""

    def close(self, whole: bool) -> None:
        """`whole`: the training came to its end."""


def check_logs(names: Sequence[str]) -> None:
    """Raises InputError for a log that is unknown, or whose package is missing."""
    for name in listed(names):
        if name not in LOGS:
            near = nearest(name, list(LOGS))
            hint = f"did you mean {near}?" if near else f"choose from {', '.join(LOGS)}"
            raise InputError(f"There is no log {name!r}", hint=hint)
        needs(f"The log {name}", "log", *LOGS[name][1])


@contextmanager
def logged(folder: Path | None, config: Config, names: Sequence[str], watch: Watch) -> Iterator[Watch]:
    """A watcher that also keeps these logs, and one of nothing more where there are none or `folder` is None.

    A log that fails is left behind with a warning: a training does not end for it.
    """
    if folder is None or not names:
        yield watch
        return
    kept = [_Kept(name, folder, config) for name in dict.fromkeys(listed(names))]

    def watching(progress: Progress) -> None:
        for each in kept:
            each.follow()
        watch(progress)

    whole = False
    try:
        for each in kept:
            each.follow()
        yield watching
        whole = True
    finally:
        for each in kept:
            each.follow()
            each.close(whole)


class _Kept:
    """One log, as far as it works."""

    def __init__(self, name: str, folder: Path, config: Config) -> None:
        self._name, self._folder, self._tails = name, folder, list[_Tail]()
        self._log = self._tried(lambda: LOGS[name][0](folder, config))
        if self._log is not None:
            log = self._log
            found = self._tried(lambda: [_Tail(folder / file, before, log) for file, before in FILES.items()])
            self._tails = found or []

    def follow(self) -> None:
        for tail in self._tails:
            if self._log is not None:
                self._tried(tail.follow)

    def close(self, whole: bool) -> None:
        if self._log is not None:
            log = self._log
            self._tried(lambda: log.close(whole))

    def _tried(self, work: Callable[[], Any]) -> Any:
        """None where it failed, after which nothing more is tried."""
        try:
            return work()
        except Exception as error:
            self._log = None
            reason = " ".join(str(error).split()) or type(error).__name__
            logging.getLogger("spfedrec_cli").warning(
                f"The log {self._name} is left behind: {reason}; metrics.jsonl has everything, and "
                f"`spfedrec train --resume {self._folder} --log {self._name}` adds what is missing"
            )
            return None


class _Tail:
    """What is appended to a file of lines, in the order of its rounds."""

    def __init__(self, file: Path, before: str, log: Log) -> None:
        self._file, self._before, self._log = file, before, log
        self._at, self._reached = 0, log.reached(before + LOSS)

    def follow(self) -> None:
        """Hands on what is new."""
        if not self._file.exists():
            return
        with self._file.open("rb") as stream:
            stream.seek(self._at)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        lines = [json.loads(line) for line in whole.splitlines() if line]
        steps = [(line["round"], values_of(line, self._before)) for line in lines if line["round"] > self._reached]
        if steps:
            self._log.write(steps)
            self._reached = steps[-1][0]


def values_of(line: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers of a line, by name: those of its validation as validation/ndcg@10, what is no number left out."""
    found = {name: line[name] for name in (LOSS, *NUMBERS) if line.get(name) is not None}
    found |= {f"validation/{metric}": value for metric, value in (line.get("validation") or {}).items()}
    return {before + name: float(value) for name, value in found.items() if math.isfinite(value)}


class TensorBoard:
    """Events in RUN/tensorboard, one for each round, so that a kill leaves a round whole or not at all."""

    def __init__(self, folder: Path, config: Config) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._folder = folder / "tensorboard"
        self._last = _last_steps(self._folder) if self._folder.is_dir() else {}
        self._writer = EventFileWriter(str(self._folder))

    def reached(self, value: str) -> int:
        return self._last.get(value, 0)

    def write(self, steps: Sequence[Step]) -> None:
        import time

        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        for step, values in steps:
            of = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=of)))
        self._writer.flush()

    def close(self, whole: bool) -> None:
        self._writer.close()


def _last_steps(folder: Path) -> dict[str, int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 1})  # the last of each
    found.Reload()
    return {tag: max(event.step for event in found.Scalars(tag)) for tag in found.Tags()["scalars"]}


class MLflow:
    """A run of MLflow in the store that MLFLOW_TRACKING_URI names, else in RUN/mlflow.db."""

    EXPERIMENT, OURS = "spfedrec", "spfedrec.run_id"
    MOST = 1000  # values that are taken at once

    def __init__(self, folder: Path, config: Config) -> None:
        import os

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent to its makers
        from mlflow.tracking import MlflowClient

        for talkative in ("mlflow", "alembic"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        store = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self._client = MlflowClient(store)
        self._run = self._found(folder) or self._made(folder, config)
        self._client.update_run(self._run, status="RUNNING")

    def _experiment(self, folder: Path) -> str:
        import os

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.EXPERIMENT
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
        place = None if elsewhere else (folder / "mlflow").resolve().as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def _found(self, folder: Path) -> str | None:
        same = f"tags.`{self.OURS}` = '{run.about(folder)['id']}'"
        found = self._client.search_runs([self._experiment(folder)], same, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _made(self, folder: Path, config: Config) -> str:
        from mlflow.entities import Param

        about = run.about(folder)
        tags = {self.OURS: about["id"], "spfedrec.dataset": about["dataset_name"]}
        made = self._client.create_run(self._experiment(folder), run_name=folder.name, tags=tags)
        sections = config.model_dump(mode="json").items()
        settings = [Param(f"{section}.{key}", str(each)) for section, part in sections for key, each in part.items()]
        for start in range(0, len(settings), 100):
            self._client.log_batch(made.info.run_id, params=settings[start : start + 100])
        return str(made.info.run_id)

    def reached(self, value: str) -> int:
        known = self._client.get_metric_history(self._run, value)
        return max((each.step for each in known), default=0)

    def write(self, steps: Sequence[Step]) -> None:
        import time

        from mlflow.entities import Metric

        now, batch = int(time.time() * 1000), list[Any]()
        for step, values in steps:
            if len(batch) + len(values) > self.MOST:
                self._client.log_batch(self._run, metrics=batch)
                batch = []
            batch += [Metric(_allowed(name), value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=batch)

    def close(self, whole: bool) -> None:
        self._client.set_terminated(self._run, "FINISHED" if whole else "KILLED")


def _allowed(name: str) -> str:
    """MLflow takes no @ in a name."""
    return name.replace("@", "_at_")


LOGS: dict[str, tuple[Callable[[Path, Config], Log], tuple[str, ...]]] = {
    "tensorboard": (TensorBoard, ("tensorboard",)),
    "mlflow": (MLflow, ("mlflow", "sqlalchemy", "alembic")),
}
