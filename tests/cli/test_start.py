"""What a command loads before it answers: seconds of waiting, each time."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset

WATCHED = """
import sys
from spfedrec_cli.__main__ import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code
print([name for name in ("torch", "pandas", "scipy") if name in sys.modules], file=sys.stderr)
"""


def loaded(*words: str) -> str:
    """The last line that a command says on stderr: which of the heavy packages it has loaded."""
    done = subprocess.run([sys.executable, "-c", WATCHED, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["runs"], ["runs", "--json"], ["describe", "sample"]], ids=" ".join)
def test_what_only_shows_loads_neither_torch_nor_pandas(a_run: Path, words: Sequence[str]) -> None:
    assert loaded(*words) == "[]"


def test_describing_a_dataset_with_dates_and_names_loads_neither(workplace: Path, synthetic_dataset: Dataset) -> None:
    """Weeks, baskets, and the names of what is bought most."""
    assert synthetic_dataset.manifest.time_unit == "day"
    assert synthetic_dataset.item_labels([0])[0]["name"]
    assert loaded("describe", str(synthetic_dataset.path)) == "[]"


def test_what_is_loaded_is_seen(workplace: Path) -> None:
    assert "pandas" in loaded("prepare", "--source", "sample", "--output", "sample")
