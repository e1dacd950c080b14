"""What the server keeps of the second stage, and its step: weights, moments, and the weekly sums that it published."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spfedrec_cli.config import SecondStageConfig, ServerConfig
from spfedrec_cli.federated.server.optimizers import fedadam
from spfedrec_cli.federated.wire.fixed_point import Codec

PREFIX = "second_stage/"
TAU = 1e-4  # beside √v of gradients that are clipped at `second_stage.clip`
_RULE = ServerConfig(beta1=0.9, beta2=0.99)


@dataclass(frozen=True)
class RankingState:
    """After `round` rounds: `weights`, `first` and `second` moments (P,); `average` (P,), the mean of the last rounds'
    weights, by which lists are ranked; `weeks` (W, n_items), as published, once they are. `mix` (2,): what the
    second stage and the towers count in a list, as fitted on validation."""

    round: int
    weights: Tensor
    first: Tensor
    second: Tensor
    average: Tensor
    weeks: Tensor
    mix: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor under a stable name, the round among them."""
        named = {name: getattr(self, name) for name in ("weights", "first", "second", "average", "weeks", "mix")}
        return {PREFIX + name: tensor for name, tensor in {"round": torch.tensor([self.round]), **named}.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> "RankingState | None":
        """The inverse of `tensors`; None where there is none of them. Runs of earlier versions have no average."""
        own = {name.removeprefix(PREFIX): part for name, part in tensors.items() if name.startswith(PREFIX)}
        return cls(int(own.pop("round")), **{"average": own["weights"].clone()} | own) if own else None


def start(weights: Tensor, weeks: int, n_items: int) -> RankingState:
    """Before the first round; v starts at τ², as that of the query tower."""
    published = torch.zeros(weeks, n_items, dtype=torch.int32)
    alike = torch.zeros_like(weights), torch.full_like(weights, TAU * TAU)
    return RankingState(0, weights, *alike, weights.clone(), published, torch.tensor([1.0, 0.0]))


def ranking_step(
    state: RankingState, config: SecondStageConfig, codec: Codec, total: Tensor, survivors: int
) -> RankingState:
    """The mean over so many survivors of what they sent (P,), and a step along it. Without survivors nothing moves.

    The average is over the last `average` of all rounds (Polyak and Juditsky 1992); before them it is the weights.
    """
    if survivors:
        rule = _RULE.model_copy(update={"lr": config.lr})
        mean = codec.decode(total) / survivors
        weights, first, second = fedadam(rule, TAU, state.weights, mean, state.first, state.second)
        state = replace(state, weights=weights, first=first, second=second)
    number = state.round + 1 - (config.rounds - round(config.average * config.rounds))  # of those that are averaged
    average = state.weights.clone() if number <= 1 else state.average + (state.weights - state.average) / number
    return replace(state, round=state.round + 1, average=average)
