"""What devices remember of their V−, held for all of them at once."""

import numpy as np
import numpy.typing as npt

from spfedrec_cli.config import RequestConfig
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F64, I64, U64
from spfedrec_cli.federated.sampling.obfuscation import Obfuscation, draw_obfuscating
from spfedrec_cli.kernels.tries import copy_rows

MEMORY = 1 << 24  # items of V− that the devices of a simulation remember in all


class Memory:
    """What the devices remember of their V−, so that a memoised request is drawn once and not in every round.

    It holds nothing that `draw_obfuscating` would not give again: forgetting it, or what goes beyond `limit` items,
    changes no bit.
    """

    def __init__(self, limit: int = MEMORY) -> None:
        self._limit, self._used = limit, 0
        self._start, self._length = np.empty(0, np.int64), np.empty(0, np.int64)
        self._items, self._inclusion = np.empty(0, np.int32), np.empty(0)

    def recall(
        self, request: RequestConfig, q: F64, clients: I64, keys: U64, purchased: Ragged, round_: int, threads: int = 1
    ) -> Obfuscation:
        """`draw_obfuscating`, from memory for the clients that were there before."""
        if request.redraw:
            return draw_obfuscating(request, q, keys, purchased, round_, threads)
        self._make_room(int(clients.max(initial=-1)) + 1)
        known = self._start[clients] >= 0
        new = np.flatnonzero(~known)
        drawn = draw_obfuscating(request, q, keys[new], purchased.take(new), round_, threads)
        if not known.any():
            self._remember(clients, drawn)
            return drawn
        lengths = self._length[clients]
        lengths[new] = drawn.items.lengths
        both = Obfuscation(Ragged.from_lengths(lengths, np.empty(lengths.sum(), np.int32)), np.empty(lengths.sum()))
        old = np.flatnonzero(known)
        _copy(both, old, self._items, self._inclusion, self._start[clients[old]])
        _copy(both, new, drawn.items.values, drawn.inclusion, drawn.items.offsets[:-1])
        self._remember(clients[new], drawn)
        return both

    def _make_room(self, clients: int) -> None:
        missing = clients - len(self._start)
        if missing > 0:
            self._start = np.append(self._start, np.full(missing, -1, np.int64))
            self._length = np.append(self._length, np.zeros(missing, np.int64))

    def _remember(self, clients: I64, drawn: Obfuscation) -> None:
        end = self._used + len(drawn.inclusion)
        if end > self._limit:
            return
        if end > len(self._items):
            room = min(self._limit, end + end // 2)
            self._items, self._inclusion = np.resize(self._items, room), np.resize(self._inclusion, room)
        self._items[self._used : end], self._inclusion[self._used : end] = drawn.items.values, drawn.inclusion
        self._start[clients] = self._used + drawn.items.offsets[:-1]
        self._length[clients] = drawn.items.lengths
        self._used = end


def _copy(to: Obfuscation, rows: I64, items: npt.NDArray[np.int32], inclusion: F64, starts: I64) -> None:
    """Fills the named rows of `to` from flat arrays, in which they begin at `starts`."""
    copy_rows(rows, starts, to.items.offsets, items, inclusion, to.items.values, to.inclusion)
