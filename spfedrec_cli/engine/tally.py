"""What a run has counted: in its checkpoint, and of messages in its ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spfedrec_cli import run
from spfedrec_cli.federated.strategies.ranking import RankingReport
from spfedrec_cli.federated.strategies.report import Report
from spfedrec_cli.federated.wire.messages import IN_ORDER


@dataclass(frozen=True)
class Tally:
    """What a run has counted so far: in the checkpoint, so that a resumed run goes on counting."""

    client_updates: int = 0
    survivors: int = 0
    aborted: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    best_round: int = 0
    best: float = float("-inf")
    validation: Mapping[str, float] | None = None
    warnings: tuple[str, ...] = ()
    prior: float | None = None  # γ of the best round, where validation chose it
    ranking_updates: int = 0  # of the second stage, as what follows
    ranking_up: int = 0
    ranking_down: int = 0
    ranking_validation: Mapping[str, float] | None = None

    def after(self, report: Report) -> "Tally":
        up, down = report.ledger.total("up"), report.ledger.total("down")
        counted = replace(
            self,
            client_updates=self.client_updates + report.clients,
            survivors=self.survivors + report.survivors,
            aborted=self.aborted + report.aborted,
        )
        return replace(counted, bytes_up=self.bytes_up + up, bytes_down=self.bytes_down + down)

    def best_in(self, round_: int, scores: Mapping[str, float], monitor: str, prior: float | None) -> "Tally":
        """The same, with this round as the best one so far."""
        return replace(self, best_round=round_, best=scores[monitor], validation=dict(scores), prior=prior)

    def after_ranking(self, report: RankingReport) -> "Tally":
        """A round of the second stage."""
        return replace(
            self,
            ranking_updates=self.ranking_updates + report.clients,
            ranking_up=self.ranking_up + report.ledger.total("up"),
            ranking_down=self.ranking_down + report.ledger.total("down"),
        )


def tally_of(record: dict[str, Any]) -> Tally:
    """The tally of its record as a dict."""
    return Tally(**{**record, "warnings": tuple(record["warnings"])})


@dataclass(frozen=True)
class Crossed:
    """Messages of one kind over a whole run: how many, `mean` and `largest` in bytes, and what they tell."""

    kind: str
    direction: str
    count: int
    mean: float
    largest: int
    meaning: str


def crossed(folder: Path | str) -> list[Crossed]:
    """What the ledger of a run counted, in the order of the protocol."""
    rows: dict[str, list[dict[str, Any]]] = {kind.kind: [] for kind in IN_ORDER}
    for entry in run.records(run.find(folder) / "ledger.jsonl"):
        rows[entry["kind"]].append(entry)
    return [_crossed(kind, rows[kind.kind]) for kind in IN_ORDER if rows[kind.kind]]


def _crossed(kind: type[Any], entries: list[dict[str, Any]]) -> Crossed:
    count, total = (sum(entry[part] for entry in entries) for part in ("count", "bytes"))
    largest = max(entry["largest"] for entry in entries)
    return Crossed(kind.kind, kind.direction, count, total / count, largest, kind.meaning)
