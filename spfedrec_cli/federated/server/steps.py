"""Step 7 of the round: the sums are divided by the survivors, and both towers move along the means."""

from dataclasses import replace

import torch
from torch import Tensor

from spfedrec_cli.federated.server import optimizers
from spfedrec_cli.federated.server.item_tower import Served
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.server.state import ServerState, effective_tau
from spfedrec_cli.model.towers import Weights, unflatten
from spfedrec_cli.placement import placed


def server_step(
    state: ServerState, known: Known, served: Served, query: Tensor, items: Tensor, survivors: int
) -> ServerState:
    """Decode the sums over so many survivors, of Δθ_u (P,) and of g_v (R, d), take the means, step both towers.
    Without survivors nothing moves."""
    if survivors == 0:
        return state
    codec_query, codec_item = known.codecs()
    delta = None
    if known.shared_width:
        delta = unflatten(placed(codec_query.decode(query) / survivors, known.device), state.query)
    mean = placed(codec_item.decode(items) / survivors, known.device)
    return step_towers(state, known, served, delta, mean)


def step_towers(state: ServerState, known: Known, served: Served, delta: Weights | None, mean: Tensor) -> ServerState:
    """θ_u along the mean Δθ_u (where it is shared), the item tower by the mean g_v (R, d)."""
    rates, query, query_moments = optimizers.scheduled(known.config, state.round + 1), state.query, state.query_moments
    if delta is not None:
        query, query_moments = optimizers.query_step(rates, effective_tau(known.config), query, query_moments, delta)
    item, item_moments = optimizers.item_step(rates, state.item, state.item_moments, served, mean, known.team)
    return replace(state, query=query, query_moments=query_moments, item=item, item_moments=item_moments)


def full_step(state: ServerState, known: Known, query: Tensor, tables: Tensor, survivors: int) -> ServerState:
    """Both towers along their mean Δ by one optimiser, from the sums of `full`: Δθ_u and behind it what the item tower
    has besides tables, and the rows of all tables. Without survivors nothing moves."""
    if survivors == 0:
        return state
    rates, codec = optimizers.scheduled(known.config, state.round + 1), known.codecs()[0]
    tau = effective_tau(known.config)
    dense, rows = (codec.decode(total) / survivors for total in (query, tables))
    of_query = unflatten(dense[: known.width], state.query)
    of_item = unflatten(torch.cat([rows.reshape(-1), dense[known.width :]]), state.item)
    moved, query_moments = optimizers.query_step(rates, tau, state.query, state.query_moments, of_query)
    item, item_moments = optimizers.query_step(rates, tau, state.item, state.item_moments, of_item)
    return replace(state, query=moved, query_moments=query_moments, item=item, item_moments=item_moments)
