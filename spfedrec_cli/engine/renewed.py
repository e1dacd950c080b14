"""What is seen when popularity is summed again, some purchases later: those that were held out for validation."""

from dataclasses import dataclass

import numpy as np

from spfedrec_cli.audit.views import Request
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import I64
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.sampling.obfuscation import draw_obfuscating, popularity_weights
from spfedrec_cli.federated.simulation.world import World


@dataclass(frozen=True)
class Renewed:
    """`requests` of the clients that are looked at; `sales` (n_items,): how many more buyers the later sum has, of
    everybody's purchases `between` both, row by row."""

    requests: tuple[Request, ...]
    sales: I64
    between: Ragged


def renewed(later: Ragged, world: World, round_: int) -> Renewed | None:
    """Of the clients who may be asked, with the same settings in a round after `round_`, everybody having bought what
    is `later`, row by row; None where nobody requests anything, or nobody bought anything."""
    config, purchased = world.config, world.devices.purchased
    between = _new(purchased, later, world.n_items)
    if config.federated.strategy != "split" or not mode_of(config.request).asks or not len(between.values):
        return None
    sales = np.bincount(between.values, minlength=world.n_items)
    counts = np.bincount(purchased.values, minlength=world.n_items) + sales
    clients = world.known.eligible
    own = purchased.take(clients).followed_by(between.take(clients))
    q = popularity_weights(config.request, counts)
    hidden = draw_obfuscating(config.request, q, world.devices.keys(clients), own, round_ + 1).items
    asked = own.followed_by(hidden)
    nothing = np.empty((0, config.model.dim), np.float32)
    return Renewed(
        tuple(
            Request(client, round_ + 1, np.sort(asked.row(row)), nothing) for row, client in enumerate(clients.tolist())
        ),
        sales,
        between,
    )


def _new(purchased: Ragged, later: Ragged, n_items: int) -> Ragged:
    """What was bought later and not before, row by row."""
    had = np.isin(later.row_index() * n_items + later.values, purchased.row_index() * n_items + purchased.values)
    lengths = np.bincount(later.row_index()[~had], minlength=len(later))
    return Ragged.from_lengths(lengths, later.values[~had])
