"""Lists by the second stage of a run, for whoever evaluates, recommends or exports."""

from pathlib import Path

import numpy as np

from spfedrec_cli.config import Settings
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.retrieval.evaluate import Scorer
from spfedrec_cli.retrieval.second_stage import Lister, Ranker, known_before, listed_by, ranked_by
from spfedrec_cli.second_stage.candidates import families
from spfedrec_cli.second_stage.examples import Catalogue
from spfedrec_cli.second_stage.features import columns
from spfedrec_cli.second_stage.personal import Personal
from spfedrec_cli.second_stage.public import MONTH
from spfedrec_cli.second_stage.stored import kin_of

TRAINED_BY = "train one with --set second_stage.rounds=100"


def weeks_known(config: Settings) -> int:
    """How many weeks before validation are summed one by one: to the month before the earliest label week."""
    second = config.second_stage
    return (second.label_weeks - 1) * second.spacing + 1 + MONTH


def catalogue_of(dataset: Dataset, config: Settings) -> Catalogue:
    """What everybody knows of items. Raises InputError where settings name a field or a feature that is not there."""
    second, dated = config.second_stage, dataset.manifest.time_unit in UNITS_A_DAY
    kin = kin_of(dataset, second.siblings)
    fields = [field.name for field in dataset.item_fields]
    shown = columns(fields, dataset.item_codes, dated, second.without)
    return Catalogue(dataset.n_items, shown, dataset.repeats, kin, None if kin is None else families(kin))


def ranker_of(dataset: Dataset, config: Settings, state: RankingState) -> Ranker:
    """The second stage as devices have it."""
    second = config.second_stage
    own, towers = state.mix.tolist()
    return Ranker(
        second.form,
        second.hidden,
        state.average.numpy().astype(np.float64),
        catalogue_of(dataset, config),
        second.popular,
        second.retrieved,
        weeks_known(config),
        (own, towers),
        second.explore,
        second.explore_after,
        Personal(second.personal, second.proximal, second.loss) if second.personal else None,
        second.label_weeks,
        second.spacing,
    )


def has_second_stage(folder: Path, config: Settings) -> bool:
    """Whether a run has one that is finished."""
    if not config.second_stage.rounds:
        return False
    ranking = load_state(folder, checkpoint_round(folder, "last"))[0].ranking
    return ranking is not None and ranking.round >= config.second_stage.rounds


def second_stage_of(folder: Path, config: Settings) -> RankingState:
    """That of a run, in its last checkpoint. Raises InputError where it has none, or one that is not finished."""
    if not config.second_stage.rounds:
        raise InputError("The run has no second stage", where=str(folder), hint=TRAINED_BY)
    ranking = load_state(folder, checkpoint_round(folder, "last"))[0].ranking
    if ranking is None or ranking.round < config.second_stage.rounds:
        hint = f"go on with `spfedrec train --resume {folder}`"
        raise InputError("The second stage of the run is not finished", where=str(folder), hint=hint)
    return ranking


def own_lists(ranker: Ranker, dataset: Dataset, towers: Scorer, *splits: str) -> Scorer:
    """What devices rank once all of these splits are over, by their second stage."""
    return ranked_by(ranker, known_before(ranker, dataset, *splits), towers, dataset.n_items)


def first_of_own_lists(ranker: Ranker, dataset: Dataset, towers: Scorer, *splits: str) -> Lister:
    """The first of them, without putting the whole catalogue in order."""
    return listed_by(ranker, known_before(ranker, dataset, *splits), towers, dataset.n_items)
