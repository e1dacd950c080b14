"""How client updates become one sum. Every protocol yields the same integers for the same survivors."""

from collections.abc import Callable
from dataclasses import dataclass

from spfedrec_cli.config import FederatedConfig, Settings
from spfedrec_cli.federated.aggregation.chain.ring import (
    CHAIN_PHASES,
    Ring,
    RingByMessages,
    check_chains,
    check_ring,
    too_long,
)
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.protocol import Aggregation, Opening
from spfedrec_cli.federated.sampling.cohort import Phase

Open = Callable[[Opening], Aggregation]


@dataclass(frozen=True)
class Row:
    """A protocol: `open` sums the updates of any number of clients at a time, `by_messages` those of single devices.

    `phases` are those of a round in which a client may fall silent. `check` refuses settings that do not go with it,
    `check_sizes` those that do not where so many clients may be asked, in so many processes.
    `unchecked` says what to tell of sums that could not be told from noise, cohorts having so many clients at most.
    """

    open: Open
    by_messages: Open
    phases: tuple[Phase, ...] = (Phase.REQUEST, Phase.UPLOAD, Phase.AFTER)
    check: Callable[[Settings], None] = lambda config: None
    check_sizes: Callable[[Settings, int, int], None] = lambda config, eligible, processes: None
    unchecked: Callable[[FederatedConfig, int], str] | None = None


AGGREGATIONS: dict[str, Row] = {
    "sum": Row(IdealSum, SumByMessages),
    "ring": Row(Ring, RingByMessages, CHAIN_PHASES, check_ring, check_chains, too_long),
}
