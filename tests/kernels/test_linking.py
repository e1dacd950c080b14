"""What Python calls has its own copies of all that it calls: it comes to the same bits, whoever compiled it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spfedrec_cli.kernels import compiling
from spfedrec_cli.kernels.linking import Part

ROUNDS = """
from spfedrec_cli import run
from spfedrec_cli.engine import made
from spfedrec_cli.federated.simulation.state import initial_state, stored_tensors
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.kernels import clients

built = made.make(made.sized(made.KERNEL, 300, 500), {"client": {"pool_size": 64, "batch_size": 8}})
state = initial_state(built)
for _ in range(2):
    state, _ = split_round(state, built)
print(run.digest(stored_tensors(state)), sum(clients.train.stats.cache_hits.values()))
"""


@compiling.inlined
def square(number: float) -> float:
    return number * number


@compiling.compiled
def squares(numbers: np.ndarray) -> float:
    total = 0.0
    for i in range(len(numbers)):
        total += square(numbers[i])
    return total


@compiling.compiled
def all_squares(rows: np.ndarray) -> float:
    total = 0.0
    for k in range(len(rows)):
        total += squares(rows[k]) + squares(rows[k, ::2])
    return total


def library(function: Any) -> Any:
    return next(iter(function.overloads.values())).library


@pytest.fixture
def outer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`all_squares`, as Python calls it."""
    monkeypatch.setattr(compiling, "folder", lambda: None)

    @compiling.called
    def outer(rows: np.ndarray) -> float:
        return all_squares(rows)

    return outer


def test_what_is_linked_computes(outer: Any) -> None:
    rows = np.arange(12.0).reshape(3, 4)
    assert outer(rows) == (rows**2).sum() + (rows[:, ::2] ** 2).sum()


def test_only_what_python_calls_becomes_machine_code_and_copies_are_its_own(outer: Any) -> None:
    outer(np.ones((2, 3)))
    for part in (square, squares, all_squares):
        assert isinstance(library(part), Part)
        assert not library(part)._final_module._owned  # by the engine, which makes machine code of it
    assert library(outer)._final_module._owned
    copies = [each for each in library(outer)._final_module.functions if "squares" in each.name]
    assert {each.linkage.name for each in copies} == {"internal"}


@pytest.mark.slow
def test_without_a_compiler_on_the_machine_who_compiles_comes_to_the_bits_of_who_reads(tmp_path: Path) -> None:
    """PATH is empty: numba brings LLVM along, and looks for nothing else."""
    here = {"PATH": "", "NUMBA_CACHE_DIR": str(tmp_path), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    here["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    told = [
        subprocess.run([sys.executable, "-c", ROUNDS], env=here, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    (compiled, hits), (read, hits_of_next) = (line.split() for line in told)
    assert (hits, hits_of_next) == ("0", "1")
    assert compiled == read
