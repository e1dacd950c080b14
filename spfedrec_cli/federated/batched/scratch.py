"""Memory that is used again and again, because the first touch of fresh memory costs more than the arithmetic in it."""

import torch
from torch import Tensor

from spfedrec_cli.placement import CPU


class Scratch:
    """Room for one simulation at a time. What was in it never matters."""

    def __init__(self, device: torch.device = CPU) -> None:
        self._device = device
        self._rooms: dict[str, Tensor] = {}

    def take(self, name: str, rows: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """(rows, width) with whatever was in it. It ends what was taken by that name before."""
        if name not in self._rooms or self._rooms[name].numel() < rows * width:
            self._rooms[name] = torch.empty(rows * width, dtype=dtype, device=self._device)
        return self._rooms[name][: rows * width].view(rows, width)
