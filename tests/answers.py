"""Answers of an engine that is not asked, and the reading of the command line's own."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import Result

from spfedrec_cli import engine, files, run

Invoke = Callable[..., Result]


@dataclass
class Calls:
    """What the engine was asked for: the name of the function, its arguments, its keywords."""

    made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    @property
    def last(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return self.made[-1]


def evaluated(folder: Path, value: float, entry: str = "test/full/all") -> None:
    """Leaves in a run the checkpoint of round 2, and an evaluation of it that found this NDCG@10."""
    import torch

    checkpoint = run.Checkpoint(2, {"weight": torch.zeros(1)}, None, {"tally": {"best_round": 2}})
    run.save_checkpoint(folder, checkpoint, [2])
    found = {"metrics": {"ndcg@10": value}, "checkpoint_round": 2, **run.origin(folder, 2)}
    run.write_json(folder / "evaluation.json", {entry: files.sealed(found)})


StandIn = Callable[..., Calls]


def the_json(result: Result) -> dict[str, Any]:
    """stdout as exactly one JSON object."""
    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    assert isinstance(made, dict)
    return made


def progress(round_: int, **changes: Any) -> engine.Progress:
    """A round of 4 with 8 clients in half a second."""
    values: dict[str, Any] = {
        "round": round_,
        "rounds": 4,
        "loss": 2.0,
        "clients": 8,
        "survivors": 8,
        "aborted": 0,
        "saturated": 0,
        "seconds": 0.5,
        "bytes_up": 800,
        "bytes_down": 1600,
        "validation": None,
        "warning": None,
    }
    return engine.Progress(**{**values, **changes})


def train_result(**changes: Any) -> engine.TrainResult:
    """Four rounds of 8 clients: 32 client updates, each 1,500 bytes up and 250 down."""
    values: dict[str, Any] = {
        "run": Path("runs/first"),
        "rounds": 4,
        "client_updates": 32,
        "survivors": 32,
        "aborted": 0,
        "clients_per_second": 16.0,
        "validation": {"ndcg@10": 0.25, "hit_rate@10": 0.5},
        "bytes_up": 48_000,
        "bytes_down": 8_000,
        "state_sha256": "ab" * 32,
        "best_round": 3,
        "warnings": (),
        "monitor": "ndcg@10",
    }
    return engine.TrainResult(**{**values, **changes})
