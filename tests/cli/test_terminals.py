"""The program as a process: on terminals that are narrow, and where not every letter can be written."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from spfedrec_cli import engine, run
from spfedrec_cli.config import Config, resolve, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

ID = "000058a12d5b43e67d225668fa1f8d618c13dc232df0cad8ffe7ad4a1091e318"
NAME = "tröja-訓練"
ARTICLES = ("Tröja", "訓練", "Vest", *(f"i{n}" for n in range(9)))


@pytest.fixture(scope="module")
def project(sample_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose name and Dataset ask for more letters than ASCII has."""
    folder = tmp_path_factory.mktemp("project")
    rows = [f"k{customer},{name},2020-01-{day:02}\n" for customer in "åb" for day, name in enumerate(ARTICLES, 1)]
    (folder / "rows.csv").write_text("user,sku,at\n" + "".join(rows), encoding="utf-8")
    (folder / "datasets").mkdir()
    (folder / "runs").mkdir()
    columns = {"customer": "user", "item": "sku", "time": "at"}
    made = prepare("table", folder / "rows.csv", folder / "datasets" / "tröjor", split="leave-one-out", columns=columns)
    small = ["train.rounds=1", "federated.cohort_size=2", "client.pool_size=2", "model.dim=4"]
    engine.train(Dataset.open(made.dataset), resolve(settings=small), folder / "runs" / NAME)
    about = {"dataset": "/d", "dataset_sha256": "0" * 64, "dataset_name": "sample"}
    run.create(folder / "runs" / "first", to_toml(Config()), about, {})
    return folder


def spfedrec(place: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "spfedrec_cli", *words]
    return subprocess.run(command, capture_output=True, cwd=place, env={**os.environ, **environment}, check=False)


ASCII = {"PYTHONIOENCODING": "ascii"}
LATIN = {"PYTHONIOENCODING": "latin-1"}
C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}


@pytest.mark.parametrize(
    "words, place",
    [
        (["runs"], ASCII),
        (["runs"], LATIN),
        (["runs", "--csv"], ASCII),
        (["runs"], C),
        (["describe", "datasets/tröjor"], ASCII),
        (["recommend", NAME, "--customer", "kå"], ASCII),
        (["config", "show"], ASCII),
        (["config", "presets"], C),
        (["--help"], LATIN),
        (["recommend", "--help"], ASCII),
        (["recommend", "--help"], LATIN),
        (["recommend", "--help"], C),
    ],
)
def test_a_letter_that_cannot_be_written_is_replaced(
    project: Path, words: Sequence[str], place: dict[str, str]
) -> None:
    done = spfedrec(project, *words, **place)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0), done.stderr
    assert done.stdout


def test_names_of_articles_keep_the_letters_that_can_be_written(project: Path) -> None:
    words = ("recommend", NAME, "--history", "Tröja", "--history", "訓練")
    assert {"Tr?ja", "??"} <= set(spfedrec(project, *words, **ASCII).stdout.decode("ascii").split())
    shown = spfedrec(project, *words, PYTHONIOENCODING="latin-1").stdout.decode("latin-1")
    assert {"Tröja", "??"} <= set(shown.split())
    assert {"Tröja", "訓練"} <= set(spfedrec(project, *words, PYTHONIOENCODING="utf-8").stdout.decode().split())


def test_json_loses_no_letter_anywhere(project: Path) -> None:
    told = json.loads(
        spfedrec(project, "recommend", NAME, "--history", "訓練", "--json", **ASCII).stdout.decode("ascii")
    )
    assert told["customers"][0]["history"][0]["article_id"] == "訓練"
    listed = json.loads(spfedrec(project, "runs", "--json", **ASCII).stdout.decode("ascii"))
    assert [one["dataset"] for one in listed["runs"]] == ["sample", "tröjor"]


def test_errors_are_written_too(project: Path, tmp_path: Path) -> None:
    done = spfedrec(project, "recommend", NAME, "--history", "訓", **ASCII)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"does not hold an article with the id ?; did you mean ??" in done.stderr
    assert spfedrec(tmp_path, "prepare", "--source", "sample", "--output", "prov-ö", **ASCII).returncode == 0


def on_a_terminal(place: Path, width: int, *words: str) -> list[str]:
    """The lines that a terminal of this width is sent, without what colours them."""
    child, terminal = pty.fork()
    if not child:
        os.chdir(place)
        # Not the environment as it is: readline, which pytest loads, writes COLUMNS into it behind Python's back.
        environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
        script = "import sys\nsys.stdin.readline()\nfrom spfedrec_cli.__main__ import main\nmain()"
        os.execve(sys.executable, [sys.executable, "-c", script, *words], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    os.write(terminal, b"\n")
    sent = b"".join(iter(lambda: _read(terminal), b""))
    os.waitpid(child, 0)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sent.decode()).strip().splitlines()


def _read(terminal: int) -> bytes:
    """Nothing where the other end is closed, which Linux calls an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize("words", [("evaluate", "frist"), ("train", "first"), ("trian",)])
@pytest.mark.parametrize("width", [20, 40])
def test_an_error_on_a_narrow_terminal_ends_its_lines_between_words(
    project: Path, words: Sequence[str], width: int
) -> None:
    whole = spfedrec(project, *words).stderr.decode()
    lines = on_a_terminal(project, width, *words)
    assert [word for line in lines for word in line.split() if word != "\\"] == whole.split()
    assert [line for line in lines if len(line) > width and " " in line] == []


def test_ids_and_numbers_are_whole_on_a_narrow_terminal(project: Path, sample_dataset: Dataset) -> None:
    lines = on_a_terminal(project, 40, "describe", str(sample_dataset.path))
    assert ID in lines
    assert any(line.split()[:4] == ["per", "client", "27.6", "2"] for line in lines)
    first = on_a_terminal(project, 40, "runs")
    assert any(line.startswith("first  ") for line in first)
