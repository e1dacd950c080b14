"""The candidates of a cohort, end to end: what each client bought, and behind it its V−."""

import numpy as np

from spfedrec_cli.dtypes import F32, F64, I32, I64
from spfedrec_cli.kernels.arithmetic import f32
from spfedrec_cli.kernels.compiling import called


@called
def lay_side_by_side(
    own_starts: I64,
    own: I32,
    hidden_starts: I64,
    hidden: I32,
    logs: F64,
    shares: F64,
    prior: F32,
    seats: I32,
    places: I32,
    offsets: F32,
) -> None:
    """Client k bought own[own_starts[k] : own_starts[k + 1]], its V− go likewise. Leaves the seats of all, and what
    their scores lose: of V− the log of the expected number, `logs`, where it is not empty, plus the client's share
    (K,); of all less the prior (n_items,)."""
    place = 0
    for k in range(len(shares)):
        for i in range(own_starts[k], own_starts[k + 1]):
            places[place] = seats[own[i]]
            offsets[place] = -prior[own[i]]
            place += 1
        for i in range(hidden_starts[k], hidden_starts[k + 1]):
            places[place] = seats[hidden[i]]
            expected = f32(logs[i] + shares[k]) if len(logs) > 0 else f32(0.0)
            offsets[place] = expected - prior[hidden[i]]
            place += 1


@called
def mark(items: I32, marks: I32) -> None:
    """Puts 1 for each of the items."""
    for i in range(len(items)):
        marks[items[i]] = np.int32(1)
