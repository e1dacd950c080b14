"""SpFedRec: simulate a federated recommender that never collects its customers' purchases.

    import spfedrec_cli as spfedrec

    spfedrec.prepare("sample", output="datasets/sample")
    dataset = spfedrec.Dataset.open("datasets/sample")
    result = spfedrec.train(dataset, spfedrec.resolve("sample"), "runs/first")
    report = spfedrec.evaluate("first", baselines=True)

What is exported here is the public API. A name is imported when it is first used, so that to import the package loads
neither torch nor pandas.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from spfedrec_cli.config import Config as Config
    from spfedrec_cli.config import presets as presets
    from spfedrec_cli.config import resolve as resolve
    from spfedrec_cli.data.dataset import Dataset as Dataset
    from spfedrec_cli.data.describe import describe as describe
    from spfedrec_cli.data.prepare import CsvSummary as CsvSummary
    from spfedrec_cli.data.prepare import Summary as Summary
    from spfedrec_cli.data.prepare import prepare as prepare
    from spfedrec_cli.data.prepare import prepare_csv as prepare_csv
    from spfedrec_cli.data.raw import Reading as Reading
    from spfedrec_cli.data.subset import Subset as Subset
    from spfedrec_cli.engine import Attacked as Attacked
    from spfedrec_cli.engine import AuditReport as AuditReport
    from spfedrec_cli.engine import Begun as Begun
    from spfedrec_cli.engine import Bench as Bench
    from spfedrec_cli.engine import Choice as Choice
    from spfedrec_cli.engine import Comparison as Comparison
    from spfedrec_cli.engine import Crossed as Crossed
    from spfedrec_cli.engine import Diagnosis as Diagnosis
    from spfedrec_cli.engine import EvaluationReport as EvaluationReport
    from spfedrec_cli.engine import Finding as Finding
    from spfedrec_cli.engine import Interrupted as Interrupted
    from spfedrec_cli.engine import Outcome as Outcome
    from spfedrec_cli.engine import Paired as Paired
    from spfedrec_cli.engine import Progress as Progress
    from spfedrec_cli.engine import Promotion as Promotion
    from spfedrec_cli.engine import Ranked as Ranked
    from spfedrec_cli.engine import Recommendation as Recommendation
    from spfedrec_cli.engine import Recommendations as Recommendations
    from spfedrec_cli.engine import Rehearsal as Rehearsal
    from spfedrec_cli.engine import Reported as Reported
    from spfedrec_cli.engine import SecondStageResult as SecondStageResult
    from spfedrec_cli.engine import Seeds as Seeds
    from spfedrec_cli.engine import Speed as Speed
    from spfedrec_cli.engine import Swept as Swept
    from spfedrec_cli.engine import TrainResult as TrainResult
    from spfedrec_cli.engine import Watch as Watch
    from spfedrec_cli.engine import Why as Why
    from spfedrec_cli.engine import about_machine as about_machine
    from spfedrec_cli.engine import articles as articles
    from spfedrec_cli.engine import audit_run as audit_run
    from spfedrec_cli.engine import conditions as conditions
    from spfedrec_cli.engine import crossed as crossed
    from spfedrec_cli.engine import evaluate_origins as evaluate_origins
    from spfedrec_cli.engine import examine as examine
    from spfedrec_cli.engine import load_config as load_config
    from spfedrec_cli.engine import recommend_all as recommend_all
    from spfedrec_cli.engine import resume as resume
    from spfedrec_cli.engine import run_folder as run_folder
    from spfedrec_cli.engine import suited as suited
    from spfedrec_cli.engine import train_seeds as train_seeds
    from spfedrec_cli.engine.bench import bench as bench
    from spfedrec_cli.engine.compare import compare as compare
    from spfedrec_cli.engine.evaluate import evaluate as evaluate
    from spfedrec_cli.engine.export import export as export
    from spfedrec_cli.engine.plot import plot as plot
    from spfedrec_cli.engine.recommend import recommend as recommend
    from spfedrec_cli.engine.rehearse import rehearse as rehearse
    from spfedrec_cli.engine.report import write_report as write_report
    from spfedrec_cli.engine.sweep import sweep as sweep
    from spfedrec_cli.engine.train import train as train
    from spfedrec_cli.errors import InputError as InputError
    from spfedrec_cli.errors import SpfedrecError as SpfedrecError

_EXPORTED = {
    "config": "Config presets resolve",
    "data.dataset": "Dataset",
    "data.describe": "describe",
    "data.prepare": "CsvSummary Summary prepare prepare_csv",
    "data.raw": "Reading",
    "data.subset": "Subset",
    "engine": (
        "Attacked AuditReport Begun Bench Choice Comparison Crossed Diagnosis EvaluationReport Finding Interrupted "
        "Outcome Paired Progress Promotion Ranked Recommendation Recommendations Rehearsal Reported SecondStageResult "
        "Seeds Speed Swept TrainResult Watch Why about_machine articles audit_run bench compare conditions crossed "
        "evaluate evaluate_origins examine export load_config plot recommend recommend_all rehearse resume "
        "run_folder suited sweep train train_seeds write_report"
    ),
    "errors": "InputError SpfedrecError",
}
_HOMES = {name: f"{__name__}.{module}" for module, names in _EXPORTED.items() for name in names.split()}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for one

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted([*globals(), *_HOMES])
