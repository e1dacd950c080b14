"""What the server tells everybody: the distribution of V−, the pool, the slate, the catalogue; and what the item tower
makes of the items that take part."""

from dataclasses import replace

import numpy as np

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import F32, F64, I64
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.sampling.obfuscation import popularity_weights
from spfedrec_cli.federated.sampling.pool import draw_items
from spfedrec_cli.federated.sampling.slate import Rotation, Slate
from spfedrec_cli.federated.server.catalogue import Catalogue, published_at
from spfedrec_cli.federated.server.item_tower import Served, serve
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.server.state import ServerState
from spfedrec_cli.model.prior import in_logits


def needs_popularity(config: Settings) -> bool:
    """Whether obfuscating items, slates or pools are drawn by it, or lists are ranked by it as it is."""
    return mode_of(config.request).popularity(config.request) or ranks_by_popularity(config)


def ranks_by_popularity(config: Settings) -> bool:
    """Whether it is the prior, without decay."""
    return config.model.prior > 0 and not config.decays


def clients_draw_by_popularity(config: Settings) -> bool:
    """Whether they draw V− by it, which without requests serve as negatives alone, or are told a pool drawn by it. A
    slate is drawn by the server, and at request.rate = 0 nobody draws anything."""
    request, client = config.request, config.client
    draws = request.rate > 0 and (client.uses_own or config.federated.strategy == "split")
    by_popularity = mode_of(request).asks and mode_of(request).popularity(request)
    return by_popularity and (draws or client.pools_by_popularity)


def training_prior(state: ServerState, known: Known) -> F32:
    """γ · π (n_items,), from what is public, inside the logits of training; zeros where the towers train without."""
    model = known.config.model
    if not model.trains_with_prior:
        return np.zeros(known.n_items, np.float32)
    assert state.sales is not None  # published before the first round
    return in_logits(model, state.sales.numpy())


def obfuscating_distribution(state: ServerState, known: Known) -> F64:
    """q of V− (n_items,), from what is public."""
    counts = np.ones(known.n_items, np.int64) if state.popularity is None else state.popularity.numpy()
    return popularity_weights(known.config.request, counts)


def draw_pool(config: Settings, q: F64, round_: int) -> I64:
    """The round's public training negatives, over the catalogue evenly or by its popularity q (n_items,); empty where
    clients use their own, or the slate's."""
    if not config.client.uses_pool or not mode_of(config.request).asks:
        return np.empty(0, np.int64)
    return draw_items(config.client, q, config.train.seed, round_)


def draw_slate(state: ServerState, known: Known, rotation: Rotation) -> Slate:
    """The slate of the round that begins."""
    request = known.config.request
    draw = mode_of(request).slate
    assert draw is not None
    counts = np.zeros(known.n_items, np.int64) if state.popularity is None else state.popularity.numpy()
    return draw(request, counts, rotation, known.seed, state.round + 1)


def serve_rows(state: ServerState, known: Known, rows: I64, id_dropout: float) -> Served:
    """The item tower on the items `rows`, ascending, in the round that begins."""
    model, threads, round_ = known.config.model, known.config.train.threads_here, state.round + 1
    return serve(model, state.item, known.items, rows, id_dropout, known.seed, round_, known.team, threads)


def keeps_catalogue(config: Settings) -> bool:
    """Whether clients keep the embeddings of all items: histories need those that no slate has."""
    return mode_of(config.request).keeps and config.model.history != "none"


def refreshed_catalogue(state: ServerState, known: Known) -> ServerState:
    """Every `request.refresh` rounds all items anew, as they are without dropout."""
    round_ = state.round + 1
    if published_at(round_, known.config.request.refresh) != round_:
        return state
    everything = serve_rows(state, known, np.arange(known.n_items), 0.0).embeddings
    return replace(state, catalogue=Catalogue.of(everything))
