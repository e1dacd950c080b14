"""The weight γ of the prior in ranking, chosen on validation: lower and higher ones are tried until neither is better.

Where the prior stands in ranking alone, no training is needed for another γ. What is best differs from shop to shop:
.3 where most items are rare, .7 and more elsewhere (docs/log.md).
"""

from collections.abc import Callable, Mapping

import torch

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.federated.simulation.state import State

Scores = Mapping[str, float]

STEP = 2**0.5  # between one γ and the next
FARTHEST = 12  # steps from model.prior, to either side: its 64th to its 64-fold


def weight_of(model: ModelConfig, steps: int) -> float:
    """γ so many steps from `model.prior`, as float32 holds it."""
    return float(torch.tensor(model.prior * STEP**steps, dtype=torch.float32))


def steps_of(model: ModelConfig, state: State) -> int:
    """How far the γ of a state stands from `model.prior`."""
    if state.prior is None:
        return 0
    away = torch.log2(state.prior.double() / model.prior) / torch.log2(torch.tensor(STEP, dtype=torch.float64))
    return round(float(away))


def climb(measure: Callable[[int], Scores], start: int, monitor: str) -> tuple[int, Scores]:
    """The steps at which `monitor` is best, by going from `start` to the better neighbour while there is one, and what
    was measured there. Of equal ones the nearest to the start."""
    known: dict[int, Scores] = {}

    def at(steps: int) -> float:
        if steps not in known:
            known[steps] = measure(steps)
        return known[steps][monitor]

    best = start
    for direction in (1, -1):
        while abs(best + direction) <= FARTHEST and at(best + direction) > at(best):
            best += direction
        if best != start:
            break
    at(best)
    return best, known[best]
