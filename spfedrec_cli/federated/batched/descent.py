"""The query towers of a block of clients on their way down: their local steps, and what they moved in fixed point.

Whatever is as large as a tower a client is worked on for a few clients at a time, while it is in the cache.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from spfedrec_cli.config import ClientConfig
from spfedrec_cli.federated.batched.blocks import Block
from spfedrec_cli.federated.batched.factors import Factors, largest, times, write
from spfedrec_cli.federated.batched.scratch import Scratch
from spfedrec_cli.federated.codec import Codec, integers_
from spfedrec_cli.model.towers import Weights

_CACHED = 1 << 20  # floats of gradients that are worked on at a time: 4 MiB


class Towers:
    """Towers on their way from `start`, which is θ_u (P,) or a tower a client (K, P)."""

    def __init__(self, client: ClientConfig, like: Weights, block: Block, scratch: Scratch, start: Tensor) -> None:
        self.client, self.like, self.clients, self.start = client, like, len(block.members), start
        self.scratch, self.taken, self.weights, self.moments = scratch, 0, torch.empty(0), list[Tensor]()
        self.factors: Factors | None = None  # of the only step, where that is all there is to know
        self.is_gradient = block.steps[0] == 1 and start.dim() == 1 and client.optimizer == "sgd"
        self.own = client.private_state == "tower"
        self.to_look_at: list[bool] | None = None
        self.few = max(1, _CACHED // start.shape[-1])

    @property
    def width(self) -> int:
        """Weights of a tower."""
        return self.start.shape[-1]

    def of_first(self, clients: int) -> Tensor:
        """Their weights as they are now, (P,) while they are the same."""
        return self.weights[:clients] if self.taken else self.start[:clients] if self.start.dim() == 2 else self.start

    def step(self, factors: Factors, clients: int) -> None:
        """A local step of the first clients; the others stay where they are."""
        self.taken += 1
        if self.is_gradient:
            self.factors = factors
            return
        if self.taken == 1:
            size, count = (self.clients, self.width), MOMENTS[self.client.optimizer](self.client)
            self.weights = self.scratch.take("weights", *size)
            self.moments = [self.scratch.take(f"moment {number}", *size) for number in range(count)]
        for rows, grads in self._few(clients):
            write(factors, self.like, rows, grads)
            weights, moments = self.weights[rows], [moment[rows] for moment in self.moments]
            if self.taken == 1:
                start = self.start if self.start.dim() == 1 else self.start[rows]
                FIRST[self.client.optimizer](self.client, start, weights, grads, moments)
            else:
                IN_PLACE[self.client.optimizer](self.client, self.taken, weights, grads, moments)

    def encoded(self, part: slice, codec: Codec) -> tuple[Tensor, int]:
        """θ_end − θ_start of some clients in fixed point (clients, P), ZERO_POINT above its value, and how many
        coordinates are saturated; (clients, 0) where towers never leave the device. These towers are used up."""
        if self.own:
            return self.start.new_empty(part.stop - part.start, 0, dtype=torch.int32), 0
        if self.factors is None:
            scaled = self.weights[part].sub_(self.start).mul_(codec.scale)
            saturated = codec.saturate_(scaled)
        else:
            scaled, saturated = self._scaled_gradients(self.factors, part, codec)
        return integers_(scaled), saturated

    def _scaled_gradients(self, factors: Factors, part: slice, codec: Codec) -> tuple[Tensor, int]:
        """The only step: −lr · gradient, whose factor and scale enter one of the two vectors of each product."""
        if self.to_look_at is None:
            self.factors = factors = times(factors, -self.client.lr * codec.scale)
            self.to_look_at = codec.may_saturate(largest(factors)).tolist()
        scaled = self.scratch.take("gradients", part.stop - part.start, self.width)
        write(factors, self.like, part, scaled)
        return scaled, codec.saturate_some_(scaled, self.to_look_at[part])

    def _few(self, clients: int) -> Iterator[tuple[slice, Tensor]]:
        grads = self.scratch.take("gradients", min(self.few, clients), self.width)
        for start in range(0, clients, self.few):
            rows = slice(start, min(start + self.few, clients))
            yield rows, grads[: rows.stop - rows.start]


def _sgd(client: ClientConfig, number: int, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    for velocity in moments:
        grads = velocity.mul_(client.momentum).add_(grads)
    weights.add_(grads, alpha=-client.lr)


def _adam(client: ClientConfig, number: int, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    first, second = moments
    torch._fused_adam_(
        [weights],
        [grads],
        [first],
        [second],
        [],
        [weights.new_full((), float(number))],
        lr=client.lr,
        beta1=client.beta1,
        beta2=client.beta2,
        weight_decay=0.0,
        eps=client.eps,
        amsgrad=False,
        maximize=False,
    )


def _first_sgd(client: ClientConfig, start: Tensor, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    for velocity in moments:
        velocity.copy_(grads)
    torch.add(start, grads, alpha=-client.lr, out=weights)


def _first_adam(client: ClientConfig, start: Tensor, weights: Tensor, grads: Tensor, moments: list[Tensor]) -> None:
    """Free of the bias of their start, the moments are g and g²: θ ← θ − lr g / (|g| + ε)."""
    first, second = moments
    torch.mul(grads, 1 - client.beta1, out=first)
    torch.mul(grads, grads, out=second).mul_(1 - client.beta2)
    grads.div_(torch.abs(grads, out=weights).add_(client.eps))
    torch.add(start, grads, alpha=-client.lr, out=weights)


# The rules of `optimizers.py` for many clients.
# The first step: settings, start (P,) or (K, P), gradients; weights and moments are written, whatever was in them.
FIRST: dict[str, Callable[[ClientConfig, Tensor, Tensor, Tensor, list[Tensor]], None]] = {
    "sgd": _first_sgd,
    "adam": _first_adam,
}
# The others, in place: settings, number of the step, weights, gradients (both are changed), moments.
IN_PLACE: dict[str, Callable[[ClientConfig, int, Tensor, Tensor, list[Tensor]], None]] = {"sgd": _sgd, "adam": _adam}
MOMENTS: dict[str, Callable[[ClientConfig], int]] = {
    "sgd": lambda client: int(client.momentum > 0),
    "adam": lambda _: 2,
}
