"""Train, evaluate, compare, recommend, export: the whole tool without its command line.

dataset = Dataset.open(Path("datasets/ml-100k"))
result = train(dataset, config.resolve(preset="ml-100k"), Path("runs/first"))
report = evaluate(result.run, baselines=True)
"""

from spfedrec_cli.engine.compare import Comparison, Paired, compare
from spfedrec_cli.engine.evaluate import EvaluationReport, evaluate
from spfedrec_cli.engine.export import export
from spfedrec_cli.engine.load import Crossed, crossed, load_config
from spfedrec_cli.engine.recommend import Ranked, Recommendation, recommend, recommend_all
from spfedrec_cli.engine.rehearse import Rehearsal, rehearse
from spfedrec_cli.engine.train import Interrupted, Progress, TrainResult, resume, train

__all__ = [
    "Comparison",
    "Crossed",
    "EvaluationReport",
    "Interrupted",
    "Paired",
    "Progress",
    "Ranked",
    "Recommendation",
    "Rehearsal",
    "TrainResult",
    "compare",
    "crossed",
    "evaluate",
    "export",
    "load_config",
    "recommend",
    "recommend_all",
    "rehearse",
    "resume",
    "train",
]
