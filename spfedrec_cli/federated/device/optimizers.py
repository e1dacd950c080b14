"""The optimisers of a client's local steps, as PyTorch defines them. Their moments start anew every round.

A rule is one function and one row of `LOCAL_OPTIMIZERS`: (settings, number of the step from 1, gradient, moments) ->
(what is added to the weights, moments). `kernels/descent.py` does the same in place, for many clients.
"""

from collections.abc import Callable

from torch import Tensor

from spfedrec_cli.config import ClientConfig

Moments = tuple[Tensor | float, ...]
Rule = Callable[[ClientConfig, int, Tensor, Moments], tuple[Tensor, Moments]]
NO_MOMENTS: Moments = (0.0, 0.0)


def sgd(client: ClientConfig, number: int, grad: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
    """m ← μ m + g; θ ← θ − lr m."""
    velocity = client.momentum * moments[0] + grad
    return -client.lr * velocity, (velocity, 0.0)


def adam(client: ClientConfig, number: int, grad: Tensor, moments: Moments) -> tuple[Tensor, Moments]:
    """Adam (Kingma and Ba 2015): θ ← θ − lr m̂ / (√v̂ + ε), with m̂ and v̂ free of the bias of their start."""
    first = client.beta1 * moments[0] + (1 - client.beta1) * grad
    second = client.beta2 * moments[1] + (1 - client.beta2) * grad**2
    unbiased = first / (1 - client.beta1**number)
    return -client.lr * unbiased / ((second / (1 - client.beta2**number)).sqrt() + client.eps), (first, second)


LOCAL_OPTIMIZERS: dict[str, Rule] = {"sgd": sgd, "adam": adam}
