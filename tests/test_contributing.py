"""What CONTRIBUTING.md adds, put into a copy of the package as it stands there: it arrives wherever a user looks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # a copy compiles the clients' training anew

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n# (\S+)\n(.*?)```\n\n```diff\n # (\S+)\n(.*?)```", PAGE, flags=re.S)
EVENTS = "timestamp,visitorid,event,itemid,transactionid\n" + "".join(
    f"{1_430_000_000_000 + 86_400_000 * day},{who},{'transaction' if day % 2 else 'view'},{(who * 7 + day) % 12},\n"
    for day in range(40)
    for who in range(30)
)
SMALL = ["rounds=2", "eval_every=1", "monitor=f1@5"]
SETTINGS = [
    *(f"train.{each}" for each in SMALL),
    *("federated.cohort_size=12", "model.dim=8", "model.field_dim=4", "server.optimizer=fedlion"),
]
RUNS = {
    "plain": [],
    "protocol": ["federated.aggregation=whole_or_nothing", "request.mode=even", "request.slate_size=8"],
    "own": [
        *("client.loss=soft_margin", "model.query_tower=gated", "model.item_tower=gated", "train.engine=reference"),
        *("client.negatives=request", "federated.aggregation=whole_or_nothing"),
    ],
}


@dataclass(frozen=True)
class Copy:
    """The package with all that the page adds, and a place to work in."""

    place: Path

    def run(self, *words: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.place)}
        command = [sys.executable, "-m", "spfedrec_cli", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.place / "work", check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def file(self, name: str) -> str:
        return (self.place / "work" / name).read_text(encoding="utf-8")


def changed(source: str, diff: str) -> str:
    """The source after a diff: pieces apart by "…", each of lines that are there, to come (+) and to go (-)."""
    for piece in diff.split("\n …\n"):
        lines = piece.splitlines()
        before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
        after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
        assert f"\n{source}".count(f"\n{before}\n") == 1, before
        source = f"\n{source}".replace(f"\n{before}\n", f"\n{after}\n")[1:]
    return source


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    place = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "spfedrec_cli", place / "spfedrec_cli", ignore=shutil.ignore_patterns("__pycache__"))
    for file, code, where, diff in BLOCKS:
        assert not (place / file).exists()
        (place / file).write_text(code, encoding="utf-8")
        (place / where).write_text(changed((place / where).read_text(encoding="utf-8"), diff), encoding="utf-8")
    (place / "work").mkdir()
    (place / "work" / "events.csv").write_text(EVENTS)
    return Copy(place)


@pytest.fixture(scope="module")
def trained(copy: Copy) -> Callable[[str], Any]:
    """What `train --json` says of a run, which is trained when it is first asked for."""
    made: dict[str, Any] = {}

    def of(name: str) -> Any:
        if not made:
            copy.run("prepare", "--source", "retailrocket", "--input", "events.csv", "--output", "datasets/events")
        if name not in made:
            settings = [f"--set={each}" for each in (*SETTINGS, *RUNS[name])]
            made[name] = copy.json("train", "events", "--name", name, *settings)
        return made[name]

    return of


def test_the_page_adds_one_of_each() -> None:
    tables = ["sources", "retrieval", "baselines", "model", "server", "model", "sampling", "aggregation", "audit"]
    assert [Path(where).parent.name for *_, where, _ in BLOCKS] == [*tables, "engine"]
    assert len(BLOCKS) == PAGE.count("```python")


def test_what_it_adds_is_in_the_form_of_the_package(copy: Copy) -> None:
    added = [copy.place / file for pair in BLOCKS for file in pair[::2]]
    config = f"--config={ROOT / 'pyproject.toml'}"
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, config, "--no-cache", *map(str, added)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_a_source_is_read(copy: Copy, trained: Callable[[str], Any]) -> None:
    assert trained("plain")["rounds"] == 2
    assert copy.json("describe", "events")["purchases"] == EVENTS.count("transaction,")


@pytest.mark.parametrize("name", RUNS)
def test_a_training_follows_rows_that_were_added(name: str, trained: Callable[[str], Any]) -> None:
    told = trained(name)
    assert told["survivors"] == told["client_updates"] > 0
    assert "f1@5" in told["validation"]


def test_a_protocol_sends_what_it_sends(copy: Copy, trained: Callable[[str], Any]) -> None:
    """No message of a secret-sharing chain; and what is refused and reckoned knows it."""
    trained("own")
    kinds = {json.loads(line)["kind"] for line in copy.file("runs/own/ledger.jsonl").splitlines()}
    assert kinds == {"popularity", "counts", "broadcast", "request", "embeddings", "update"}
    settings = [f"--set={each}" for each in (*SETTINGS, *RUNS["protocol"])]
    assert copy.json("train", "events", "--dry-run", *settings)["bytes_up"] > 0
    assert copy.run("config", "validate", "runs/own/config.toml")


def test_a_metric_and_a_baseline_are_measured(copy: Copy, trained: Callable[[str], Any]) -> None:
    trained("plain")
    found = copy.json("evaluate", "plain", "--baselines", "-k", "5")
    assert "f1@5" in found["metrics"]
    assert found["baselines"]["newest"].keys() == found["metrics"].keys()
    assert re.search(r"\bf1\b", copy.run("evaluate", "plain", "-k", "5"))
    compared = copy.json("compare", "plain", "plain:newest", "--metric", "f1@5")
    assert compared["means"]["plain"]["f1@5"] == pytest.approx(found["metrics"]["f1@5"])


def test_an_attack_is_made(copy: Copy, trained: Callable[[str], Any]) -> None:
    trained("plain")
    assert [each["name"] for each in copy.json("audit", "plain", "--attack", "late ids")["attacks"]] == ["late ids"]


def test_a_format_is_exported_and_replaced(copy: Copy, trained: Callable[[str], Any]) -> None:
    trained("plain")
    for more in ([], ["--force"]):
        copy.run("export", "plain", "--output", "out", "--format", "word2vec", *more)
    assert copy.file("out/items.w2v").startswith("12 8\n")


def test_a_report_tells_of_them(copy: Copy, trained: Callable[[str], Any]) -> None:
    pytest.importorskip("jinja2")
    trained("protocol")
    copy.run("report", "protocol", "--output", "page.html")
    page = copy.file("page.html")
    assert all(word in page for word in ("f1@10", "newest", "a sum of all or of nobody", "(even)"))
    assert "secret sharing, executed" not in page
