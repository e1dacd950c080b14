"""A pretended device: tensors that lie in the memory of the CPU, but count as lying elsewhere.

A GPU refuses an operation on tensors of which some lie on it and some do not; a CPU never does. So that a machine
without a GPU notices a move that was forgotten, `pretended` marks what `placement.placed` moves or what is made there,
marks what is computed from it, and raises `Astray` where

* an operation mixes what is marked with what is not (but for single numbers in arithmetic, which a GPU takes too);
* something marked is turned into NumPy without `placement.fetched`;
* something marked has floats of 64 bits, which Metal lacks.

`without=(file, line)` leaves out the move in that place, and `moves` collects the places.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spfedrec_cli import placement
from spfedrec_cli.federated.server import item_tower, optimizers

THERE = torch.device("cpu", 0)  # torch computes on it as on the CPU, yet the two are not equal
Place = tuple[str, int]
_BROUGHT = {torch.Tensor.numpy, torch.Tensor.__array__}
# On CUDA these take a single number from the CPU although they are no arithmetic.
_TAKE_A_NUMBER = {torch.ops.aten.index_put_.default, torch.ops.aten.fill_.Tensor}


def as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's item tower by the operations that other devices take, so that bits can be compared."""
    monkeypatch.setattr(item_tower, "BY_HAND", {})
    monkeypatch.setattr(optimizers, "_step_rows_compiled", optimizers._step_rows)


class Astray(AssertionError):
    """A GPU would have refused this."""


class Marks:
    """Which memory counts as lying there. Weak references keep an address from being given to something else."""

    def __init__(self) -> None:
        self._marked: dict[int, StorageWeakRef] = {}

    def add(self, tensor: Tensor) -> None:
        if tensor.dtype == torch.float64:
            raise Astray(f"64-bit floats of shape {tuple(tensor.shape)} would lie on the device")
        reference = StorageWeakRef(tensor.untyped_storage())
        self._marked[reference.cdata] = reference
        if len(self._marked) > 1 << 14:
            self._marked = {key: each for key, each in self._marked.items() if not each.expired()}

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._marked


class _Operations(TorchDispatchMode):
    """Marks what operations make, and looks at what they are given."""

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        marked = [each for each in given if each in self.marks]
        lying_here = [each for each in given if each not in self.marks and not _is_a_number(operation, each)]
        if marked and lying_here:
            shapes = [tuple(each.shape) for each in lying_here]
            raise Astray(f"{operation} mixes tensors on the device with others of shapes {shapes}")
        made = operation(*args, **kwargs)
        if marked or kwargs.get("device") == THERE:
            for each in tree_leaves(made):
                if isinstance(each, Tensor) and each not in self.marks:
                    self.marks.add(each)
        return made


def _is_a_number(operation: Any, tensor: Tensor) -> bool:
    takes_it = torch.Tag.pointwise in operation.tags or operation in _TAKE_A_NUMBER
    return tensor.dim() == 0 and takes_it


class _Functions(TorchFunctionMode):
    """Says where a tensor lies, and keeps NumPy away from it."""

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and isinstance(args[0], Tensor) and args[0] in self.marks:
            if function in _BROUGHT:
                raise Astray(f"a tensor of shape {tuple(args[0].shape)} went to NumPy from the device")
            if function == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
                return THERE
        return function(*args, **(kwargs or {}))


@contextmanager
def pretended(
    monkeypatch: pytest.MonkeyPatch, moves: set[Place] | None = None, without: Place | None = None
) -> Iterator[torch.device]:
    """A device that this machine does not have; `chosen("cuda")` is it."""
    marks = Marks()

    def placed(values: Any, device: torch.device) -> Tensor:
        tensor = torch.as_tensor(values)
        lies_there = tensor in marks
        if lies_there == (device == THERE) or _left_out(without, moves):
            return tensor
        copied = _copied(tensor)
        if device == THERE:
            marks.add(copied)
        return copied

    def fetched(values: Tensor) -> Tensor:
        return _copied(values) if values in marks and not _left_out(without, moves) else values

    def chosen(name: str, number: int = 0) -> torch.device:
        return THERE if name in ("auto", "cuda") else placement.CPU

    stand_ins = {getattr(placement, each.__name__): each for each in (placed, fetched, chosen)}
    with monkeypatch.context() as patch, _Functions(marks), _Operations(marks):
        for module in [each for name, each in sys.modules.items() if name.startswith("spfedrec_cli.")]:
            for name, value in list(vars(module).items()):
                if isinstance(value, FunctionType) and value in stand_ins:
                    patch.setattr(module, name, stand_ins[value])
        yield THERE


def _copied(tensor: Tensor) -> Tensor:
    """The values in memory of their own, past the modes."""
    with torch._C._DisableTorchDispatch(), torch._C.DisableTorchFunction():
        return tensor.detach().clone()


def _left_out(without: Place | None, moves: set[Place] | None) -> bool:
    """Notes the place of a move that does something; says whether it is the one to leave out."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in ("<dictcomp>", "<genexpr>", "<listcomp>") and frame.f_back is not None:
        frame = frame.f_back
    place = Path(frame.f_code.co_filename).name, frame.f_lineno
    if moves is not None:
        moves.add(place)
    return place == without
