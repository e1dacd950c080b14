"""How client updates become one sum. Every protocol yields the same integers for the same survivors."""

from collections.abc import Callable
from dataclasses import dataclass

from spfedrec_cli.config import FederatedConfig, Settings
from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.errors import Table
from spfedrec_cli.federated.aggregation.chain.ring import (
    CHAIN_PHASES,
    Ring,
    RingByMessages,
    account_chains,
    check_chains,
    check_ring,
    companies,
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
    `account` counts what crosses to and from the marked clients (K,) where nobody trains; without it `open(…).close()`
    does. `companies` has the members (n,) of each sum that somebody learns: one for each `over`, of about so many
    clients out of so large a cohort (`members`). `against` says in a report what protects a single update.
    """

    open: Open
    by_messages: Open
    phases: tuple[Phase, ...] = (Phase.REQUEST, Phase.UPLOAD, Phase.AFTER)
    check: Callable[[Settings], None] = lambda config: None
    check_sizes: Callable[[Settings, int, int], None] = lambda config, eligible, processes: None
    unchecked: Callable[[FederatedConfig, int], str] | None = None
    account: Callable[[Opening, Bool], None] | None = None
    companies: Callable[[Opening], list[I64]] = lambda opening: [opening.clients]
    over: str = "cohort"
    members: Callable[[FederatedConfig, float], float] = lambda federated, cohort: cohort
    against: str = "a protocol of its own"

    @property
    def adds_at_once(self) -> bool:
        """Whether the compiled loop may add updates up before the protocol has them."""
        return isinstance(self.open, type) and issubclass(self.open, IdealSum)


AGGREGATIONS: Table[Row] = Table(
    "aggregation protocol",
    {
        "sum": Row(IdealSum, SumByMessages, against="a perfect secure sum, which is simulated"),
        "ring": Row(
            Ring,
            RingByMessages,
            phases=CHAIN_PHASES,
            check=check_ring,
            check_sizes=check_chains,
            unchecked=too_long,
            account=account_chains,
            companies=lambda opening: [members for members, _ in companies(opening)],
            over="chain",
            members=lambda federated, cohort: federated.chain_length,
            against="secret sharing, executed (ring)",
        ),
    },
)
