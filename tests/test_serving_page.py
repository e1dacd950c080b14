"""docs/serving.md, run as it stands: from a run to a phone's bundle and to a service."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset

CHECKOUT = Path(__file__).parents[1]
PAGE = (CHECKOUT / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]
PROGRAMS = {"spfedrec": ["-m", "spfedrec_cli"], "python": []}


def run(command: str, folder: Path) -> str:
    """What a command of the page says, in a folder with the examples in it."""
    program, *words = shlex.split(command)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    line = [sys.executable, *PROGRAMS[program], *words]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    (tmp_path / "examples").symlink_to(CHECKOUT / "examples")
    said: dict[str, str] = {}
    for command in COMMANDS:
        if "CUSTOMER" in command:
            someone = Dataset.open(tmp_path / "datasets" / "corner").client_ids[0]
            command = command.replace("CUSTOMER", someone)
        said[command] = run(command, tmp_path)
    (phone,) = (text for command, text in said.items() if command.startswith("spfedrec device"))
    assert "Recommended on the device" in phone
    (exported,) = (text for command, text in said.items() if "hnsw" in command)
    assert re.search(r"recall@12 +(\.9|0\.9|1\.0)", exported)
    (answer,) = (text for command, text in said.items() if command.startswith("python"))
    served = json.loads(answer)
    alone = json.loads(run(f"spfedrec recommend corner --customer {someone} -k 5 --towers-alone --json", tmp_path))
    (mine,) = alone["customers"]
    assert [item["article_id"] for item in served["items"]] == [item["article_id"] for item in mine["items"]]


def test_every_file_named_is_one_that_an_export_writes() -> None:
    from spfedrec_cli.engine.export import EXPORTS

    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("## Read by others")[2], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z.]+)`", row)}
    assert len(named) > 8
    assert named <= {name for row in EXPORTS.values() for name in row.files}
