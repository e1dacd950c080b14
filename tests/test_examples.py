"""The notebook runs from its first cell to its last, the scripts run too, and both say what they say."""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset

EXAMPLES = Path(__file__).parents[1] / "examples"
CELLS = json.loads((EXAMPLES / "walkthrough.ipynb").read_text(encoding="utf-8"))["cells"]


def sources(kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == kind]


def test_nothing_is_left_to_do() -> None:
    prose = "\n".join(sources("markdown"))
    assert "TODO" not in prose
    for heading in ("## 1. Data", "### 2.1", "### 2.2", "#### 2.2.1", "#### 2.2.2", "## 3. Inferring", "## 4. Final"):
        assert heading in prose


@pytest.mark.slow
def test_every_cell_runs_in_its_order(tmp_path: Path) -> None:
    """As a kernel would, but for what it shows of a last line."""
    (tmp_path / "cells.py").write_text("\n".join(sources("code")), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    words = [sys.executable, "-W", "error", "cells.py"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "138 purchases, 5 customers, 134 articles" in done.stdout
    assert "14 distinct articles" in done.stdout
    assert "110 distinct articles" in done.stdout
    assert "requests 18 articles, of which 14 were bought" in done.stdout
    assert "the same weights" in done.stdout


def script(name: str, folder: Path, *words: str) -> str:
    """What an example says where it runs in an empty folder."""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    line = [sys.executable, "-W", "error", str(EXAMPLES / name), *words]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_says_how_it_is_run_and_stands_in_docs() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (EXAMPLES.parent / "docs").glob("*.md"))
    for each in EXAMPLES.glob("*.py"):
        assert f"python examples/{each.name}" in each.read_text(encoding="utf-8")
        assert f"examples/{each.name}" in pages


@pytest.mark.slow
def test_a_variant_of_ones_own(tmp_path: Path) -> None:
    said = script("add_a_variant.py", tmp_path)
    assert script("add_a_variant.py", tmp_path) == said
    updates, summed = (int(each.replace(",", "")) for each in re.findall(r"([\d,]+)(?= client updates| of them)", said))
    assert 0 < summed < updates
    assert "half@10" in said
    assert "popularity" in said


@pytest.mark.slow
def test_two_modes_compared(tmp_path: Path) -> None:
    said = script("compare_modes.py", tmp_path)
    assert re.search(r"paper less slate: [+-]0\.\d{4}, 95 % from", said)
    for mode in ("paper", "slate"):
        assert re.search(rf"{mode}: [\d.]+ MB up, [\d.]+ MB down", said)
        assert re.search(rf"{mode}: the strongest attack is .*, AUC (0\.\d\d|1\.00)", said)


@pytest.fixture(scope="module")
def exported(sample_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("faiss")
    folder = tmp_path_factory.mktemp("service")
    settings = ["train.rounds=1", "train.monitor=ndcg@1", "client.pool_size=8"]
    done = engine.train(sample_dataset, resolve("sample", settings=settings), folder / "run")
    engine.export(done.run, folder / "exact", ("faiss", "npy"))
    return folder


@pytest.fixture(scope="module")
def service(exported: Path) -> Iterator[str]:
    """The address of one that runs."""
    line = [sys.executable, str(EXAMPLES / "serve_with_faiss.py"), str(exported / "exact"), "--port", "0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield started.stdout.readline().strip()
        started.terminate()


def asked(address: str, data: Any = None) -> tuple[int, dict[str, Any]]:
    body = None if data is None else json.dumps(data).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body), timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_service_answers_as_the_run_does(service: str, exported: Path, sample_dataset: Dataset) -> None:
    customer = sample_dataset.client_ids[1]
    (mine,) = engine.recommend(exported / "run", [customer], k=4)
    awaited = [item.article_id for item in mine.items]
    status, told = asked(f"{service}?customer={customer}&k=4")
    assert (status, [item["article_id"] for item in told["items"]]) == (200, awaited)
    query = np.load(exported / "exact" / "clients.npy")[1].tolist()
    status, told = asked(service, {"query": query, "k": 4})
    assert (status, [item["article_id"] for item in told["items"]]) == (200, awaited)


@pytest.mark.parametrize(
    "path, data, problem",
    [
        ("?customer=nobody", None, "no customer 'nobody'"),
        ("?k=4", None, "ask for customer or query"),
        ("", {"query": [0.5]}, "numbers, and this one 1"),
        ("", {"query": "x"}, "ask for customer or query"),
    ],
)
def test_what_a_service_cannot_answer(service: str, path: str, data: Any, problem: str) -> None:
    status, told = asked(service + path, data)
    assert status == 400
    assert problem in told["error"]
