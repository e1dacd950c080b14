"""What the documentation says is there is there, and what is there is said."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.main import get_command

from spfedrec_cli import config
from spfedrec_cli.cli.app import app
from spfedrec_cli.data.sources import SOURCES
from spfedrec_cli.engine.export import EXPORTS
from spfedrec_cli.retrieval.baselines import BASELINES
from spfedrec_cli.retrieval.metrics import CATALOGUE_METRICS, LIST_METRICS, METRICS

CHECKOUT = Path(__file__).parents[1]
PAGES = [
    *sorted(CHECKOUT.glob("*.md")),
    *sorted((CHECKOUT / "docs").glob("*.md")),
    *sorted(CHECKOUT.glob("*/README.md")),
]
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_resolves(page: Path) -> None:
    text = page.read_text()
    links = [*re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text), *re.findall(r"src(?:set)?=\"([^\"]+)\"", text)]
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_to_a_heading_resolves(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        assert heading in headings(page.parent / target if target else page), (target, heading)


def headings(page: Path) -> set[str]:
    """What a link writes for each heading of a page: lower case, hyphens for blanks, without other signs."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_command_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?:^\$ |`|SPFEDREC\) )spfedrec ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= COMMANDS


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_every_command_is_named(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    assert [command for command in COMMANDS if f"`spfedrec {command}`" not in text] == []


def test_every_preset_is_named() -> None:
    text = (CHECKOUT / "docs" / "commands.md").read_text()
    assert [name for name in config.presets() if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize(
    "page, form, names",
    [
        ("data.md", "| `{}` |", SOURCES),
        ("commands.md", "| `{}` |", EXPORTS),
        ("evaluation.md", "| {} |", BASELINES),
        ("evaluation.md", "| {}@k |", (*METRICS, *LIST_METRICS, *CATALOGUE_METRICS)),
    ],
)
def test_every_row_of_a_table_is_told_of(page: str, form: str, names: Iterable[str]) -> None:
    text = (CHECKOUT / "docs" / page).read_text()
    assert [name for name in names if form.format(name) not in text] == []


@pytest.mark.parametrize("command, names", [("prepare", SOURCES), ("export", EXPORTS)])
def test_the_help_names_every_row(command: str, names: Iterable[str]) -> None:
    help = " ".join(str(each.help) for each in get_command(app).commands[command].params)  # type: ignore[attr-defined]
    assert [name for name in names if not re.search(rf"\b{name}\b", help)] == []


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    table = (CHECKOUT / "docs" / "configuration.md").read_text().splitlines()
    rows = [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in config.describe()]
    assert [line for line in table if line.startswith("| `")] == rows
    assert all(meaning for _, _, meaning in config.describe())


@pytest.mark.parametrize("name", config.presets())
def test_every_preset_opens_with_its_purpose_and_its_command(name: str) -> None:
    lines = (CHECKOUT / "spfedrec_cli" / "presets" / f"{name}.toml").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert re.fullmatch(rf"# spfedrec train \S+ --preset {name}", lines[1])


def test_every_make_target_is_named_and_exists() -> None:
    named = set(re.findall(r"^\| `make ([a-z-]+)", (CHECKOUT / "docs" / "commands.md").read_text(), re.MULTILINE))
    rules = set(re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    assert named == rules - {"help", "setup", "format", "clean-demo"}


def test_the_glossary_names_a_term_once() -> None:
    text = (CHECKOUT / "docs" / "glossary.md").read_text()
    terms = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(terms) == len(set(terms)) > 40


def test_every_weakness_is_closed_by_a_test_or_open_in_words() -> None:
    text = (CHECKOUT / "docs" / "protocol.md").read_text()
    rows = re.findall(r"^\| F(\d+) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 13))
    assert [row for row in rows if not re.match(r"(closed|partly closed|open)\b", row[2])] == []
    assert [row for row in rows if "closed" in row[2].split()[:2] and "(../tests/" not in row[2]] == []
