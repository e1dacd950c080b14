"""How a training is shown: as JSON, as facts, and what crossed the network."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli.cli.output import Cell, number, size

if TYPE_CHECKING:
    from spfedrec_cli.engine import TrainResult


def as_json(result: "TrainResult") -> dict[str, Any]:
    """Its object on stdout."""
    return {
        "run": str(result.run),
        "rounds": result.rounds,
        "client_updates": result.client_updates,
        "survivors": result.survivors,
        "aborted": result.aborted,
        "clients_per_second": round(result.clients_per_second, 3),
        "validation": result.validation,
        "best_round": result.best_round,
        "monitor": result.monitor,
        "prior": result.prior,
        "bytes_up": result.bytes_up,
        "bytes_down": result.bytes_down,
        "bytes_in_chains": dict(result.bytes_in_chains),
        "state_sha256": result.state_sha256,
        "warnings": list(result.warnings),
        **({} if result.second_stage is None else {"second_stage": asdict(result.second_stage)}),
    }


def messages_of(run: Path) -> list[tuple[Cell, ...]]:
    """A row for each kind of message of the run's ledger."""
    from spfedrec_cli import engine

    to = {"down": "client", "up": "server"}
    return [
        (row.kind, to[row.direction], row.count, size(row.mean), size(row.largest), row.meaning)
        for row in engine.crossed(run)
    ]


def _second_stage(result: "TrainResult") -> list[tuple[str, Cell]]:
    """What devices learned to rank for themselves, where they did; what crossed is in the table of messages."""
    second = result.second_stage
    if second is None:
        return []
    own, towers = second.mix
    mix = (
        "the towers alone" if not own else "without the towers" if not towers else f"{own:g} to the towers' {towers:g}"
    )
    return [
        ("rounds of the second stage", second.rounds),
        *((f"validation {metric} with it", number(value)) for metric, value in second.validation.items()),
        ("its own score counts", mix),
    ]


def _lost(result: "TrainResult") -> list[tuple[str, Cell]]:
    """What is only said where anything was lost."""
    told: list[tuple[str, Cell]] = []
    if result.survivors < result.client_updates:
        told.append(("client updates in an aggregate", result.survivors))
    if result.aborted:
        told.append(("sums that nobody learned", result.aborted))
    return told


def _what_matters(result: "TrainResult") -> dict[str, float]:
    """Of the validation: whether anything is found, how much, how high, and what the best round was chosen by."""
    told = ("hit_rate", "recall", "ndcg", result.monitor.partition("@")[0])
    return {metric: value for metric, value in result.validation.items() if metric.partition("@")[0] in told}


def _beside(result: "TrainResult", way: str, updates: int) -> str:
    """Bytes of one client, and what an executed protocol sends where they are those of the ideal sum."""
    told = size((result.bytes_up if way == "up" else result.bytes_down) / updates)
    executed = result.bytes_in_chains.get(way)
    return told if executed is None else f"{told}; {size(executed)} if secret-sharing chains made the sum"


def facts_of(result: "TrainResult") -> list[tuple[str, Cell]]:
    """What is shown of it, by name."""
    updates = max(result.client_updates, 1)
    return [
        ("rounds", result.rounds),
        ("client updates", result.client_updates),
        *_lost(result),
        *([("clients per second", f"{result.clients_per_second:,.0f}")] if result.clients_per_second else []),
        *((f"validation {metric}", number(value)) for metric, value in _what_matters(result).items()),
        ("best round", result.best_round),
        *([("weight of the prior, chosen there", number(result.prior))] if result.prior is not None else []),
        ("sent by a client a round", _beside(result, "up", updates)),
        ("received by a client a round", _beside(result, "down", updates)),
        *_second_stage(result),
        ("where it is", str(result.run)),
    ]
