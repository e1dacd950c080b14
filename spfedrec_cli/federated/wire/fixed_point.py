"""Fixed point: q = round(x · qmax / c), so that sums are sums of integers and any order gives the same bits."""

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST = 2**20 - 1


def quantum_limit(clients: int) -> int:
    """qmax = min(2^20 − 1, ⌊(2^31 − 1) / clients⌋): the sum of so many coordinates cannot overflow 32 bits."""
    return min(LARGEST, (2**31 - 1) // max(1, clients))


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
        """(int32 of the same shape, number of saturated coordinates). `values` is used up. Halves go to even."""
        scaled = values.mul_(self.scale)
        saturated = self._saturate(scaled)
        return scaled.round_().to(torch.int32), saturated

    def _saturate(self, scaled: Tensor) -> int:
        """Cuts scaled coordinates at ±qmax; returns how many would have been rounded to more."""
        if not scaled.numel() or self._holds(scaled):
            return 0
        saturated = int(torch.count_nonzero(scaled.round().abs_() > self.qmax))
        scaled.clamp_(-self.qmax, self.qmax)
        return saturated

    def _holds(self, scaled: Tensor) -> bool:
        low, high = torch.aminmax(scaled)
        return bool(low >= -self.qmax) and bool(high <= self.qmax)

    def decode(self, total: Tensor) -> Tensor:
        """float32 sum of a total modulo 2^32 (int32 in two's complement: qmax leaves no other reading of it)."""
        return (total.to(torch.float64) * (self.limit / self.qmax)).to(torch.float32)
