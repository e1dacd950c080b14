"""One state spread over the processes of a team: all know the towers, each keeps what is private to its own devices."""

import json
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor

from spfedrec_cli import run
from spfedrec_cli.engine.tally import Tally, tally_of
from spfedrec_cli.errors import SpfedrecError
from spfedrec_cli.federated.server.catalogue import Catalogue
from spfedrec_cli.federated.server.ranking import start
from spfedrec_cli.federated.server.state import PUBLIC, SUMMED
from spfedrec_cli.federated.simulation.state import State, initial_state, state_tensors, stored_tensors
from spfedrec_cli.federated.simulation.world import World

_PIECE = 1 << 16  # clients whose private states travel at once


def started(world: World, loaded: tuple[State, Tally] | None) -> tuple[State, Tally]:
    """Where a training starts: at round 0, or where the chief's checkpoint says. Only the chief need have loaded it."""
    told = json.loads(world.team.told(json.dumps(None if loaded is None else _told(*loaded))))
    if told is None:
        return initial_state(world), Tally()
    if world.team.size == 1 and loaded is not None:
        return loaded[0].on(world.known.device), loaded[1]
    blank = initial_state(world)
    popularity, decayed = (torch.zeros(world.n_items, dtype=torch.int64) if told[name] else None for name in SUMMED)
    prior = torch.zeros(()) if told["prior"] else None
    has_catalogue, size = told["catalogue"], (world.n_items, world.config.model.dim)
    catalogue = Catalogue.blank(*size, world.known.device) if has_catalogue else None
    server = replace(blank.server, round=told["round"], popularity=popularity, decayed=decayed)
    ranking = None if told["ranking"] is None else start(torch.zeros(told["ranking"][1]), *told["ranking"][2])
    ranking = None if ranking is None else replace(ranking, round=told["ranking"][0])
    state = State(replace(server, prior=prior, catalogue=catalogue), ranking=ranking)
    known = None if loaded is None else state_tensors(loaded[0].on(world.known.device))
    for name, tensor in state_tensors(state).items():
        tensor.zero_()
        if world.team.is_chief and known is not None:
            tensor.copy_(known[name])
        world.team.merge(tensor)
    return replace(state, private=_dealt(world, blank.private, loaded)), tally_of(told["tally"])


def _told(state: State, tally: Tally) -> dict[str, object]:
    has = {name: getattr(state.server, name) is not None for name in (*PUBLIC, "catalogue")}
    known = state.ranking
    ranking = None if known is None else [known.round, len(known.weights), list(known.weeks.shape)]
    return {"round": state.round, **has, "ranking": ranking, "tally": asdict(tally)}


def _dealt(world: World, mine: Tensor | None, loaded: tuple[State, Tally] | None) -> Tensor | None:
    """The chief's private states of all clients, each to where its client lives; written into `mine`."""
    if mine is None:
        return None
    for clients in _pieces(world):
        piece = torch.zeros(len(clients), mine.shape[1])
        if world.team.is_chief and loaded is not None and loaded[0].private is not None:
            piece.copy_(loaded[0].private[clients[0] : clients[-1] + 1])
        world.team.merge(piece)
        here = world.shards.mine(clients)
        mine[torch.from_numpy(world.shards.seats(clients[here]))] = piece[torch.from_numpy(here)]
    return mine


def whole(world: World, state: State) -> State:
    """The state with the private states of all clients, in the process that speaks; the others keep their own."""
    if world.team.size == 1 or state.private is None:
        return state
    found = torch.empty(len(world.devices.fields) if world.team.is_chief else 0, state.private.shape[1])
    for clients in _pieces(world):
        piece = torch.zeros(len(clients), state.private.shape[1])
        here = world.shards.mine(clients)
        seats = torch.from_numpy(world.shards.seats(clients[here]))
        piece[torch.from_numpy(here)] = state.private.index_select(0, seats)
        world.team.merge(piece)
        if world.team.is_chief:
            found[clients[0] : clients[-1] + 1] = piece
    return replace(state, private=found) if world.team.is_chief else state


def _pieces(world: World) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    count = len(world.devices.fields)
    return [np.arange(start, min(start + _PIECE, count)) for start in range(0, count, _PIECE)]


def check_in_step(world: World, state: State) -> None:
    """Every process steps the towers by itself. Raises SpfedrecError where they have not come to the same bits."""
    if world.team.size == 1:
        return
    mine = run.digest(stored_tensors(state))
    unlike = torch.tensor([int(world.team.told(mine) != mine)])
    if int(world.team.sum(unlike)):
        raise SpfedrecError(
            f"By round {state.round} the processes of this training have come to different weights",
            hint="use machines with the same kind of processor and the same version of torch",
        )
