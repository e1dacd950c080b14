"""The public API: `import spfedrec_cli as spfedrec`."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import spfedrec_cli as spfedrec
from spfedrec_cli import engine

CHECKOUT = Path(__file__).parents[1]
SETTINGS = ["train.rounds=4", "train.eval_every=2", "train.checkpoint_every=2"]


def typed_names() -> set[str]:
    """What a type checker is told that the package exports."""
    tree = ast.parse((CHECKOUT / "spfedrec_cli" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    return {alias.asname for node in imports for alias in node.names if alias.asname}


def test_what_is_exported_is_what_a_type_checker_knows_and_what_is_there() -> None:
    assert set(spfedrec.__all__) == typed_names()
    assert set(engine.__all__) <= set(spfedrec.__all__)
    assert [name for name in spfedrec.__all__ if getattr(spfedrec, name, None) is None] == []
    assert set(spfedrec.__all__) <= set(dir(spfedrec))


def test_a_misspelt_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'spfedrec_cli' has no attribute 'trian'"):
        _ = spfedrec.trian  # type: ignore[attr-defined]


def test_to_import_the_package_loads_nothing_heavy() -> None:
    script = (
        "import sys, spfedrec_cli as spfedrec\n"
        "heavy = ['torch', 'pandas', 'numpy', 'pyarrow', 'scipy', 'pydantic']\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "spfedrec.InputError, dir(spfedrec), spfedrec.presets()\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n['pydantic']\n"


def test_no_subpackage_takes_the_place_of_a_function() -> None:
    """To import a subpackage sets an attribute of the package, under which __getattr__ is not asked."""
    spfedrec.resolve(next(iter(spfedrec.presets())))
    assert [name for name in spfedrec.__all__ if isinstance(getattr(spfedrec, name), ModuleType)] == []


SCRIPT = """
import spfedrec_cli as spfedrec

def improve(folder: str) -> dict[str, float]:
    spfedrec.prepare("sample", output=folder, subset=spfedrec.Subset(customers=3))
    dataset = spfedrec.Dataset.open(folder)
    result: spfedrec.TrainResult = spfedrec.train(dataset, spfedrec.resolve("sample"), "runs/first")
    report = spfedrec.evaluate("first", baselines=True)
    for one in spfedrec.recommend("first", customers=[dataset.client_ids[0]]):
        print(one.items[0].article_id)
    try:
        spfedrec.compare(["first", result.run])
    except spfedrec.InputError as error:
        print(error.hint)
    return report.metrics
"""


WRONG = """
unknown = spfedrec.resolv("sample")
words: list[str] = spfedrec.evaluate("first").metrics
spfedrec.prepare("sample", output=3)
"""


@pytest.mark.slow
def test_a_script_is_type_checked(tmp_path: Path) -> None:
    """What is wrong is seen, and nothing else. Without the packages that ours needs, whose types take a minute."""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT + WRONG)
    flags = ["--strict", "--config-file=", "--no-site-packages", "--follow-imports=silent"]
    command = [sys.executable, "-m", "mypy", *flags, f"--cache-dir={tmp_path / 'cache'}", str(file)]
    environment = {**os.environ, "MYPYPATH": str(CHECKOUT)}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stdout.splitlines()
    assert [line.rpartition("[")[2] for line in found[:-1]] == ["attr-defined]", "assignment]", "arg-type]"], found
    assert (CHECKOUT / "spfedrec_cli" / "py.typed").is_file()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with datasets/sample and runs/first, to work in with texts as paths."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        spfedrec.prepare("sample", output="datasets/sample")
        dataset = spfedrec.Dataset.open("datasets/sample")
        spfedrec.train(dataset, spfedrec.resolve("sample", settings=SETTINGS), "runs/first")
        yield folder


@pytest.fixture
def dataset(place: Path) -> Any:
    return spfedrec.Dataset.open("datasets/sample")


def test_texts_are_paths(place: Path, dataset: spfedrec.Dataset) -> None:
    config = spfedrec.resolve(file="runs/first/config.toml")
    assert config == spfedrec.load_config("runs/first") == spfedrec.load_config("first")
    columns = own(place, dataset)
    summary = spfedrec.prepare("table", "datasets/own.csv", "datasets/own", columns=columns)
    said = ",".join("=".join(each) for each in columns.items())  # as on the command line
    again = spfedrec.prepare("table", "datasets/own.csv", "datasets/own", columns=said)
    assert again.purchases == summary.purchases
    assert spfedrec.Dataset.open("datasets/own").manifest.counts.purchases == summary.purchases
    written = spfedrec.prepare_csv("synthetic", None, "datasets/files", customers=20, items=20)
    assert written.rows > 0
    seeds = spfedrec.train_seeds(dataset, config, "runs/several", 2)
    assert [result.run for result in seeds.results] == [Path("runs/several-seed-0"), Path("runs/several-seed-1")]
    assert spfedrec.resume("several-seed-0", rounds=5).rounds == 5


def own(place: Path, dataset: spfedrec.Dataset) -> dict[str, str]:
    """The sample as a file of one's own; its columns."""
    rows = pd.concat([dataset.frame(split) for split in ("train", "validation", "test")])
    rows.to_csv(place / "datasets" / "own.csv", index=False)
    return {"customer": "customer_id", "item": "article_id"}


