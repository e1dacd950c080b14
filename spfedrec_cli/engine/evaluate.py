"""Evaluation: the model and the baselines, ranked and measured by the same rules."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli.engine.beside import BLEND, Beside, measure_baselines, measure_blend
from spfedrec_cli.engine.load import checkpoint_round, load_state, model_scorer, open_run
from spfedrec_cli.engine.tables import Tabular, by_name
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.baselines import BASELINES, known
from spfedrec_cli.retrieval.blend import Weights
from spfedrec_cli.retrieval.evaluate import checked, make_task, measure, rank
from spfedrec_cli.retrieval.evaluate import evaluate as evaluate_scorer
from spfedrec_cli.retrieval.groups import Groups, across, by_group, make_kinds
from spfedrec_cli.retrieval.intervals import Interval, intervals
from spfedrec_cli.retrieval.popularity import buyers, self_information
from spfedrec_cli.retrieval.written import write_evaluation
from spfedrec_cli.run import find

if TYPE_CHECKING:
    import pandas as pd

K = (10, 12)


@dataclass(frozen=True)
class EvaluationReport(Tabular):
    """Means over the clients with ground truth; `skipped` counts those without.

    `intervals`: 95 % bootstrap intervals of the run's metrics; `intervals_beside`: of `baselines` and `blends`.
    `blends`: the run ("blend") and each baseline ("ease-blend") blended with the client's own recent purchases, by
    `blend_weights`. `groups`: the run by kinds of clients and purchases; `across`: how it differs from client to
    client. `unavailable`: why a baseline is not there; `baseline_settings`: what was chosen for those that are.
    """

    run: Path
    split: str
    protocol: str
    candidates: str
    clients: int
    skipped: int
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    checkpoint_round: int
    intervals: dict[str, Interval] = field(default_factory=dict)
    intervals_beside: dict[str, dict[str, Interval]] = field(default_factory=dict)
    blends: dict[str, dict[str, float]] = field(default_factory=dict)
    blend_weights: dict[str, Weights] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    across: dict[str, dict[str, float]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    baseline_settings: dict[str, object] = field(default_factory=dict)

    def to_frame(self) -> "pd.DataFrame":
        """A row each recommender ("this run", baselines, blends), a column each metric; `intervals` stand apart."""
        return by_name({"this run": self.metrics, **self.baselines, **self.blends}, "recommender")


def evaluate(
    folder: Path | str,
    split: str = "test",
    ks: Sequence[int] = K,
    baselines: bool | Sequence[str] = False,
    protocol: str = "full",
    candidates: str = "all",
    checkpoint: str = "best",
    blend: bool = False,
) -> EvaluationReport:
    """Rank for every client with ground truth in `split` and write the measures into the run, a path or a name.

    `baselines`: True for all that can be had, or names of BASELINES. `blend`: the run, and each of them, blended with
    the client's own recent purchases too. InputError for a name that is unknown or says nothing about the Dataset, and
    where the blend would be measured on validation, on which it is fitted, or nothing is bought again.
    """
    names = [] if baselines is False else list(BASELINES) if baselines is True else known(baselines)
    if blend and split == "validation":
        raise InputError(
            "The blend is fitted on validation, so it cannot be measured there", hint="evaluate it on test"
        )
    dataset, world = open_run(folder := find(folder))
    task = make_task(dataset, split, protocol, candidates)
    cutoffs = checked(ks, task)
    state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
    bought = buyers(dataset)
    surprise = self_information(bought, len(dataset.clients_with_history("train")))

    ours = partial(model_scorer, dataset, world, state)
    ranking = rank(ours(split), task, cutoffs[-1])
    found = measure(ranking, task, cutoffs, surprise)
    groups = by_group(ranking, task, found.per_client, cutoffs, make_kinds(dataset, task, bought))

    measured = partial(evaluate_scorer, task=task, ks=cutoffs, surprise=surprise)
    beside = Beside()
    if blend:
        measure_blend(beside, BLEND, dataset, split, ours("validation"), ours(split), measured)
    measure_baselines(beside, dataset, split, protocol, names, measured, every=baselines is True, blend=blend)
    others = {**beside.baselines, **beside.blends}
    report = EvaluationReport(
        run=folder,
        split=split,
        protocol=protocol,
        candidates=candidates,
        clients=len(task.clients),
        skipped=task.skipped,
        metrics=found.metrics,
        baselines={name: other.metrics for name, other in beside.baselines.items()},
        checkpoint_round=state.round,
        intervals=intervals(found.per_client),
        intervals_beside={name: intervals(other.per_client) for name, other in others.items()},
        blends={name: other.metrics for name, other in beside.blends.items()},
        blend_weights=beside.weights,
        groups=groups,
        across=across(found.per_client),
        unavailable=beside.unavailable,
        baseline_settings=beside.settings,
    )
    write_evaluation(folder, found, {**asdict(report), "run": str(folder)}, others)
    return report
