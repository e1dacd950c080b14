"""What a training tells while it goes on, and what it came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli import run
from spfedrec_cli.engine.tables import Tabular, frame

if TYPE_CHECKING:
    import pandas as pd

TOWERS, SECOND = "towers", "second stage"


@dataclass(frozen=True)
class Progress:
    """One round, for whoever watches. `seconds` is its time without validation, which took `validation_seconds`;
    `silent` says how many clients fell silent in which phase, `memory` how
    many bytes this process held after the round; `stage` which of the two stages it is a round of; `prior` which γ
    ranking has, where validation chose it."""

    round: int
    rounds: int
    loss: float
    clients: int
    survivors: int
    aborted: int
    saturated: int
    seconds: float
    bytes_up: int
    bytes_down: int
    validation: dict[str, float] | None
    warning: str | None
    without_target: int = 0
    validation_seconds: float = 0.0
    silent: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    stage: str = TOWERS
    prior: float | None = None


@dataclass(frozen=True)
class SecondStageResult:
    """What the second stage came to. `validation` is NDCG@10 of its lists on validation, on which `mix` is fitted: what
    its own score counts, and what the towers' does. Bytes are sums over its rounds; `seconds` those of this process."""

    rounds: int
    client_updates: int
    bytes_up: int
    bytes_down: int
    mix: tuple[float, float]
    validation: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class TrainResult(Tabular):
    """What a training came to. `validation` belongs to `best_round`, chosen by `monitor`; bytes are sums over all
    rounds, as are `survivors`, the client updates that are in an aggregate, and `aborted`, the sums that nobody
    learned.
    `second_stage`: what that came to, where there is one; none of it is in the other figures but the state's hash.
    `prior`: the γ of the best round, where validation chose it. `bytes_in_chains`: where sums are those of the ideal
    functionality, the mean bytes of a client in a round of secret-sharing chains in its place, "up" and "down".
    """

    run: Path
    rounds: int
    client_updates: int
    survivors: int
    aborted: int
    clients_per_second: float
    validation: dict[str, float]
    bytes_up: int
    bytes_down: int
    state_sha256: str
    best_round: int
    warnings: tuple[str, ...]
    monitor: str
    second_stage: SecondStageResult | None = None
    prior: float | None = None
    bytes_in_chains: Mapping[str, float] = field(default_factory=dict)

    def to_frame(self) -> "pd.DataFrame":
        """A row each round of the run so far, with a column each validation metric, NaN in rounds without validation.

        It is read from metrics.jsonl. Raises InputError where the run is gone.
        """
        lines = run.records(run.find(self.run) / "metrics.jsonl")
        flat = ({**line, **(line["validation"] or {})} for line in lines)
        return frame(flat, "round").drop(columns=["rounds", "validation"])


Watch = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """A watcher that looks away."""
