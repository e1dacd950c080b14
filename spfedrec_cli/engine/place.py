"""Where a training leaves what it comes to."""

from dataclasses import asdict, dataclass
from pathlib import Path

from spfedrec_cli import run
from spfedrec_cli.engine.checkpoint import save_state
from spfedrec_cli.engine.tally import Tally
from spfedrec_cli.engine.told import Progress, Watch
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.strategies.ranking import RankingReport
from spfedrec_cli.federated.strategies.report import Report


@dataclass(frozen=True)
class Place:
    """Where a training leaves what it comes to (nowhere, for all but one process), and who watches it."""

    folder: Path | None
    watch: Watch

    def record(self, report: Report, progress: Progress) -> None:
        """Append the round to metrics.jsonl and ledger.jsonl."""
        if self.folder is not None:
            run.append(self.folder / "metrics.jsonl", [asdict(progress)])
            run.append(self.folder / "ledger.jsonl", [entry.as_dict() for entry in report.ledger.entries])

    def record_ranking(self, report: RankingReport, seconds: float) -> None:
        """Append a round of the second stage to second_stage.jsonl and ledger.jsonl."""
        if self.folder is not None:
            told = {key: value for key, value in asdict(report).items() if key != "ledger"}
            run.append(self.folder / "second_stage.jsonl", [{**told, "seconds": seconds}])
            run.append(self.folder / "ledger.jsonl", [entry.as_dict() for entry in report.ledger.entries])

    def save(self, state: State, tally: Tally, keep: int) -> None:
        if self.folder is not None:
            save_state(self.folder, state, tally, keep)
