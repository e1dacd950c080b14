"""A report of a real run, read back as text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli import engine, files
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import shown
from spfedrec_cli.engine.ranker import opened
from spfedrec_cli.engine.record import told
from spfedrec_cli.errors import InputError


@pytest.fixture(scope="module")
def run(trained: engine.TrainResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, evaluated beside popularity."""
    folder = tmp_path_factory.mktemp("reported") / "first"
    shutil.copytree(trained.run, folder)
    engine.evaluate(folder, baselines=["popularity", "repeat_often"])
    return folder


@pytest.fixture(scope="module")
def page(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("pages") / "first.html"
    made = engine.write_report([run], file)
    assert made.size == file.stat().st_size
    assert dict(made.verdict)["Privacy"].startswith("The server saw which items each client requested")
    return file.read_text()


@pytest.mark.parametrize(
    "section",
    ["verdict", "privacy", "learning", "quality", "groups", "cost", "items", "customers", "settings"],
)
def test_every_section_is_there(page: str, section: str) -> None:
    assert f'<section id="{section}"' in page
    assert f'href="#{section}"' in page


def test_the_figures_are_those_of_the_run(run: Path, page: str) -> None:
    entry = json.loads((run / "evaluation.json").read_text())["test/full/all"]
    assert f"{entry['metrics']['ndcg@10']:.4f}" in page
    assert f"{entry['baselines']['popularity']['ndcg@10']:.4f}" in page
    lists = next(each for each in told(run).messages if each.kind == "request")
    assert f"{lists.count:,} lists of" in page


def test_bytes_are_those_of_the_ledger(run: Path, trained: engine.TrainResult) -> None:
    found = told(run)
    assert sum(each.bytes for each in found.messages if each.direction == "up") == trained.bytes_up
    assert sum(each.bytes for each in found.messages if each.direction == "down") == trained.bytes_down
    assert found.updates == trained.client_updates


def test_a_run_that_was_not_evaluated_is_evaluated_first(trained: engine.TrainResult, tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    shutil.copytree(trained.run, folder)
    (folder / "evaluation.json").unlink(missing_ok=True)
    stages: list[str] = []
    engine.write_report([folder], tmp_path / "fresh.html", customers=0, tell=lambda at: stages.append(at.stage))
    assert "measuring ease" in stages
    assert stages[-1] == "drawing the page"
    assert '<section id="customers"' not in (tmp_path / "fresh.html").read_text()


def test_several_runs_are_compared(run: Path, shop: Dataset, config: Callable[..., Config], tmp_path: Path) -> None:
    second = engine.train(shop, config("train.seed=1", "train.rounds=2"), tmp_path / "second").run
    engine.write_report([run, second, run], tmp_path / "two.html", field="colour")
    page = (tmp_path / "two.html").read_text()
    assert "first less each of the others, paired by customer" in page
    assert "Items by colour" in page


def test_runs_of_different_datasets_are_refused(
    run: Path, sample_dataset: Dataset, config: Callable[..., Config], tmp_path: Path
) -> None:
    settings = config("train.rounds=1", "client.pool_size=8", "federated.cohort_size=4")
    other = engine.train(sample_dataset, settings, tmp_path / "other").run
    with pytest.raises(InputError, match="different Datasets"):
        engine.write_report([run, other], tmp_path / "two.html")
    assert not (tmp_path / "two.html").exists()


def test_an_audit_is_shown(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "audited"
    shutil.copytree(run, folder)
    attack = {"name": "popular <b>", "party": "server", "view": "requests", "assumption": "none", "auc": 0.8125}
    files.write_json(folder / "audit.json", {"attacks": [attack]})
    engine.write_report([folder], tmp_path / "page.html", customers=0)
    page = (tmp_path / "page.html").read_text()
    assert "popular &lt;b&gt;" in page
    assert "0.812" in page
    files.write_json(folder / "audit.json", {"attacks": "none"})
    with pytest.raises(InputError, match="no audit of a run"):
        engine.write_report([folder], tmp_path / "page.html", force=True)


@pytest.mark.parametrize(
    "name, message",
    [
        ("page.pdf", r"end it in \.html"),
        ("nowhere/page.html", "folder does not exist"),
        ("folder.html", "is a folder"),
        ("there.html", "exists already.*--force"),
    ],
)
def test_where_no_page_can_be_written(run: Path, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "there.html").write_text("before")
    with pytest.raises(InputError, match=message):
        engine.write_report([run], tmp_path / name)
    assert (tmp_path / "there.html").read_text() == "before"


def test_a_page_is_replaced_where_that_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("before")
    engine.write_report([run], tmp_path / "page.html", customers=0, force=True)
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_an_unknown_field_and_a_near_one(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'color'.*did you mean colour"):
        engine.write_report([run], tmp_path / "page.html", field="color")


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_a_missing_extra_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr("spfedrec_cli.extras.find_spec", lambda name: None if name == module else object())
    with pytest.raises(InputError, match=rf"A report needs {module}.*pip install 'spfedrec\[report\]'"):
        engine.write_report([run], tmp_path / "page.html")


def test_a_map_keeps_what_is_near_together(run: Path) -> None:
    """Two directions hold a share of the spread, and cosines are those of all pairs."""
    model = opened(run, "best")
    found = shown.item_map(model, "product_group")
    assert found is not None
    assert 0 < found.told <= 1
    assert found.places.shape == (len(found.values), 2)
    vectors, values = model.items.numpy().astype(float), np.array(found.values)
    value, (count, among, others) = next(iter(found.near.items()))
    own, rest = vectors[values == value], vectors[values != value]
    cosines = own @ own.T
    assert among == pytest.approx(cosines[~np.eye(count, dtype=bool)].mean(), abs=1e-5)
    assert others == pytest.approx((own @ rest.T).mean(), abs=1e-5)


def test_customers_from_well_served_to_badly_served() -> None:
    values = np.array([0.0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    assert shown._chosen(values, 1).tolist() == [9]
    graded = np.linspace(0, 1, 101)
    assert shown._chosen(graded, 3).tolist() == [95, 50, 5]
    assert shown._chosen(graded[:0], 3).tolist() == []


def test_what_was_found_is_marked(run: Path, shop: Dataset) -> None:
    """A mark of something bought in test stands exactly where the item is in the customer's ground truth."""
    every = shown.customers(opened(run, "best"), run, 20)
    assert len(every) > 5
    marked = sum(shown.FOUND in entry.marks for one in every for entry in one.recommended)
    assert marked > 0
    first = next(one for one in every if any(shown.FOUND in entry.marks for entry in one.recommended))
    client = next(place for place in range(shop.n_clients) if shop.client_id(place).startswith(first.name.rstrip("…")))
    names = [labels["name"] for labels in shop.item_labels(shop.truth("test").row(client))]
    assert {entry.name for entry in first.recommended if shown.FOUND in entry.marks} <= set(names)
