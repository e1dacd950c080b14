"""What stands beside a run in its evaluation: the baselines, and blends with the client's own recent purchases."""

from collections.abc import Callable
from dataclasses import dataclass, field

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.raw import Progress, Tell
from spfedrec_cli.engine.way import Way
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval.baselines import BASELINES, SECONDS, Chosen, Unavailable
from spfedrec_cli.retrieval.blend import Weights, blended, fit
from spfedrec_cli.retrieval.evaluate import Evaluation, Scorer

BLEND = "blend"
SECOND_STAGE = "second-stage"
PATIENCE = 300.0  # seconds

Measure = Callable[[str, Scorer], Evaluation]  # a recommender's name and scores to what it is worth


@dataclass(frozen=True)
class Beside:
    """By name: `baselines`, with the `settings` chosen for them; `blends` of the run ("blend") and of baselines
    ("ease-blend"), with their `weights`; `second_stage`, where it was asked for; why a baseline is `unavailable`."""

    baselines: dict[str, Evaluation] = field(default_factory=dict)
    blends: dict[str, Evaluation] = field(default_factory=dict)
    weights: dict[str, Weights] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    second_stage: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def every(self) -> dict[str, Evaluation]:
        """All of them by name."""
        return {**self.second_stage, **self.baselines, **self.blends}


def measure_baselines(beside: Beside, dataset: Dataset, way: Way, measure: Measure, tell: Tell) -> None:
    """Enter the baselines that are asked for into `beside`, with `way.blend` their blends too.

    Where they were not asked for by name, one that says nothing about the Dataset is left out, and one that cannot be
    had is told of. Otherwise the one raises InputError, the other Unavailable. Where they were not asked for by name or
    as "all", one that takes longer than PATIENCE is told of alone.
    """
    for name in way.names:
        seconds = SECONDS[name](dataset) if name in SECONDS else 0.0
        if way.baselines is True and seconds > PATIENCE:
            beside.unavailable[name] = (
                f"{name} is left out: it takes {_minutes(seconds)}; --baseline {name} measures it"
            )
            continue
        tell(Progress(f"measuring {name}{f', which takes {_minutes(seconds)}' if seconds > PATIENCE else ''}"))
        try:
            scorer = BASELINES[name](dataset, way.split, way.protocol)
        except Unavailable as reason:
            if not way.every:
                raise
            beside.unavailable[name] = reason.sentence()
            continue
        if scorer is not None:
            beside.baselines[name] = measure(name, scorer)
            if isinstance(scorer, Chosen):
                beside.settings[name] = scorer.setting
            if way.blend:
                learner = BASELINES[name](dataset, "validation", way.protocol)
                measure_blend(beside, f"{name}-{BLEND}", dataset, way.split, learner, scorer, measure)
        elif not way.every:
            problem = f"The baseline '{name}' says nothing about this Dataset"
            raise InputError(problem, where=str(dataset.path), hint="leave it out")


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:,.0f} minutes"


def measure_blend(
    beside: Beside,
    name: str,
    dataset: Dataset,
    split: str,
    learner: Scorer | None,
    scorer: Scorer,
    measure: Measure,
) -> None:
    """Enter the blend of `scorer` into `beside`, by weights fitted to `learner`, its like for validation."""
    assert learner is not None
    beside.weights[name] = fit(learner, dataset)
    beside.blends[name] = measure(name, blended(scorer, dataset, split, beside.weights[name]))
