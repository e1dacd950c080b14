"""Evaluation by rolling origin: each of the last weeks in turn is the test week, predicted by what lies before it.

The last week is the run's own. For each week before it, RUN/origins/DAY holds the Dataset until that day and a run by
the same settings; what is there already is not made again.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from spfedrec_cli import run
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.origins import last_days, prepare_until
from spfedrec_cli.data.raw import Progress, Tell, silent
from spfedrec_cli.data.schema import MANIFEST
from spfedrec_cli.engine.beside import SECOND_STAGE
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.evaluate import Evaluated, EvaluationReport, few_hits, measured, written_alone
from spfedrec_cli.engine.load import load_config, load_dataset
from spfedrec_cli.engine.settings import check_with
from spfedrec_cli.engine.stop import Interrupted
from spfedrec_cli.engine.told import Watch
from spfedrec_cli.engine.train import is_patience_over, resume, train
from spfedrec_cli.engine.way import Way
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.evaluate import Evaluation
from spfedrec_cli.retrieval.groups import across, groups_of
from spfedrec_cli.retrieval.intervals import intervals
from spfedrec_cli.retrieval.pooling import pooled, pooled_parts
from spfedrec_cli.retrieval.written import CannotWrite, write_entry

FOLDER = "origins"
SAME_FILE = "Item popularity is that of one file in every week: it may count purchases that an earlier week cannot know"

Begin = Callable[[int, float], None]  # how many models are to be trained, and about how many seconds that takes


def unsaid(models: int, seconds: float) -> None:
    """For those who do not ask how long it takes."""


@dataclass(frozen=True)
class Origin:
    """A test week that ends on `last`, and where its Dataset and its run are."""

    last: date
    dataset: Path
    run: Path


def evaluate_origins(
    folder: Path | str,
    weeks: int,
    split: str = "test",
    ks: Sequence[int] | None = None,
    baselines: bool | Sequence[str] = False,
    protocol: str = "full",
    candidates: str = "all",
    checkpoint: str = "best",
    blend: bool = False,
    dataset: Path | str | None = None,
    tell: Tell = silent,
    begin: Begin = unsaid,
    second_stage: bool = False,
) -> EvaluationReport:
    """As `evaluate`, over the last `weeks` weeks, each predicted by a model that was trained on what lies before it.

    Means are over customer-weeks; intervals draw customers, each with all its weeks. `begin` is told what is to be
    trained. InputError for a Dataset that is not divided by weeks, for more of them than there are, and for a run that
    is not finished; else as `evaluate` has it.
    """
    way = Way(split, ks, baselines, protocol, candidates, checkpoint, blend, second_stage)
    folder = run.find(folder)
    opened, config = load_dataset(folder, dataset), load_config(folder)
    *earlier, own = _origins(folder, opened, last_days(opened, weeks))
    if not finished(folder, config):
        hint = f"finish it with `spfedrec train --resume {folder}`"
        raise InputError("The run is not finished, and its weeks would not be alike", where=str(folder), hint=hint)
    missing = [origin for origin in earlier if not _is_trained(origin, config)]
    begin(len(missing), len(missing) * seconds_of(folder))
    for origin in missing:
        _train(origin, opened, config, tell)
    found = [measured(origin.run, way, origin.dataset, tell) for origin in (*earlier, own)]
    return _kept(_pooled(folder, way, config, found, (*earlier, own)), weeks)


def _origins(folder: Path, opened: Dataset, days: Sequence[date]) -> list[Origin]:
    """The last one is the run itself."""
    places = [(day, folder / FOLDER / day.isoformat()) for day in days[:-1]]
    return [
        *(Origin(day, place / "dataset", place / "run") for day, place in places),
        Origin(days[-1], opened.path, folder),
    ]


def seconds_of(folder: Path) -> float:
    """How long a run's rounds took, with their validation."""
    rounds = run.records(folder / "metrics.jsonl")
    return float(sum(line["seconds"] + line.get("validation_seconds", 0.0) for line in rounds))


def finished(folder: Path, config: Config) -> bool:
    """Whether all rounds are over, or the patience is."""
    if not run.rounds(folder):
        return False
    state, tally = load_state(folder, checkpoint_round(folder, "last"))
    return state.round >= config.train.rounds or is_patience_over(config, state.round, tally)


def _is_trained(origin: Origin, config: Config) -> bool:
    return _is_begun(origin, config) and finished(origin.run, config)