@pytest.mark.parametrize("name", ["first", "runs/first", Path("runs/first")])
def test_a_run_is_a_path_or_a_name(place: Path, tmp_path: Path, name: str | Path) -> None:
    assert spfedrec.evaluate(name).run == Path("runs/first")
    assert len(spfedrec.recommend(name, history=spfedrec.Dataset.open("datasets/sample").item_ids[:2], k=3)) == 1
    assert spfedrec.recommend_all(name, str(tmp_path / "all.csv"), format="csv") == 5
    assert len(spfedrec.export(name, str(tmp_path / "exported"))) == 4
    assert list(spfedrec.compare([name, f"{name}:popularity"]).means) == [str(name), f"{name}:popularity"]
    assert {message.kind for message in spfedrec.crossed(name)} >= {"request"}


def test_a_run_that_is_none_is_told(place: Path) -> None:
    with pytest.raises(spfedrec.InputError, match=r"There is no run 'frist'; did you mean first\?"):
        spfedrec.evaluate("frist")


ONE = {
    "evaluate, baselines": lambda: spfedrec.evaluate("first", baselines="popularity", ks=5),  # type: ignore[arg-type]
    "compare, metrics": lambda: spfedrec.compare(["first", "first:popularity"], metrics="ndcg@5"),
    "export, formats": lambda: spfedrec.export("first", "out", "npy", force=True),
    "audit_run, attacks": lambda: spfedrec.audit_run("first", "popularity", rounds=1, settings="request.rate=1"),
    "write_report, folders": lambda: spfedrec.write_report("first", "page.html", force=True),
    "plot, folders": lambda: spfedrec.plot("first", "curve.png"),
    "resolve, settings": lambda: spfedrec.resolve(settings="train.rounds=3"),
    "recommend, customers": lambda: spfedrec.recommend("first", spfedrec.Dataset.open("datasets/sample").client_ids[0]),
}


@pytest.mark.parametrize("call", ONE.values(), ids=ONE)
def test_one_thing_alone_is_a_list_of_one(place: Path, call: Callable[[], object]) -> None:
    """And not the letters that a text consists of."""
    assert call()


def test_ids_come_from_arrays_and_columns(place: Path, dataset: spfedrec.Dataset) -> None:
    ids = dataset.client_ids[:2]
    for given in (np.array(ids), pd.Series(ids), tuple(ids)):
        made = spfedrec.recommend("first", given, k=2)
        assert [one.customer_id for one in made] == ids


