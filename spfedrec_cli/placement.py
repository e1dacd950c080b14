"""Where the server computes: the CPU, a GPU by CUDA, or Apple's by Metal (mps). Clients compute on the CPU.

Tensors go there by `placed` and come back by `fetched`, and by nothing else; on the CPU both do nothing. NumPy, and
whatever is written or sent, stay on the CPU; so do 64-bit floats, which Metal does not have.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from spfedrec_cli.errors import InputError

CPU = torch.device("cpu")


def placed(values: Tensor | npt.NDArray[Any], device: torch.device) -> Tensor:
    """The values as a tensor on the device."""
    return torch.as_tensor(values).to(device)


def fetched(values: Tensor) -> Tensor:
    """The values on the CPU."""
    return values.to(CPU)


def chosen(name: str, number: int = 0) -> torch.device:
    """The device of a name that `train.device` takes; of several GPUs that of process `number` of this machine.

    `auto` is CUDA where there is a GPU for it, else the CPU: it takes no Metal, on which nobody has run the tests.
    Raises InputError where this machine does not have what is named.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = name if name != "auto" else "cuda" if there["cuda"] else "cpu"
    if not there[kind]:
        hint = "use --device cpu, or install a driver for it and a build of torch that supports it"
        raise InputError(f"This machine and its torch offer no device {kind!r}", where="train.device", hint=hint)
    return torch.device(kind, number % torch.cuda.device_count()) if kind == "cuda" else torch.device(kind)


def repeatable(device: torch.device) -> torch.device:
    """The device, after telling torch to come to the same bits on it every time. (On the CPU it does so anyway.)

    With CUDA, sums of floats by `index_add_`, `index_put_` and the backward pass of `index_select` would otherwise take
    whatever order its threads come in. What has no repeatable form then raises, so that none can slip in.
    """
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first called
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("highest")  # TF32 has 10 bits, a fixed-point coordinate up to 20
        torch.cuda.set_device(device)
    return device


def described(device: torch.device) -> str:
    """For the record: `cpu`, or the device with the name of the GPU."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextmanager
def one_of_torch() -> Iterator[None]:
    """Torch works by one thread: several wait for each other by turning round and round, which costs ten times the work
    where other programs have the cores; and sums come out the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