def _is_begun(origin: Origin, config: Config) -> bool:
    """Whether its run is there, by the settings of the run that is evaluated."""
    if not ((origin.run / "run.json").is_file() and (origin.dataset / MANIFEST).is_file()):
        return False
    return load_config(origin.run) == check_with(config, Dataset.open(origin.dataset))


def _train(origin: Origin, opened: Dataset, config: Config, tell: Tell) -> None:
    """Trains the model of a week, or goes on with it."""
    stage = f"training until {origin.last - timedelta(weeks=1)}"

    def watch(at: Any) -> None:
        tell(Progress(stage, at.round, at.rounds, unit="rounds"))

    tell(Progress(stage, 0, config.train.rounds, unit="rounds"))
    try:
        _go_on(origin, opened, config, watch)
    except Interrupted as error:
        hint = "evaluate with the same --origins again, and it goes on"
        raise Interrupted(error.problem, where=str(origin.run), hint=hint) from None


def _go_on(origin: Origin, opened: Dataset, config: Config, watch: Watch) -> None:
    if _is_begun(origin, config):
        resume(origin.run, watch, dataset=origin.dataset)
        return
    if origin.run.exists():
        shutil.rmtree(origin.run)  # of other settings
    train(prepare_until(opened, origin.last, origin.dataset), config, origin.run, watch)


def _pooled(
    folder: Path, way: Way, config: Config, found: Sequence[Evaluated], origins: Sequence[Origin]
) -> EvaluationReport:
    whole = pooled([week.run for week in found])
    names = [name for name in found[-1].others if all(name in week.others for week in found)]
    others = {name: pooled([week.others[name] for week in found]) for name in names}
    metrics = {name: other.metrics for name, other in others.items()}
    baselines = {name for week in found for name in week.report.baselines}
    return replace(
        found[-1].report,
        run=folder,
        clients=len(whole.clients),
        customers=len(np.unique(whole.clients)),
        skipped=whole.skipped,
        metrics=whole.metrics,
        baselines={name: of for name, of in metrics.items() if name in baselines},
        blends={name: of for name, of in metrics.items() if name not in (*baselines, SECOND_STAGE)},
        second_stage=metrics.get(SECOND_STAGE, {}),
        second_stage_mix=(),
        intervals=intervals(whole.per_client, whole.clients),
        intervals_beside={name: intervals(other.per_client, other.clients) for name, other in others.items()},
        groups=groups_of(pooled_parts([week.parts for week in found])),
        across=across(whole.per_client),
        unavailable={name: why for week in found for name, why in week.report.unavailable.items()},
        baseline_settings={},
        blend_weights={},
        single_truth=all(week.report.single_truth for week in found),
        notes=_notes(config, found, [whole, *others.values()]),
        origins=tuple(_week(week, origin, way) for week, origin in zip(found, origins, strict=True)),
    )


def _week(week: Evaluated, origin: Origin, way: Way) -> dict[str, Any]:
    """What is told of one week."""
    last = origin.last if way.split == "test" else origin.last - timedelta(weeks=1)
    return {
        "from": (last - timedelta(days=6)).isoformat(),
        "to": last.isoformat(),
        "clients": week.report.clients,
        "metrics": week.report.metrics,
        "baselines": week.report.baselines,
        "second_stage": week.report.second_stage,
        "run": str(origin.run),
    }


def _notes(config: Config, found: Sequence[Evaluated], every: Sequence[Evaluation]) -> tuple[str, ...]:
    """Too few hits are a matter of all weeks together; whatever else is said of a week is said once."""
    k = min(int(name.partition("@")[2]) for name in every[0].metrics)
    of_weeks = [set(week.report.notes) - set(few_hits([week.run, *week.others.values()], k)) for week in found]
    file = [] if config.request.popularity == "sum" else [SAME_FILE]
    return (*few_hits(every, k), *file, *dict.fromkeys(note for notes in of_weeks for note in sorted(notes)))


def _kept(report: EvaluationReport, weeks: int) -> EvaluationReport:
    """Writes the report into the run, beside those of single weeks; where that is impossible, it says so."""
    key = f"{report.split}/{report.protocol}/{report.candidates}/{FOLDER}-{weeks}"
    try:
        entry = {**asdict(report), "run": str(report.run), **run.origin(report.run, report.checkpoint_round)}
        with written_alone(report.run):
            write_entry(report.run, key, entry)
    except (CannotWrite, run.Locked) as error:
        return replace(report, notes=(*report.notes, f"These results are not kept: {error.sentence()}"))
    return report
