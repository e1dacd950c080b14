"""The second stage of a training: after the towers, devices learn to rank for themselves."""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.split import UNITS_A_DAY
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.memory import resident_memory
from spfedrec_cli.engine.own_lists import catalogue_of, ranker_of, weeks_known
from spfedrec_cli.engine.place import Place
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.engine.spread import check_in_step, whole
from spfedrec_cli.engine.stop import agreed, deferred_interrupt, interrupted
from spfedrec_cli.engine.tally import Tally
from spfedrec_cli.engine.told import SECOND, Progress, SecondStageResult
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.server.ranking import RankingState
from spfedrec_cli.federated.simulation.labelled import Labelled
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.ranking import RankingReport, first_ranking, ranking_round
from spfedrec_cli.retrieval.second_stage import LIST, day_after, fit_mix
from spfedrec_cli.second_stage.examples import Moments, moments_before
from spfedrec_cli.second_stage.public import WEEK
from spfedrec_cli.second_stage.stored import rows_of

Reached = tuple[State, Tally, SecondStageResult | None]


def rank_for_themselves(
    dataset: Dataset, world: World, state: State, tally: Tally, place: Place, moved: bool
) -> Reached:
    """All rounds that are left of the second stage, then the mix with the towers of the best round; that alone where
    none are left, and the towers have `moved`. Nothing where the settings want none."""
    config, began = world.config.second_stage, time.perf_counter()
    if not config.rounds:
        return state, tally, None
    labelled = labelled_weeks(dataset, world)
    ranking = first_ranking(world, labelled) if state.ranking is None else state.ranking
    if ranking.round >= config.rounds and moved:
        state, tally = _mixed(dataset, world, state, tally, place)
        place.save(whole(world, state), tally, world.config.train.keep)
    with deferred_interrupt() as stop:
        while ranking.round < config.rounds:
            at = time.perf_counter()
            ranking, report = ranking_round(ranking, world, labelled)
            spent = time.perf_counter() - at
            state, tally = replace(state, ranking=ranking), tally.after_ranking(report)
            place.record_ranking(report, spent)
            last, stopped = ranking.round == config.rounds, agreed(world.team, stop)
            if last:
                state, tally = _mixed(dataset, world, state, tally, place)
                ranking = state.ranking or ranking
            if last or stopped or ranking.round % world.config.train.checkpoint_every == 0:
                check_in_step(world, state)
                place.save(whole(world, state), tally, world.config.train.keep)
            place.watch(_progress(report, config.rounds, spent, tally.ranking_validation if last else None))
            if stopped and not last:
                raise interrupted(stop, f"round {ranking.round} of {config.rounds} of the second stage", place.folder)
    return state, tally, _result(ranking, tally, time.perf_counter() - began)


def labelled_weeks(dataset: Dataset, world: World) -> Labelled:
    """What lies on devices, and which weeks they learn from. Raises InputError where these do not fit the Dataset."""
    config, until = world.config.second_stage, day_after(dataset, ("train",))
    rows = rows_of(dataset, "train").here(world.shards.mine(np.arange(dataset.n_clients)))
    shop = catalogue_of(dataset, world.config)
    if until is None:
        return Labelled(rows, int(np.iinfo(np.int32).max), 0, Moments((), config.label_weeks), (0,), shop)
    weeks = weeks_known(world.config)
    moments, ends = moments_before(until, config.label_weeks, config.spacing, weeks)
    return Labelled(rows, until, weeks, moments, ends, shop)


def check_second_stage(config: Config, dataset: Dataset) -> None:
    """Raises InputError where the second stage does not fit the Dataset."""
    if not config.second_stage.rounds:
        return
    catalogue_of(dataset, config)
    until, second = day_after(dataset, ("train",)), config.second_stage
    if until is None:
        return
    first = int(dataset.column("train", "time").min()) // UNITS_A_DAY[dataset.manifest.time_unit]
    most = max(0, (until - 1 - first) // WEEK)
    fitting = (most - 1) // second.spacing + 1 if most else 0
    if second.label_weeks > fitting:
        problem = (
            f"second_stage.label_weeks = {second.label_weeks} go back further than the Dataset's purchases before "
            "validation, of which the first week cannot be a label"
        )
        hint = f"set second_stage.label_weeks={fitting}" if fitting else "prepare a longer period"
        raise InputError(problem, where=str(dataset.path), hint=hint)


def _mixed(dataset: Dataset, world: World, state: State, tally: Tally, place: Place) -> tuple[State, Tally]:
    """With the mix fitted to the towers of the best round: one process finds it."""
    assert state.ranking is not None
    found, full = [[1.0, 0.0], 0.0], whole(world, state)
    if world.team.is_chief:
        towers = _best(full, tally, place.folder)
        ranker = ranker_of(dataset, world.config, state.ranking)
        found = list(fit_mix(ranker, dataset, model_scorer(dataset, world, towers, "validation")))
    mix, value = json.loads(world.team.told(json.dumps(found)))
    ranking = replace(state.ranking, mix=torch.tensor(mix, dtype=torch.float32))
    return replace(state, ranking=ranking), replace(tally, ranking_validation={f"ndcg@{LIST}": value})


def _best(state: State, tally: Tally, folder: Path | None) -> State:
    """The towers of the round that validation chose."""
    if folder is None or tally.best_round in (0, state.round):
        return state
    return load_state(folder, tally.best_round)[0]


def _progress(report: RankingReport, rounds: int, seconds: float, validation: Mapping[str, float] | None) -> Progress:
    return Progress(
        round=report.round,
        rounds=rounds,
        loss=report.loss,
        clients=report.clients,
        survivors=report.survivors,
        aborted=report.aborted,
        saturated=0,
        seconds=seconds,
        bytes_up=report.ledger.total("up"),
        bytes_down=report.ledger.total("down"),
        validation=None if validation is None else dict(validation),
        warning=None,
        without_target=report.without_lists,
        silent=report.silent,
        memory=resident_memory(),
        stage=SECOND,
    )


def _result(ranking: RankingState, tally: Tally, seconds: float) -> SecondStageResult:
    own, towers = ranking.mix.tolist()
    return SecondStageResult(
        rounds=ranking.round,
        client_updates=tally.ranking_updates,
        bytes_up=tally.ranking_up,
        bytes_down=tally.ranking_down,
        mix=(own, towers),
        validation=dict(tally.ranking_validation or {}),
        seconds=seconds,
    )
