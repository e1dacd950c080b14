"""What the documentation says is there is there, and what is there is said."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from spfedrec_cli import config
from spfedrec_cli.cli.app import app

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md")), *sorted(CHECKOUT.glob("*/README.md"))]
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_resolves(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_command_named_exists(page: Path) -> None:
    named = set(re.findall(r"(?:^\$ |`|SPFEDREC\) )spfedrec ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= COMMANDS


def test_readme_names_every_command_and_preset() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert [command for command in COMMANDS if f"`spfedrec {command}`" not in readme] == []
    assert [name for name in config.presets() if f"`{name}`" not in readme] == []


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


@pytest.mark.parametrize("target", ["demo", "test", "bench", "bench-engine", "bench-linearity", "results"])
def test_make_targets_of_the_readme_exist(target: str) -> None:
    assert f"make {target}" in (CHECKOUT / "README.md").read_text()
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
