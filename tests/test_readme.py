"""The first page is short, its commands run, and its figures stand in docs/ beside the commands that make them.

Commands run as they stand, but for what they need: `make demo` runs in an empty folder with the packages of this
environment in place of an installation, and `sales.csv` is a small shop made up here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spfedrec_cli.cli.app import app

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
RESULTS = (CHECKOUT / "docs" / "results.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
MOST_WORDS, LONGEST_LINE = 900, 160
MAKES = r"make [a-z]|benchmarks/\w+\.py|spfedrec [a-z]|--source "  # what a figure's section has to name
FIGURE = r"(?<![\w@.,])\.?\d[\d,.]*(?![\w])"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_it_is_read_in_two_minutes() -> None:
    assert len(PROSE.split()) <= MOST_WORDS
    lines = [line for line in PROSE.splitlines() if not line.lstrip().startswith(("|", "<"))]
    assert [line for line in lines if len(line) > LONGEST_LINE] == []


def test_no_cell_is_left_open() -> None:
    assert "…" not in PROSE


def sections() -> Iterator[str]:
    """Each section of docs/ with the opening of its page. The log is left out: what it tells of is past."""
    for page in sorted((CHECKOUT / "docs").glob("*.md")):
        if page.name != "log.md":
            opening, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            yield from (opening + part for part in parts or [""])


def figures(text: str) -> list[str]:
    """Numbers of tables and sentences; not those of code, addresses, names and versions."""
    plain = re.sub(r"`[^`\n]*`|\]\([^)]*\)|<!--.*?-->|Python 3\.\d+|arXiv [\d.]+", " ", text)
    return sorted({found.rstrip(".,") for found in re.findall(FIGURE, plain)})


def test_figures_are_found() -> None:
    text = "NDCG@10 .149 ± .004 of 18,925, 94 % ([2](docs/3.md)) by `make 4`, MovieLens 100K, Python 3.11. At 30.5"
    assert figures(text) == [".004", ".149", "18,925", "2", "30.5", "94"]
    assert len(figures(PROSE)) > 30


@pytest.mark.parametrize("figure", figures(PROSE))
def test_every_figure_stands_in_docs_beside_the_command_that_makes_it(figure: str) -> None:
    alone = re.compile(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)")
    assert any(alone.search(section) and re.search(MAKES, section) for section in sections())


def test_tables_are_rows_of_docs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(CHECKOUT / "benchmarks")
    import first_page

    for name, extract in first_page.EXTRACTS.items():
        table = first_page.extracted(first_page.section(extract.text(), name), extract)
        assert first_page.section(README, name).strip() == table


def test_the_verdict_is_that_of_the_results() -> None:
    """Not any figure of docs/, but these."""
    told = " ".join(README.split())
    found = {
        name: re.search(r"not federated:.* (\S+) \(NDCG@10\)", RESULTS.partition(f"<!-- {name} -->")[2])
        for name in ("ml-100k", "synthetic")
    }
    ml, shop = (match.group(1) if match else "" for match in found.values())
    assert f"reaches {ml} of the NDCG@10 of the same model trained centrally on MovieLens 100K, and {shop} on" in told


def test_every_console_block_has_a_test_here() -> None:
    commands = [line.removeprefix("$ ") for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
    assert commands == ["make demo", *own_data()]
    assert [kind for kind, _ in BLOCKS] == ["console", "text", "console", "python"]


def own_data() -> list[str]:
    """The commands of the section on one's own data."""
    return [line.removeprefix("$ ") for line in BLOCKS[2][1].splitlines()]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `sales.csv`: sixty customers who buy among three dozen items for forty days."""
    rows = [
        f"{who},{(who * 7 + day * 5) % 36},2024-03-{1 + day % 28:02d}" for who in range(60) for day in range(0, 40, 3)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["user_id,sku,bought_at", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spfedrec(command: str) -> str:
    """What a command says on stdout, where it succeeds."""
    program, *words = command.split()
    assert program == "spfedrec"
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_own_data_then_python(shop: Path) -> None:
    told = [spfedrec(command) for command in own_data()]
    assert "840" in told[0]
    assert "popularity" in told[2]
    made: dict[str, object] = {}
    exec(compile(BLOCKS[3][1], "README.md", "exec"), made)
    assert "popularity" in str(made["table"])


@pytest.mark.slow
def test_the_demo_shows_what_is_shown(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(CHECKOUT / name, tmp_path)
    (tmp_path / "installed").touch()
    program = f"SPFEDREC={sys.executable} -m spfedrec_cli"
    words = [
        "make",
        "-f",
        str(CHECKOUT / "Makefile"),
        "demo",
        "BASE=installed",
        f"BIN={Path(sys.executable).parent}",
        program,
    ]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    said = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    found = [parts(line) for line in said.splitlines()]
    for line in BLOCKS[1][1].splitlines():
        assert any(near(parts(line), each) for each in found), line
    (page,) = (Path(line.strip()) for line in said.splitlines() if line.endswith(".html"))
    assert page == tmp_path / "runs" / "demo-report.html"
    assert page.read_text().startswith("<!DOCTYPE html>")


def parts(line: str) -> tuple[list[str], list[float]]:
    """The words of a line, and its figures."""
    words = line.split()
    measured = [word for word in words if re.fullmatch(r"-?\d+\.\d+", word)]
    return [word for word in words if word not in measured], [float(word) for word in measured]


def near(shown: tuple[list[str], list[float]], said: tuple[list[str], list[float]]) -> bool:
    """Whether the words are the same and the figures are close: other processors add floats in other orders."""
    return shown[0] == said[0] and shown[1] == pytest.approx(said[1], abs=0.03)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(spfedrec [^`]+)`", README))))
def test_every_command_named_has_its_help(command: str) -> None:
    assert "Usage" in spfedrec(command if command.endswith("--help") else f"{command} --help")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z-]+)`", README))))
def test_every_target_named_can_be_made(target: str) -> None:
    """What it would run; that it runs is tested with the program itself, or is this very run of the tests."""
    done = subprocess.run(["make", "--dry-run", target], cwd=CHECKOUT, check=False, capture_output=True)
    assert done.returncode == 0
