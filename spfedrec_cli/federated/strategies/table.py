"""Strategies: a function `(state, world) -> (state, report)` and a row each."""

from collections.abc import Callable

from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.strategies.central import central_round
from spfedrec_cli.federated.strategies.full import full_round
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.strategies.split import split_round

Strategy = Callable[[State, World], tuple[State, Report]]
STRATEGIES: dict[str, Strategy] = {"split": split_round, "full": full_round, "central": central_round}
