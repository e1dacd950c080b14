"""Request modes: how clients come to the embeddings of items. A mode is one row of `MODES`."""

from collections.abc import Callable
from dataclasses import dataclass

from spfedrec_cli.config import RequestConfig
from spfedrec_cli.dtypes import I64
from spfedrec_cli.errors import Table
from spfedrec_cli.federated.sampling.slate import Rotation, Slate, whole_catalogue

Draw = Callable[[RequestConfig, I64, Rotation, int, int], Slate]


def rotating(request: RequestConfig, counts: I64, rotation: Rotation, seed: int, round_: int) -> Slate:
    """Strata by public popularity take turns."""
    return rotation.slate(counts, request.slate_size, seed, round_)


def everything(request: RequestConfig, counts: I64, rotation: Rotation, seed: int, round_: int) -> Slate:
    """All items, every round."""
    return whole_catalogue(len(counts))


def never(request: RequestConfig) -> bool:
    return False


def always(request: RequestConfig) -> bool:
    return True


@dataclass(frozen=True)
class Mode:
    """`slate` draws what the server publishes to everybody in a round, from (settings, public popularity (n_items,),
    the rotation of this training, seed, round); without it each client requests items of its own.

    `size`: how many items a slate has at most, out of n_items. `popularity`: whether anything is drawn by it. `keeps`:
    whether clients keep the embeddings of all items, since a slate lacks some that their histories need.
    """

    slate: Draw | None = None
    size: Callable[[RequestConfig, int], int] = lambda request, n_items: min(n_items, request.slate_size)
    popularity: Callable[[RequestConfig], bool] = never
    keeps: bool = True

    @property
    def asks(self) -> bool:
        """Whether clients request anything."""
        return self.slate is None


MODES: Table[Mode] = Table(
    "request mode",
    {
        "paper": Mode(popularity=lambda request: request.negatives == "popularity", keeps=False),
        "slate": Mode(rotating, popularity=always),
        "catalogue": Mode(everything, size=lambda request, n_items: n_items, keeps=False),
    },
)


def mode_of(request: RequestConfig) -> Mode:
    """The row that the settings name."""
    return MODES[request.mode]
