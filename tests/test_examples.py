"""The notebook runs from its first cell to its last, and says what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
