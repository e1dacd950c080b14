"""What stands beside a run in its evaluation: the baselines, and blends with the client's own recent purchases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError
from spfedrec_cli.retrieval import blend
from spfedrec_cli.retrieval.baselines import BASELINES, Unavailable
from spfedrec_cli.retrieval.blend import Weights
from spfedrec_cli.retrieval.evaluate import Evaluation, Scorer

BLEND = "blend"

Measure = Callable[[Scorer], Evaluation]
OfSplit = Callable[[str], Scorer | None]  # the split to predict -> the scorer of one recommender


def measure_baselines(
    dataset: Dataset, split: str, names: Sequence[str], measure: Measure, all_that_apply: bool
) -> tuple[dict[str, Evaluation], dict[str, str]]:
    """The named baselines, and why one of them cannot be had.

    Where they were not all asked for but by name, such a one is raised as Unavailable, and one that says nothing about
    the Dataset as InputError.
    """
    found: dict[str, Evaluation] = {}
    unavailable: dict[str, str] = {}
    for name in names:
        try:
            scorer = BASELINES[name](dataset, split)
        except Unavailable as reason:
            if not all_that_apply:
                raise
            unavailable[name] = reason.sentence()
            continue
        if scorer is not None:
            found[name] = measure(scorer)
        elif not all_that_apply:
            hint = "leave it out"
            raise InputError(
                f"The baseline '{name}' says nothing about this Dataset", where=str(dataset.path), hint=hint
            )
    return found, unavailable


def measure_blends(
    dataset: Dataset, split: str, ours: OfSplit, baselines: Iterable[str], measure: Measure
) -> tuple[dict[str, Evaluation], dict[str, Weights]]:
    """The run and the named baselines, each with weights of its own, fitted on validation."""
    every: Mapping[str, OfSplit] = {
        BLEND: ours,
        **{f"{name}-{BLEND}": partial(BASELINES[name], dataset) for name in baselines},
    }
    found, weights = {}, {}
    for name, of_split in every.items():
        learner, scorer = of_split("validation"), of_split(split)
        assert learner is not None
        assert scorer is not None
        weights[name] = blend.fit(learner, dataset)
        found[name] = measure(blend.blended(scorer, dataset, split, weights[name]))
    return found, weights
