"""What CONTRIBUTING.md adds, added from outside of the package: it trains, and its page is true."""

import re
from pathlib import Path
from typing import Any

import pytest

from spfedrec_cli import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine.evaluate import evaluate
from spfedrec_cli.engine.train import train
from spfedrec_cli.federated.aggregation import table
from spfedrec_cli.federated.sampling import modes
from spfedrec_cli.model import architectures, loss
from spfedrec_cli.retrieval import metrics

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = re.findall(r"```python\n# (\S+)\n(.*?)```\n\n```diff\n # (\S+)\n(.*?)```", PAGE, flags=re.S)
TABLES: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "metrics": (metrics, metrics.METRICS, ["train.monitor=f1@10"]),
    "loss": (loss, loss.LOSSES, ["client.loss=hinge", "train.engine=reference"]),
    "modes": (modes, modes.MODES, ["request.mode=even", "request.slate_size=16"]),
    "table": (table, table.AGGREGATIONS, ["federated.aggregation=whole_or_nothing"]),
    "architectures": (
        architectures,
        architectures.TOWERS,
        ["model.query_tower=gated", "model.item_tower=gated", "train.engine=reference"],
    ),
}
SMALL = ["train.rounds=2", "federated.cohort_size=20", "model.dim=8", "model.field_dim=4", "client.pool_size=16"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("shop") / "shop"
    prepare(source="synthetic", input=None, output=folder, customers=120, items=60)
    return Dataset.open(folder)


def test_the_page_adds_one_of_each() -> None:
    assert [Path(where).stem for *_, where, _ in BLOCKS] == list(TABLES)


@pytest.mark.parametrize("file, code, where, diff", BLOCKS, ids=[Path(where).stem for *_, where, _ in BLOCKS])
def test_what_the_page_adds_trains(
    file: str, code: str, where: str, diff: str, shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, rows, settings = TABLES[Path(where).stem]
    assert not (ROOT / file).exists()
    source = (ROOT / where).read_text()
    for line in diff.splitlines():  # what stands beside the row is there
        assert line.startswith("+") or line[1:] in source, line
    added = {**vars(module)}
    exec(compile(code, file, "exec"), added)
    _, name, row = next(line for line in diff.splitlines() if line.startswith("+")).rsplit('"', 2)
    monkeypatch.setitem(rows, name, eval(row.strip(": ,}"), added))
    result = train(shop, resolve(settings=[*SMALL, *settings]), tmp_path / "run")
    assert result.rounds == 2
    assert result.survivors == result.client_updates
    report = evaluate(tmp_path / "run")
    assert ("f1@10" in report.metrics) == (name == "f1")
