"""Fixed point: q = round(x · qmax / c), so that sums are sums of integers and any order gives the same bits."""

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 2**20 - 1
_MAGIC = 1.5 * 2**23
ZERO_POINT = 0x4B400000  # the bits of the float `_MAGIC`, read as an integer: what stands for 0 in `integers_`
_SLACK = 1e-4  # what a bound on a sum of products may be short of, relatively, because floats were rounded

_MANY = 8  # where more than one client in so many needs to be looked at, all at once cost less than one by one


def quantum_limit(clients: int) -> int:
    """qmax = min(2^20 − 1, ⌊(2^31 − 1) / clients⌋): the sum of so many coordinates cannot overflow 32 bits."""
    return min(LARGEST, (2**31 - 1) // max(1, clients))


def integers_(scaled: Tensor) -> Tensor:
    """round_half_even(x) + ZERO_POINT as int32, in the memory of the float32 `scaled`, for |x| ≤ 2^22 − 1.

    Floats from 2^23 to 2^24 are the integers, in steps of 1, and 1.5 · 2^23 + x lies among them: the addition itself
    rounds x, halves to even, since 1.5 · 2^23 is even. The bits of such floats, read as integers, go in steps of 1 too.
    So one pass does what rounding and conversion would do in two; the zero point is taken off a sum, once for all.
    """
    return scaled.add_(_MAGIC).view(torch.int32)


@dataclass(frozen=True)
class Codec:
    """Encodes coordinates in [−c, c] as integers in [−qmax, qmax]; what lies outside is saturated and counted.

    The error of a decoded sum of K clients is at most K·c / (2·qmax) but for saturated coordinates.
    """

    limit: float
    qmax: int

    @property
    def scale(self) -> float:
        """Units of one: x · scale is to be rounded."""
        return self.qmax / self.limit

    def encode(self, values: Tensor) -> tuple[Tensor, int]:
        """(int32 of the same shape, number of saturated coordinates). `values` is used up."""
        scaled = values.mul_(self.scale)
        saturated = self.saturate_(scaled)
        return integers_(scaled).sub_(ZERO_POINT), saturated

    def saturate_(self, scaled: Tensor) -> int:
        """Cuts scaled coordinates at ±qmax; returns how many would have been rounded to more."""
        if not scaled.numel() or self._holds(scaled):
            return 0
        saturated = int(torch.count_nonzero(scaled.round().abs_() > self.qmax))
        scaled.clamp_(-self.qmax, self.qmax)
        return saturated

    def saturate_some_(self, scaled: Tensor, to_look_at: list[bool]) -> int:
        """The same where only some clients (rows) need to be looked at."""
        if _MANY * sum(to_look_at) > len(to_look_at):
            return self.saturate_(scaled)
        return sum(self.saturate_(scaled[row]) for row, needed in enumerate(to_look_at) if needed)

    def may_saturate(self, largest: Tensor) -> Tensor:
        """(K,) whether clients whose scaled coordinates are `largest` (K,) at most need to be looked at."""
        return ~(largest * (1 + _SLACK) <= self.qmax)

    def _holds(self, scaled: Tensor) -> bool:
        low, high = torch.aminmax(scaled)
        return bool(low >= -self.qmax) and bool(high <= self.qmax)

    def decode(self, total: Tensor) -> Tensor:
        """float32 sum of a total modulo 2^32 (int32 in two's complement: qmax leaves no other reading of it)."""
        return (total.to(torch.float64) * (self.limit / self.qmax)).to(torch.float32)
