"""The layout that the packages agreed on holds."""

import ast
import logging
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

PACKAGE = Path(__file__).parents[1] / "spfedrec_cli"
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE = 350
LONGEST_FUNCTION = 60


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """import-linter switches off all loggers that are there: ours is as before for the tests that follow."""
    monkeypatch.setattr(logging.getLogger("spfedrec_cli"), "disabled", False)


def test_packages_import_leftwards_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PACKAGE.parent)
    assert lint_imports(no_cache=True, no_logo=True) == 0


def test_the_contract_sees_a_breach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same layers over a package whose errors module reaches for the command line."""
    package = tmp_path / "spfedrec_breach"
    package.mkdir()
    for name, text in (("__init__", ""), ("cli", ""), ("errors", "from spfedrec_breach import cli")):
        (package / f"{name}.py").write_text(text + "\n")
    config = tmp_path / "contract.toml"
    config.write_text(
        '[tool.importlinter]\nroot_package = "spfedrec_breach"\n[[tool.importlinter.contracts]]\nname = "layers"\n'
        'type = "layers"\nlayers = ["spfedrec_breach.cli", "spfedrec_breach.errors"]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert lint_imports(config_filename=str(config), no_cache=True, no_logo=True) == 1


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_readable(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert not tree.body or ast.get_docstring(tree)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_reads_a_pickle(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "pickle" not in named
    assert not calls & {"torch.load", "torch.save"}