MISUSED: dict[str, tuple[Callable[[Any], object], str]] = {
    "a name for a Dataset": (
        lambda dataset: spfedrec.train("sample", spfedrec.resolve(), "runs/none"),  # type: ignore[arg-type]
        r"A Dataset is needed, not a str; open it: spfedrec\.Dataset\.open",
    ),
    "a name to describe": (
        lambda dataset: spfedrec.describe("sample"),  # type: ignore[arg-type]
        "A Dataset is needed, not a str",
    ),
    "a name for settings": (
        lambda dataset: spfedrec.train(dataset, "sample", "runs/none"),  # type: ignore[arg-type]
        r"A Config is needed, not a str; make it: spfedrec\.resolve",
    ),
    "a dict for a Subset": (
        lambda dataset: spfedrec.prepare("sample", output="datasets/none", subset={"customers": 2}),  # type: ignore
        r"A Subset is needed, not a dict; write it as spfedrec\.Subset",
    ),
    "a Dataset by its name": (
        lambda dataset: spfedrec.Dataset.open("sample"),
        r"The Dataset does not exist \(sample\); did you mean datasets/sample\?",
    ),
    "another split": (lambda dataset: dataset.frame("trian"), "no split 'trian'; choose from train, validation, test"),
    "no run": (lambda dataset: spfedrec.write_report([], "none.html"), "nothing to report on; name a run"),
    "no seed": (lambda dataset: spfedrec.train_seeds(dataset, spfedrec.resolve(), "runs/none", 0), "give 1 or more"),
    "nobody audited": (lambda dataset: spfedrec.audit_run("first", clients=0), "rounds and clients of 1 or more"),
}


@pytest.mark.parametrize("call, sentence", MISUSED.values(), ids=MISUSED)
def test_what_is_misused_is_told_in_a_sentence(
    place: Path, dataset: spfedrec.Dataset, call: Callable[[Any], object], sentence: str
) -> None:
    with pytest.raises(spfedrec.InputError, match=sentence):
        call(dataset)
    assert not (place / "runs" / "none").exists()


def test_a_report_is_a_table_of_recommenders_by_metrics(place: Path) -> None:
    report = spfedrec.evaluate("first", baselines=["popularity", "repeat_last"], blend=True)
    frame = report.to_frame()
    assert list(frame.index) == ["this run", *report.baselines, *report.blends]
    assert frame.index.name == "recommender"
    assert frame.loc["this run"].to_dict() == report.metrics
    assert frame.loc["popularity"].to_dict() == report.baselines["popularity"]


def test_a_comparison_is_a_table_of_pairs_and_metrics(place: Path) -> None:
    comparison = spfedrec.compare(["first", "first:popularity", "first:repeat_last"], metrics=["ndcg@10"])
    frame = comparison.to_frame()
    assert list(frame.index) == [("first:popularity", "ndcg@10"), ("first:repeat_last", "ndcg@10")]
    row, pair = frame.loc[("first:repeat_last", "ndcg@10")], comparison.pairs[1]
    assert row["difference"] == pytest.approx(row["first"] - row["other"])
    assert (row["low"], row["high"]) == (pair.differences["ndcg@10"].low, pair.differences["ndcg@10"].high)
    assert row["p"] == pair.p_holm["ndcg@10"]


def test_recommendations_are_a_list_and_a_table(place: Path, dataset: spfedrec.Dataset) -> None:
    made = spfedrec.recommend("first", customers=dataset.client_ids[:2], k=3)
    assert isinstance(made, list)
    frame = made.to_frame()
    assert frame["customer_id"].tolist() == [id for id in dataset.client_ids[:2] for _ in range(3)]
    assert frame["rank"].tolist() == [1, 2, 3] * 2
    assert frame["article_id"].tolist() == [item.article_id for one in made for item in one.items]
    assert made[1].to_frame()["score"].tolist() == frame["score"].tolist()[3:]


def test_a_training_is_a_table_of_rounds(place: Path, dataset: spfedrec.Dataset, tmp_path: Path) -> None:
    config = spfedrec.resolve("sample", settings=SETTINGS)
    result = spfedrec.train(dataset, config, tmp_path / "short")
    frame = result.to_frame()
    assert list(frame.index) == [1, 2, 3, 4]
    assert frame["bytes_up"].sum() == result.bytes_up
    assert frame["ndcg@10"].notna().tolist() == [False, True, False, True]
    assert frame.loc[result.best_round, list(result.validation)].to_dict() == result.validation
    (result.run / "run.json").unlink()
    with pytest.raises(spfedrec.InputError, match="not a run"):
        result.to_frame()


def test_seeds_are_a_table_of_runs(place: Path, dataset: spfedrec.Dataset, tmp_path: Path) -> None:
    seeds = spfedrec.train_seeds(dataset, spfedrec.resolve("sample", settings=SETTINGS), tmp_path / "all", 2)
    frame = seeds.to_frame()
    assert list(frame.index) == ["all-seed-0", "all-seed-1"]
    assert frame["ndcg@10"].mean() == pytest.approx(seeds.mean["ndcg@10"])
    assert frame["ndcg@10"].std() == pytest.approx(seeds.deviation["ndcg@10"])


