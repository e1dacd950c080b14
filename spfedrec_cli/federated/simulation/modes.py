"""Request modes: how clients come to the embeddings of items, a row each."""

from collections.abc import Callable
from dataclasses import dataclass

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import I64, Bool
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.refusals import DatasetSizes, refuse_long_slates, refuse_negatives_of_nobody
from spfedrec_cli.federated.simulation.compilable import check_towers
from spfedrec_cli.federated.simulation.on_request import start_on_request
from spfedrec_cli.federated.simulation.on_slate import publish_catalogue, start_on_slate, without_target
from spfedrec_cli.federated.simulation.round import Start
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire.channel import Channel


def _nothing_published(state: State, world: World, clients: I64, channel: Channel) -> State:
    return state


def _everybody_has_targets(world: World, start: Start, uploads: Bool) -> int:
    return 0


@dataclass(frozen=True)
class Mode:
    """`start`: steps 2 and 3 of the round. `publish`: what the server tells the cohort beforehand. `without_target`:
    how many of the clients that upload (K,) upload zeros, in the whole cohort. `check` refuses settings that do not go
    with it, `check_sizes` those that do not on a Dataset of these sizes."""

    start: Callable[[State, World, I64, Channel], Start]
    publish: Callable[[State, World, I64, Channel], State] = _nothing_published
    without_target: Callable[[World, Start, Bool], int] = _everybody_has_targets
    check: Callable[[Settings], None] = lambda config: None
    check_sizes: Callable[[Settings, DatasetSizes], None] = lambda config, sizes: None


_SLATE = Mode(start_on_slate, publish_catalogue, without_target, refuse_negatives_of_nobody, refuse_long_slates)
MODES: dict[str, Mode] = {"paper": Mode(start_on_request), "slate": _SLATE, "catalogue": _SLATE}


def check(config: Settings) -> None:
    """Raises InputError where settings do not go together, whatever the Dataset."""
    refusals.check(config)
    check_towers(config)
    MODES[config.request.mode].check(config)


def check_sizes(config: Settings, sizes: DatasetSizes) -> None:
    """Raises InputError where they do not go with a Dataset of these sizes."""
    refusals.check_sizes(config, sizes)
    MODES[config.request.mode].check_sizes(config, sizes)
