"""What a command loads before it answers: seconds of waiting, each time."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from spfedrec_cli import __version__
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare_csv

WATCHED = """
import sys
from spfedrec_cli.__main__ import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code
print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
HEAVY = ("torch", "pandas", "scipy")


def loaded(*words: str, heavy: Sequence[str] = HEAVY) -> str:
    """The last line that a command says on stderr: which of the heavy packages it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.format(heavy=heavy), *words], capture_output=True, text=True, check=False
    )
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


def test_preparing_loads_none(workplace: Path) -> None:
    """Not even dates, prices, articles and customers; nor pydantic, by which a Dataset is read and none is written."""
    heavy = (*HEAVY, "pydantic")
    assert loaded("prepare", "--source", "sample", "--output", "sample", "--quiet", heavy=heavy) == "[]"
    prepare_csv("synthetic", None, "shop", customers=50, items=200)
    assert loaded("prepare", "--source", "hm", "--input", "shop", "--output", "made", heavy=heavy) == "[]"


def test_rings_of_objects_are_not_sought_among_what_imports_make(workplace: Path, sample_dataset: Dataset) -> None:
    script = WATCHED.replace(
        "[name for name in {heavy} if name in sys.modules]", "sum(each['collections'] for each in gc.get_stats())"
    )
    command = [sys.executable, "-c", f"import gc{script}", "describe", str(sample_dataset.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stderr.splitlines()[-1]) < 20  # 140 otherwise


def test_a_list_from_a_store_loads_little_beside_numpy(workplace: Path, stored: Path, sample_dataset: Dataset) -> None:
    """No pydantic, by which Typer would validate what is no more than a text; no bars; no second stage."""
    heavy = (*HEAVY, "pyarrow", "pydantic", "rich.progress", "spfedrec_cli.second_stage", "spfedrec_cli.engine")
    assert loaded("recommend", str(stored), "--customer", sample_dataset.client_ids[0], heavy=heavy) == "[]"


def completed(*words: str) -> tuple[list[str], list[str]]:
    """What bash offers for the last of the words, and which of the heavy packages were loaded for it."""
    asked = {"_SPFEDREC_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", WATCHED.format(heavy=HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked}, check=False)
    return done.stdout.split(), json.loads(done.stderr.splitlines()[-1].replace("'", '"'))


@pytest.mark.parametrize(
    "words, offered",
    [
        (["describe", "s"], ["sample"]),
        (["train", "sample", "--preset", "sy"], ["synthetic"]),
        (["evaluate", "f"], ["first"]),
        (["compare", "first", "f"], ["first"]),
        (["evaluate", "elsewhere"], []),
        (["comp"], ["compare"]),
    ],
    ids=str,
)
def test_the_shell_completes_names_at_once(a_run: Path, words: Sequence[str], offered: Sequence[str]) -> None:
    assert completed("spfedrec", *words) == (offered, [])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_be_told_how(workplace: Path, shell: str) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "spfedrec_cli", "--show-completion", shell],
        capture_output=True,
        text=True,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=True,
    ).stdout
    assert "_SPFEDREC_COMPLETE" in script


def test_what_is_loaded_is_seen(workplace: Path) -> None:
    Path("bought.csv").write_text("who,what,at\na,x,01/09/2020\na,y,22/09/2020\n")
    table = ("--input", "bought.csv", "--columns", "customer=who,item=what,time=at", "--time-format", "%d/%m/%Y")
    assert "pandas" in loaded("prepare", "--source", "table", *table, "--output", "made")


LEFT = """
import atexit
from spfedrec_cli.__main__ import run
class Heavy:
    def __del__(self):
        print("undone")
heavy = Heavy()
atexit.register(lambda: print("left"))
run()
"""


@pytest.mark.parametrize(
    "words, code, said", [(("--version",), 0, f"spfedrec {__version__}\n"), (("describe", "x"), 2, "")]
)
def test_a_command_leaves_without_undoing_what_it_loaded(words: Sequence[str], code: int, said: str) -> None:
    """To undo torch takes up to a second. What was to be done at the end is done."""
    done = subprocess.run([sys.executable, "-c", LEFT, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, said + "left\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_are_not_missed(closed: str) -> None:
    command = f"{sys.executable} -m spfedrec_cli {{}} {closed}"
    for words, code in (("--version", 0), ("describe x", 2)):
        done = subprocess.run(command.format(words), shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