def test_a_notebook_shows_tables_without_markup_from_data(place: Path) -> None:
    report = spfedrec.evaluate("first")
    spoilt = replace(report, baselines={"<script>alert(1)</script>": report.metrics})
    html = spoilt._repr_html_()
    assert html.startswith("<table")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    made = spfedrec.recommend("first", history=spfedrec.Dataset.open("datasets/sample").item_ids[:1], k=1)
    named = replace(made[0], items=[replace(made[0].items[0], labels={"name": "<b>hat</b>"})])
    assert "&lt;b&gt;hat&lt;/b&gt;" in engine.Recommendations([named])._repr_html_()


def test_a_long_table_is_cut_in_a_notebook(place: Path) -> None:
    one = spfedrec.Recommendation("somebody", [], [spfedrec.Ranked(f"{n:010}", 0.0, {}) for n in range(1000)])
    assert 60 <= one._repr_html_().count("<tr") < 70


@pytest.mark.parametrize(
    "said",
    [
        "2020-09-22",
        date(2020, 9, 22),
        datetime(2020, 9, 22, 23, 59),
        pd.Timestamp("2020-09-22 10:00", tz="Europe/Stockholm"),
        np.datetime64("2020-09-22"),
        np.datetime64("2020-09-22T10:00", "ns"),
    ],
    ids=repr,
)
def test_a_day_is_said_in_any_form(said: Any) -> None:
    subset = spfedrec.Subset(first=said, last=said)
    assert (subset.first, subset.last) == (date(2020, 9, 22), date(2020, 9, 22))
    assert type(subset.first) is date


@pytest.mark.parametrize("said", ["22.9.2020", "2020-09-31", "", 5, pd.NaT], ids=repr)
def test_what_is_no_day_is_told(said: Any) -> None:
    with pytest.raises(spfedrec.InputError, match=r"is not a date \(first=\); write it as '2020-09-22'"):
        spfedrec.Subset(first=said)


def timed(folder: Path, *times: str, **how: Any) -> pd.Series:
    """The times of a Dataset of one customer, who bought at these times."""
    rows = pd.DataFrame({"who": "a", "what": [f"i{n}" for n in range(len(times))], "when": times})
    columns = {"customer": "who", "item": "what", **({"time": "when"} if times[0] else {})}
    reading = spfedrec.Reading(**how)
    spfedrec.prepare(rows, output=folder, columns=columns, split="leave-one-out", reading=reading)
    opened = spfedrec.Dataset.open(folder)
    return pd.concat([opened.frame(split)["time"] for split in ("train", "validation", "test")])


def test_days_come_out_as_days(tmp_path: Path) -> None:
    """Without a zone: a day of the shop is a day everywhere. 2290 is beyond what nanoseconds can count."""
    days = ["1990-01-01", "2020-09-22", "2290-01-01"]
    times = timed(tmp_path / "shop", *days)
    assert times.dt.tz is None
    assert times.dt.strftime("%Y-%m-%d").tolist() == days


def test_moments_come_out_in_utc(tmp_path: Path) -> None:
    written = ["2020-09-21 10:30:00", "2020-09-22 10:30:00", "2020-09-23 10:30:00"]
    times = timed(tmp_path / "shop", *written, timezone="Europe/Stockholm")
    assert times.tolist() == [pd.Timestamp(f"2020-09-{day} 08:30:00", tz="UTC") for day in (21, 22, 23)]
    assert times.dt.tz_convert("Europe/Stockholm").dt.strftime("%Y-%m-%d %H:%M:%S").tolist() == written


def test_an_order_comes_out_as_numbers(tmp_path: Path) -> None:
    assert timed(tmp_path / "shop", "", "", "").tolist() == [0, 1, 2]


def test_to_import_the_engine_loads_neither_pandas_nor_scipys_statistics() -> None:
    """Half a second of every command that needs one of them at most."""
    script = (
        "import sys\n"
        "import spfedrec_cli.engine\n"
        "print([name for name in ('pandas', 'scipy.stats', 'scipy.optimize', 'matplotlib') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
