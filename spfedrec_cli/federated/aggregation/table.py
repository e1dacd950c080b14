"""How client updates become one sum. Every protocol yields the same integers for the same survivors."""

from collections.abc import Callable
from dataclasses import dataclass

from spfedrec_cli.config import Config, FederatedConfig
from spfedrec_cli.federated.aggregation.chain.ring import Ring, RingByMessages, check_ring, too_long
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.protocol import Aggregation, Opening

Open = Callable[[Opening], Aggregation]


@dataclass(frozen=True)
class Row:
    """A protocol: `open` sums the updates of any number of clients at a time, `by_messages` those of single devices.

    `check` refuses settings that do not go with it; `unchecked` says what to tell of chains whose sums could not be
    told from noise, cohorts having so many clients at most.
    """

    open: Open
    by_messages: Open
    check: Callable[[Config], None] = lambda config: None
    unchecked: Callable[[FederatedConfig, int], str] | None = None


AGGREGATIONS: dict[str, Row] = {
    "sum": Row(IdealSum, SumByMessages),
    "ring": Row(Ring, RingByMessages, check_ring, too_long),
}
