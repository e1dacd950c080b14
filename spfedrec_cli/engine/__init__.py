"""Train, evaluate, audit, compare, recommend, export, bench: the whole tool without its command line.

dataset = Dataset.open(Path("datasets/ml-100k"))
result = train(dataset, config.resolve(preset="ml-100k"), Path("runs/first"))
report = evaluate(result.run, baselines=True)
"""

from spfedrec_cli.engine.audit import Attacked, AuditReport, audit_run
from spfedrec_cli.engine.bench import Bench, Speed, bench
from spfedrec_cli.engine.choice import conditions
from spfedrec_cli.engine.compare import Comparison, Paired, compare
from spfedrec_cli.engine.doctor import Diagnosis, Finding, examine
from spfedrec_cli.engine.evaluate import EvaluationReport, evaluate
from spfedrec_cli.engine.everybody import recommend_all
from spfedrec_cli.engine.export import export
from spfedrec_cli.engine.load import load_config
from spfedrec_cli.engine.machine import about_machine
from spfedrec_cli.engine.origins import evaluate_origins
from spfedrec_cli.engine.plot import plot
from spfedrec_cli.engine.promotion import Promotion
from spfedrec_cli.engine.recommend import Ranked, Recommendation, Recommendations, articles, recommend
from spfedrec_cli.engine.rehearse import Rehearsal, rehearse
from spfedrec_cli.engine.report import Reported, write_report
from spfedrec_cli.engine.seeds import Seeds, run_folder, train_seeds
from spfedrec_cli.engine.stop import Interrupted
from spfedrec_cli.engine.suiting import Choice, suited
from spfedrec_cli.engine.sweep import Outcome, Swept, sweep
from spfedrec_cli.engine.tally import Crossed, crossed
from spfedrec_cli.engine.told import Progress, SecondStageResult, TrainResult, Watch
from spfedrec_cli.engine.train import Begun, resume, train
from spfedrec_cli.engine.why import Why

__all__ = [
    "Attacked",
    "AuditReport",
    "Begun",
    "Bench",
    "Choice",
    "Comparison",
    "Crossed",
    "Diagnosis",
    "EvaluationReport",
    "Finding",
    "Interrupted",
    "Outcome",
    "Paired",
    "Progress",
    "Promotion",
    "Ranked",
    "Recommendation",
    "Recommendations",
    "Rehearsal",
    "Reported",
    "SecondStageResult",
    "Seeds",
    "Speed",
    "Swept",
    "TrainResult",
    "Watch",
    "Why",
    "about_machine",
    "articles",
    "audit_run",
    "bench",
    "compare",
    "conditions",
    "crossed",
    "evaluate",
    "evaluate_origins",
    "examine",
    "export",
    "load_config",
    "plot",
    "recommend",
    "recommend_all",
    "rehearse",
    "resume",
    "run_folder",
    "suited",
    "sweep",
    "train",
    "train_seeds",
    "write_report",
]
