"""Evaluation: the model and the baselines, ranked and measured by the same rules."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from spfedrec_cli.engine.load import checkpoint_round, load_state, model_scorer, open_run
from spfedrec_cli.retrieval import evaluate as retrieval
from spfedrec_cli.retrieval.baselines import BASELINES
from spfedrec_cli.retrieval.evaluate import make_task


@dataclass(frozen=True)
class EvaluationReport:
    """Means over the clients with ground truth; `skipped` counts those without."""

    run: Path
    split: str
    protocol: str
    candidates: str
    clients: int
    skipped: int
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    checkpoint_round: int


def evaluate(
    folder: Path,
    split: str = "test",
    ks: Sequence[int] = (10, 12),
    baselines: bool = False,
    protocol: str = "full",
    candidates: str = "all",
    checkpoint: str = "best",
) -> EvaluationReport:
    """Rank for every client with ground truth in `split` and write the measures into the run."""
    dataset, world = open_run(folder)
    task = make_task(dataset, split, protocol, candidates)
    state, _ = load_state(folder, checkpoint_round(folder, checkpoint))
    found = retrieval.evaluate(model_scorer(dataset, world, state, split), task, ks)
    beside = {}
    for name, make in BASELINES.items() if baselines else ():
        scorer = make(dataset, split)
        if scorer is not None:
            beside[name] = retrieval.evaluate(scorer, task, ks).metrics
    report = EvaluationReport(
        folder, split, protocol, candidates, len(task.clients), task.skipped, found.metrics, beside, state.round
    )
    retrieval.write_evaluation(folder, found, {**asdict(report), "run": str(folder)})
    return report
