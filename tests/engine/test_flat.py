"""A long training takes no more memory and no more open files at its end than soon after its beginning."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS, EARLY = 10_000, 1_000
PROGRAM = """
import json, os, sys
from spfedrec_cli import engine
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

rounds, early = map(int, sys.argv[1:])
prepare("synthetic", None, "shop", customers=60, items=40)
small = ["model.dim=4", "model.field_dim=2", "model.hidden=[4]", "client.pool_size=8", "federated.cohort_size=4"]
often = [f"train.rounds={rounds}", "train.eval_every=100", "train.checkpoint_every=100", "train.threads=1"]
handles = {}
watch = lambda progress: handles.setdefault(progress.round, len(os.listdir("/proc/self/fd")))
engine.train(Dataset.open("shop"), resolve(settings=[*small, *often]), "run", watch)
print(json.dumps([handles[early], handles[rounds]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_ten_thousand_rounds_take_no_more_memory_nor_files_than_a_thousand(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM, str(ROUNDS), str(EARLY)]
    answered = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answered.returncode == 0, answered.stderr
    early, late = json.loads(answered.stdout.splitlines()[-1])
    assert early == late
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    memory = {line["round"]: line["memory"] for line in lines}
    assert memory[ROUNDS] <= 1.02 * memory[EARLY]
