"""The state of a run and its tally, as checkpoints hold them."""

from dataclasses import asdict
from pathlib import Path

import torch

from spfedrec_cli import run
from spfedrec_cli.engine.tally import Tally, tally_of
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.federated.simulation.state import State, state_from_tensors, stored_tensors
from spfedrec_cli.model.towers import dense


def checkpoint_round(folder: Path, which: str) -> int:
    """The round of the `best` (by train.monitor) or the `last` checkpoint; of the one before, where it is damaged."""
    if which not in ("best", "last"):
        raise InputError(f"There is no checkpoint {which!r}", hint="choose best or last")
    return run.usable(folder, which)


def save_state(folder: Path, state: State, tally: Tally, keep: int = 1) -> None:
    """A checkpoint: the state, and what was counted. The last `keep` and the best one stay."""
    manifest = {"tally": asdict(tally)}
    run.save_checkpoint(
        folder, run.Checkpoint(state.round, stored_tensors(state), state.private, manifest), [tally.best_round], keep
    )


def go_on_from(folder: Path, loaded: tuple[State, Tally] | None, keep: int) -> None:
    """Make the run what it was when it saved this checkpoint, or when it began; for whoever has locked it."""
    run.go_on_from(folder, loaded[0].round if loaded else 0)
    if loaded is not None:
        run.tidy(folder, loaded[0].round, [loaded[1].best_round], keep)


def check_finite(state: State, tables: bool = True) -> None:
    """Raises SpfedrecError where a weight is no number any more: such a state is never saved. To look through the
    tables of fields takes a while; in a round, the loss says so of their rows that take part."""
    for tower, weights in (("query", state.query), ("item", state.item)):
        for name, weight in (weights if tables else dense(weights)).items():
            if not torch.isfinite(weight).all():
                hint = "lower client.lr, server.lr or server.item_lr; --resume goes on from the last checkpoint"
                raise SpfedrecError(
                    f"After round {state.round} the weight {name} of the {tower} tower is no number", hint=hint
                )


def load_state(folder: Path, round_: int) -> tuple[State, Tally]:
    """The inverse of `save_state`."""
    checkpoint = run.load_checkpoint(folder, round_)
    return state_from_tensors(round_, checkpoint.tensors, checkpoint.private), tally_of(checkpoint.manifest["tally"])
