"""A small shop with tastes, trained a little, and what could be seen of it: what tests of attacks are made on."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from worlds import features, merged

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.views import Candidates, Misled, Model, Ranking, View
from spfedrec_cli.config import validate
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I32, I64
from spfedrec_cli.engine.companies import counted, unions
from spfedrec_cli.engine.corrupt import opened_by
from spfedrec_cli.engine.misled import Liar
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.engine.renewed import renewed
from spfedrec_cli.engine.seated import seated_by
from spfedrec_cli.federated.device.ranking import gradient_of
from spfedrec_cli.federated.simulation.making import make_world
from spfedrec_cli.federated.simulation.state import State, initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire.channel import Recorder
from spfedrec_cli.judging.canaries import draw, plant
from spfedrec_cli.judging.truth import Truth
from spfedrec_cli.model.embed import item_embeddings, query_embeddings
from spfedrec_cli.model.towers import flatten, query_tower, unflatten
from spfedrec_cli.second_stage.examples import Lists
from spfedrec_cli.second_stage.forms import FORMS

GROUPS, OF_GROUP, CLIENTS, CANARIES = 4, 30, 40, 10
ITEMS = GROUPS * OF_GROUP
CORRUPT = 0.6
SMALL = {
    "model": {"dim": 16, "field_dim": 8, "hidden": [16], "id_dropout": 0.0},
    "client": {"pool_size": 60, "lr": 0.5},
    "server": {"lr": 0.01, "item_lr": 0.02},
    "federated": {"cohort_size": 40, "range_query": 5.0, "range_item": 5.0},
}


@dataclass(frozen=True)
class Shop:
    """Its world, the state after some rounds, what could be seen of it, and the truth."""

    world: World
    state: State
    view: View
    truth: Truth


def shop(settings: dict[str, Any] | None = None, rounds: int = 60, seen: int = 2) -> Shop:
    """Each client buys in one of four groups of items, and a canary its pair. It is made once."""
    return _shop(json.dumps(settings or {}, sort_keys=True), rounds, seen)


@cache
def _shop(settings: str, rounds: int, seen: int) -> Shop:
    rng = np.random.default_rng(3)
    rows = [rng.choice(OF_GROUP, 12, replace=False) + OF_GROUP * (client % GROUPS) for client in range(CLIENTS)]
    before, held = Ragged.from_rows([row[:9].tolist() for row in rows]), [row[9:] for row in rows]
    canaries = draw(before, ITEMS, CANARIES, "a root")
    purchased = plant(before, canaries)
    config = validate(merged(SMALL, json.loads(settings)))
    items, clients = features(rng, ITEMS, {"id": ITEMS}), features(rng, CLIENTS, {"age": 3})
    world = make_world(config, items, clients, purchased)
    state = trained(world, initial_state(world), rounds)
    ordinary = np.setdiff1d(np.arange(CLIENTS), canaries.clients)
    asked = {
        "known": Candidates(ordinary, tuple(purchased.row(client)[::2] for client in ordinary)),
        "purchases": Candidates(ordinary, tuple(_both(purchased.row(who), held[who]) for who in ordinary)),
        "planted": Candidates(canaries.own.astype(np.int64), tuple(canaries.both)),
        "customers": Candidates(np.arange(CLIENTS), tuple(purchased.row(client) for client in range(CLIENTS))),
    }
    view = replace(seen_of(world, state, seen), model=model_of(world, state), **asked)
    took_part = np.arange(CLIENTS) % 2 == 0  # whatever the truth is, an attack has to be judged by it
    return Shop(world, state, view, Truth(purchased, ITEMS, took_part, canaries.planted, canaries.both))


def _both(trained: I32, held: I32) -> I32:
    return np.sort(np.concatenate([trained[: len(held)], np.setdiff1d(held, trained)])).astype(np.int32)


def seen_of(world: World, state: State, rounds: int) -> View:
    """What crosses in some rounds more: as it is, without masks, and in chains."""
    crossed, plain = recorded(world, state, rounds), recorded(world, state, 1, aggregation="sum")
    masked = recorded(world, state, 1, aggregation="ring")
    chains = following(world, aggregation="ring"), copied(state), masked
    counts = np.bincount(world.devices.purchased.values, minlength=world.n_items).astype(np.float64)
    return View(
        settings=world.config,
        popularity=counts,
        requests=cut.requests(crossed),
        uploads=cut.uploads(plain),
        masked=cut.masked(masked),
        opened=opened_by(*chains, CORRUPT, 0) or None,
        seated=seated_by(*chains) or None,
        sums=cut.sums(crossed),
    )


def recorded(world: World, state: State, rounds: int, **federated: Any) -> list[Any]:
    """All that crosses by the plain engine, from a copy of the state."""
    recorder = Recorder()
    world, state = replace(following(world, **federated), ends=(recorder,)), copied(state)
    for _ in range(rounds):
        state, _ = split_round(state, world)
    return recorder.crossings


def following(world: World, **federated: Any) -> World:
    """By the plain engine, with some settings of `federated` changed."""
    config = world.config
    train = config.train.model_copy(update={"engine": "reference"})
    changed = {"train": train, "federated": config.federated.model_copy(update=federated)}
    return replace(world, known=replace(world.known, config=config.model_copy(update=changed)))


def copied(state: State) -> State:
    """With tensors of its own: a round may write into those that it is given."""
    tensors = {name: tensor.clone() for name, tensor in state.server.tensors().items()}
    return State(type(state.server).from_tensors(state.round, tensors), state.private)


def model_of(world: World, state: State) -> Model:
    items = item_embeddings(world.config.model, state.item, world.known.items)

    def embed(clients: I64, purchases: list[I32]) -> F32:
        codes = torch.zeros(len(clients), 1, dtype=torch.int64)
        history = Ragged.from_rows([each.tolist() for each in purchases])
        return query_embeddings(world.config.model, state.query, codes, history, items).numpy()

    def moved(change: F32) -> F32:
        start, none = flatten(state.query), torch.zeros(1, 1, dtype=torch.int64)
        step = torch.from_numpy(change) * (0.01 * float(start.norm()) / float(np.linalg.norm(change)))
        towers, history = (state.query, unflatten(start + step, state.query)), torch.zeros(1, items.shape[1])
        before, after = (query_tower(world.config.model, weights, none, history) for weights in towers)
        return (after - before)[0].numpy()

    return Model(items.numpy(), embed, moved)


def more_of(of: Shop) -> Shop:
    """The same with what further attacks need: a server that lies, popularity summed again, the second stage, and a
    model without every third client."""
    world, third = of.world, np.arange(CLIENTS) % 3 == 0
    rng = np.random.default_rng(5)
    between = Ragged.from_rows([[int(rng.integers(ITEMS))] for _ in range(CLIENTS)])
    later = renewed(between, world, 10)
    assert later is not None
    plain, summed = ranking_of(of, third)
    reached = Reached(Path(), of.state.round, world)
    staying = replace(world, known=replace(world.known, eligible=np.flatnonzero(~third)))
    view = replace(
        of.view,
        misled=misled_of(world, of.state),
        renewed=later.requests,
        sales=later.sales,
        counted=counted(world, reached, of.state),
        unions=unions(reached, of.state),
        ranking=plain,
        ranking_sums=summed,
        before=of.view.model,
        customers_then=of.view.customers,
        model=model_of(staying, trained(staying, initial_state(staying), 60)),
    )
    return replace(of, view=view, truth=replace(of.truth, between=later.between, again=third, left=third))


def trained(world: World, state: State, rounds: int) -> State:
    for _ in range(rounds):
        state, _ = split_round(state, world)
    return state


def misled_of(world: World, state: State) -> tuple[Misled, ...]:
    """Rounds of ten clients with a server that lies to them."""
    liar, recorder = Liar(0), Recorder()
    few = following(world, cohort_size=10, aggregation="sum")
    trained(replace(few, ends=(recorder, liar)), copied(state), 30)
    asked = {(each.round, each.client): each for each in cut.requests(recorder.crossings)}
    sums = cut.sums(recorder.crossings)
    return tuple(Misled(asked[each.round, liar.victims[each.round]], liar.sent[each.round], each) for each in sums)


def ranking_of(of: Shop, again: Any) -> tuple[Ranking, Ranking]:
    """What devices of whom some buy their own items again upload, and the sums of ten that they are in."""
    config, rng = of.view.settings.second_stage, np.random.default_rng(8)
    labels, weights = ("bought", "sales_ever"), FORMS[config.form].start(2, config.hidden, 0)
    x = np.stack([np.arange(8) < 4, rng.random(8)], 1).astype(np.float32)
    updates = []
    for client in range(CLIENTS):
        chosen = int(rng.integers(4)) + (0 if again[client] else 4)
        lists = Lists(x, np.arange(8) == chosen, np.array([0, 8]), np.array([0]))
        updates.append(-gradient_of(config, lists, weights.astype(np.float64))[1])
    sent, members = np.stack(updates).astype(np.float32), np.arange(CLIENTS)
    sums = np.repeat(sent.reshape(-1, 10, sent.shape[1]).sum(1), 10, axis=0)
    return Ranking(weights, labels, members, sent), Ranking(weights, labels, members, sums)
