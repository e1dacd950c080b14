"""The programs under benchmarks/ run, and print what the documentation shows."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from spfedrec_cli import engine
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.strategies.split import ENGINES
from spfedrec_cli.federated.wire.messages import ClientUpdate

CHECKOUT = Path(__file__).parents[1]


def test_statistics_of_the_synthetic_shop(tmp_path: Path) -> None:
    program = CHECKOUT / "benchmarks" / "synthetic_statistics.py"
    picture = tmp_path / "shop.svg"
    sizes = ["--customers", "3000", "--items", "1000"]
    done = subprocess.run(
        [sys.executable, str(program), *sizes, "--plot", str(picture)],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    head, line, *rows = done.stdout.splitlines()
    assert (head, line) == ("| statistic | H&M | synthetic |", "|---|---|---|")
    cells = {name.strip(): value.strip() for name, _, value in (row.strip("|").split("|") for row in rows)}
    assert cells["customers"] == "3,000"
    assert cells["its p50, p90"] == "2, 8"
    documented = (CHECKOUT / "docs" / "synthetic.md").read_text()
    assert all(row.rsplit("|", 2)[0] in documented for row in rows)
    assert 10_000 < picture.stat().st_size < 100_000


def test_the_secret_sharing_chain() -> None:
    """A row for each chain length, with and without items; the head stands in the documentation."""
    words = [sys.executable, str(CHECKOUT / "benchmarks" / "chain.py"), "--clients", "20"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    _, _, head, line, *rows = done.stdout.splitlines()
    assert f"{head}\n{line}\n" in (CHECKOUT / "docs" / "benchmarks.md").read_text()
    assert [row.split(" | ")[0] for row in rows] == [
        f"| {length}{items}" for items in ("", ", no items") for length in ("10", "100", "1,000")
    ]
    words = head.split(" | ").index("words")
    assert {row.split(" | ")[words] for row in rows[3:]} == {"9,360"}


def run(program: str, *words: str) -> str:
    """What a program of benchmarks/ prints."""
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "benchmarks" / program), *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    return done.stdout


@pytest.mark.slow
def test_a_peer_without_installation_stands_beside_ours() -> None:
    printed = run("compare.py", "--turns", "1", "--clients", "60", "--peers", "ours")
    rows = [line for line in printed.splitlines() if line.startswith("| spfedrec |")]
    assert len(rows) == 2
    assert all(re.fullmatch(r"\| spfedrec \| [\d,]+ \([\d,]+ to [\d,]+\) \|  \| \d+\.\d\d \|", row) for row in rows)
    assert "- spfedrec (spfedrec " in printed


def test_a_peer_that_cannot_be_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = the_module("compare", monkeypatch)

    def refuse(name: str) -> Path:
        raise subprocess.CalledProcessError(1, "pip", stderr="ERROR: first\nERROR: No matching distribution\n")

    monkeypatch.setattr(compare, "environment", refuse)
    peers = [peer for peer in compare.PEERS if peer.name == "flower"]
    told, missing = compare.in_turn(peers, turns=1, clients=10)
    assert told == {}
    assert missing == {"flower": "not installed: ERROR: No matching distribution"}
    assert "| not installed: ERROR: No matching distribution | | |" in compare.table("full", peers, told, missing)


def test_ratios_are_of_the_same_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours 100 and 300, theirs 10 and 100 clients/s: ratios 10 and 3, the median 6.5."""
    compare = the_module("compare", monkeypatch)
    peers = [peer for peer in compare.PEERS if peer.name in ("ours", "tight_loop")]

    def turns(*speeds: float) -> list[dict[str, object]]:
        return [{"cases": {"full": {"clients_per_second": [each], "first_seconds": 1.0}}} for each in speeds]

    rows = compare.table("full", peers, {"ours": turns(100, 300), "tight_loop": turns(10, 100)}, {}).splitlines()
    assert rows[-1].endswith("| 55 (10 to 100) | 6.50 (3.00 to 10.00) | 1.00 |")


def test_every_peer_has_a_script_and_exact_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = the_module("compare", monkeypatch)
    for peer in compare.PEERS:
        assert (CHECKOUT / "benchmarks" / "peers" / f"{peer.name}.py").is_file()
        if peer.environment:
            pins = (CHECKOUT / "benchmarks" / "peers" / f"{peer.environment}.txt").read_text().split()
            assert all("==" in pin for pin in pins)


def test_the_page_stays_where_a_side_told_nothing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    compare = the_module("compare", monkeypatch)
    monkeypatch.setattr(compare, "in_turn", lambda *_, **__: ({}, {"flower": "not installed: no network"}))
    monkeypatch.setattr(compare, "write_section", lambda *_: pytest.fail("the page was written"))
    monkeypatch.setattr(sys, "argv", ["compare.py", "--peers", "flower", "--write"])
    with pytest.raises(SystemExit, match=r"1 of 1 sides told nothing, so that benchmarks\.md is left as it is"):
        compare.main()
    assert "not installed: no network" in capsys.readouterr().out


def test_peers_need_nothing_of_ours() -> None:
    """They run in environments of their own, where spfedrec is not installed."""
    for script in (CHECKOUT / "benchmarks" / "peers").glob("*.py"):
        if script.stem != "ours":
            assert "spfedrec_cli" not in script.read_text(), script.name


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Any:
    return the_module("peers/work", monkeypatch)


def test_the_work_has_the_shape_that_it_states(work: Any) -> None:
    made = work.make(1000)
    purchases = [len(client.positives) for client in made.clients]
    assert work.PARAMETERS == 9360
    assert (min(purchases), max(purchases) <= 200) == (2, True)
    assert 20 < sum(purchases) / 1000 < 24
    assert all(len(client.negatives) == -(-len(client.positives) // 4) for client in made.clients)
    assert all(len(set(client.items.tolist())) == len(client.items) for client in made.clients)
    assert np.linalg.norm(made.items, axis=1) == pytest.approx(1)


def test_the_plain_client_of_the_work_has_the_gradients_of_its_loss(work: Any) -> None:
    """Central differences of the loss, written out here by the formula, along random directions."""
    made = work.make(1)
    client, theta = made.clients[0], work.flat(made.weights)
    items = made.items[client.items].astype(float)

    def loss(theta: Any, items: Any) -> float:
        output = client.features.astype(float)
        *hidden, (matrix, bias) = work.unflat(theta)
        for inner, shift in hidden:
            output = np.maximum(inner @ output + shift, 0)
        query = matrix @ output + bias
        scores = items @ query / np.linalg.norm(query) / 0.1
        targets, others = np.split(scores, [len(client.positives)])
        return float(np.mean([np.log(np.exp(one) + np.exp(others).sum()) - one for one in targets]))

    of_theta, of_items = work.gradients(theta, client.features, items, len(client.negatives))
    rng, step = np.random.default_rng(0), 1e-6
    along = rng.standard_normal(theta.shape)
    slope = (loss(theta + step * along, items) - loss(theta - step * along, items)) / (2 * step)
    assert of_theta @ along == pytest.approx(slope, rel=1e-4)
    along = rng.standard_normal(items.shape)
    slope = (loss(theta, items + step * along) - loss(theta, items - step * along)) / (2 * step)
    assert (of_items * along).sum() == pytest.approx(slope, rel=1e-4)


@pytest.fixture
def overwritten() -> Iterator[None]:
    """torch draws the weights of a new layer, and a seed for a loader: the one is replaced, the other is not used."""
    with torch.random.fork_rng():
        yield


@pytest.mark.usefixtures("overwritten")
@pytest.mark.parametrize("peer", ["tight_loop", "notebook_loop"])
def test_a_loop_in_pytorch_comes_to_the_plain_client(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two peers that need nothing but torch; the others are checked by their scripts wherever they run."""
    harness = the_module("peers/harness", monkeypatch)
    loop = the_module(f"peers/{peer}", monkeypatch)
    for case in harness.CASES:
        assert 0 <= harness.check(loop.prepare, harness.aggregate, case) < 1e-5  # float32 against float64


@pytest.mark.usefixtures("overwritten")
def test_what_a_framework_carries_comes_to_the_plain_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's and FLARE's clients and servers, without what carries their messages."""
    harness = the_module("peers/harness", monkeypatch)
    remote, torch_tower = the_module("peers/remote", monkeypatch), the_module("peers/torch_tower", monkeypatch)

    def prepare(made: Any, case: Any) -> Any:
        state = torch_tower.tower(made).state_dict()

        def reply(client: int) -> Any:
            trained, ids, rows = remote.train_one(state, **remote.config_of(made, case, client))
            return [weight.numpy() for weight in trained.values()], ids, rows.numpy()

        return lambda: remote.added(made, map(reply, range(len(made.clients))))

    for case in harness.CASES:
        assert 0 <= harness.check(prepare, harness.aggregate, case) < 1e-5


def test_a_peer_that_comes_to_something_else_is_refused(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = the_module("peers/harness", monkeypatch)

    def wrong(made: Any, case: Any) -> Any:
        sums = work.aggregate(made, case)
        return lambda: work.Sums(sums.query * 1.01, sums.items)

    with pytest.raises(ValueError, match=r"by query is off by 0\.01"):
        harness.check(wrong, harness.aggregate, harness.CASES[0])


def test_linearity_prints_slopes_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "linearity.svg"
    words = ["--points", "2", "--repeats", "1", "--items", "2000", "--plot", str(picture)]
    printed = run("linearity.py", *words)
    assert len(re.findall(r"^Slope on logarithmic axes: -?\d+\.\d\d\.", printed, re.MULTILINE)) == 2
    assert "| clients | seconds a round | µs for each |" in printed
    assert picture.stat().st_size > 5000


def test_a_straight_line_is_found_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """.5 s and .25 s for each of 1, 2, 4."""
    linearity = the_module("linearity", monkeypatch)
    assert linearity.Line("clients", [1, 2, 4], [0.75, 1.0, 1.5]).straight() == pytest.approx((0.5, 0.25, 0), abs=1e-9)
    assert linearity.Line("clients", [1, 2, 4], [2.0, 4.0, 8.0]).slope() == pytest.approx(1)


def the_module(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A program of benchmarks/ as a module; it finds its neighbours by name, as it does when it is run."""
    file = CHECKOUT / "benchmarks" / f"{name}.py"
    monkeypatch.syspath_prepend(str(file.parent))
    return importlib.import_module(file.stem)


def test_the_costs_of_a_client_stand_in_the_documentation_as_they_are_counted() -> None:
    program = CHECKOUT / "benchmarks" / "cost.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    documented = (CHECKOUT / "docs" / "benchmarks.md").read_text()
    assert f"<!-- cost -->\n{done.stdout.strip()}\n<!-- /cost -->" in documented
    assert len([line for line in done.stdout.splitlines() if line.startswith("| ")]) > 15


def test_cases_that_this_version_cannot_run_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = the_module("cases", monkeypatch)
    known, unknown = cases.Case("known", "ml-100k"), cases.Case("unknown", "ml-100k", ("request.mode=telepathy",))
    assert cases.possible([known, unknown]) == [known]
    assert len(cases.possible(cases.ablations("ml-100k"))) == len(cases.ablations("ml-100k"))


def test_a_row_says_which_negatives_it_was_trained_with(monkeypatch: pytest.MonkeyPatch) -> None:
    cases, results = the_module("cases", monkeypatch), the_module("results", monkeypatch)
    told = {case.name: results.way(case) for case in [*cases.main_rows("ml-100k"), *cases.ablations("ml-100k")]}
    of_request, pool = "paper, P = 1, redrawn; of the request", "a public pool of 1,024"
    assert told["SpFedRec, lift and prior"] == "paper, P = 3; of the request"
    assert told["both kinds of negatives"] == f"{of_request} and {pool}"
    assert told["as the preset has it"] == f"paper, P = 0.25; {pool}"
    assert told["the same model, not federated (`central`)"] == f"none, no device; {pool}"
    assert told["FedAvg of both towers (`full`)"] == f"none, both towers on the device; {pool}"
    assert told["SpFedRec, slate"] == "none, slate of 1,024; its other items"
    assert told["SpFedRec, catalogue"] == "none, catalogue; its other items"
    by_popularity = cases.Case("", "ml-100k", ("client.pool=popularity",))
    assert results.way(by_popularity) == f"paper, P = 0.25; {pool} by popularity"


def test_what_is_trained_is_not_trained_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, synthetic_dataset: Dataset
) -> None:
    """Neither the same case again nor, for another protocol, the same run; another seed is another run."""
    trials, cases = the_module("trials", monkeypatch), the_module("cases", monkeypatch)
    case = cases.Case("short", "synthetic", ("train.rounds=2", "train.eval_every=1"))
    first = trials.Trial(case.config(0), synthetic_dataset.path, tmp_path)
    found = trials.of(first)
    assert (found.rounds, [round_ for round_, _ in found.curve]) == (2, [1, 2])
    assert set(found.metrics) == {"full"}
    monkeypatch.setattr(trials, "_train", None)
    assert trials.of(first) == found
    both = trials.of(trials.Trial(case.config(0), synthetic_dataset.path, tmp_path, protocols=("full", "sampled")))
    assert both.metrics["full"] == found.metrics["full"] != both.metrics["sampled"]
    assert trials.Trial(case.config(1), synthetic_dataset.path, tmp_path).folder() != first.folder()


def test_bytes_and_seconds_of_results_are_those_of_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, synthetic_dataset: Dataset
) -> None:
    trials, cases = the_module("trials", monkeypatch), the_module("cases", monkeypatch)
    case = cases.Case("short", "synthetic", ("train.rounds=2", "train.eval_every=1"))
    found = trials.of(trials.Trial(case.config(0), synthetic_dataset.path, tmp_path))
    crossed = engine.crossed(Path(found.run))
    updates = next(each.count for each in crossed if each.kind == ClientUpdate.kind)
    for direction, mean in (("up", found.bytes_up), ("down", found.bytes_down)):
        total = sum(each.count * each.mean for each in crossed if each.direction == direction)
        assert mean == pytest.approx(total / updates)
    assert found.seconds > 0


def test_figures_of_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """1, 2, 3: mean 2, deviation 1; one seed has none. .6 is three quarters of the better of .7 and .8."""
    results = the_module("results", monkeypatch)
    assert results.mean_and_deviation([0.1, 0.2, 0.3]) == ".200 ± .100"
    assert results.mean_and_deviation([0.25]) == ".250"
    trials = the_module("trials", monkeypatch)
    found = trials.Found("run", 1.0, 1, 1, 1.0, 1.0, {"full": {"ndcg@10": 0.6}}, [])
    rivals = {"full": {"one": {"ndcg@10": 0.7}, "two": {"ndcg@10": 0.8}, "three": {"ndcg@10": 0.9}}}
    assert results.ratios([found], rivals, [("NDCG", "full", "ndcg@10")], ("one", "two")) == ["0.75"]


def test_seeds_are_one_curve_over_the_rounds_that_all_of_them_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    trials, curves = the_module("trials", monkeypatch), the_module("curves", monkeypatch)
    one = trials.Found("run", 8.0, 4, 1, 1.0, 1.0, {}, [(1, 0.125), (2, 0.5), (4, 0.5)])
    two = trials.Found("run", 4.0, 2, 1, 1.0, 1.0, {}, [(1, 0.375), (2, 0.75)])
    curve, seconds = curves._over_seeds("the same model, not federated (`central`)", [one, two])
    assert (curve.name, seconds) == ("not federated", 2.0)
    assert (curve.x.tolist(), curve.y.tolist()) == ([1, 2], [0.25, 0.625])
    assert curve.band.tolist() == [[0.125, 0.375], [0.5, 0.75]]


@pytest.mark.slow
def test_results_of_the_made_up_shop(tmp_path: Path) -> None:
    """Twenty rounds: a row a case and baseline, each with what it says of itself, and the picture."""
    folders = ["--work", str(tmp_path / "work"), "--images", str(tmp_path / "images")]
    printed = run("results.py", "--quick", "--jobs", "2", "--only", "synthetic", *folders)
    rows = [line.strip("|").split("|") for line in printed.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert {row[0].strip() for row in rows} >= {"SpFedRec (`split`)", "popularity", "ease", "best_possible"}
    assert (tmp_path / "images" / "learning-synthetic.svg").stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.realdata
def test_results_of_real_histories(real_data: Path, tmp_path: Path) -> None:
    """Two weeks, twenty rounds: a row a recommender, every difference with its interval, and articles never sold."""
    folders = ["--data", str(real_data), "--work", str(tmp_path / "work")]
    printed = run("results.py", "--quick", "--jobs", "2", "--only", "hm", *folders)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if "|" in line]
    assert {"SpFedRec", "SpFedRec + blend", "popularity_7_days", "repeat_last", "ids alone"} <= {row[0] for row in rows}
    differences = [row for row in rows if row[:2] == ["SpFedRec + blend", "popularity_7_days"]]
    assert [row[2] for row in differences] == [
        *("hit_rate@10", "hit_rate@12", "recall@10", "recall_new@10", "recall_repeat@10", "ndcg@10", "map@12")
    ]
    assert all(re.fullmatch(r"[+-]0\.\d{4} to [+-]0\.\d{4}", row[4]) for row in differences)
    assert re.search(r"^\d+ customer-weeks of \d+ customers", printed, re.MULTILINE)


@pytest.fixture
def rolling(monkeypatch: pytest.MonkeyPatch) -> Any:
    return the_module("rolling", monkeypatch)


def test_customers_are_drawn_with_all_their_weeks(rolling: Any) -> None:
    """a, a: 1; a, b: 3 of 4; b, b: 0. Weeks drawn one by one would hardly ever all be b's."""
    low, high = rolling.clustered(["a", "a", "b", "a"], np.array([1.0, 1.0, 0.0, 1.0]))
    assert (low, high) == (0, 1)
    assert rolling.clustered(["a", "b", "c"], np.full(3, 0.5)) == (0.5, 0.5)


def week(rolling: Any, customers: list[str], values: list[float], lists: Any = None) -> Any:
    """One where the first recommender of every pair has these values, and the others none."""
    firsts = {first for first, _ in rolling.PAIRS}
    names = {name for pair in rolling.PAIRS for name in pair}
    each = {name: np.array(values) if name in firsts else np.zeros(len(values)) for name in names}
    every = {name: dict.fromkeys(rolling.METRICS, of) for name, of in each.items()}
    return rolling.Week(customers, every, lists)


def test_weeks_are_pooled_by_customer_week(rolling: Any) -> None:
    """(1 + .25 + .5) / 3, and not the mean of the weeks' means, .625 and .5."""
    weeks = [week(rolling, ["a", "b"], [1, 0.25]), week(rolling, ["a"], [0.5])]
    pooled = rolling.pool([weeks])
    rows = [row.strip("| ").split(" | ") for row in rolling.of_pairs(pooled).splitlines()[2:]]
    assert len(rows) == len(rolling.PAIRS) * len(rolling.METRICS)
    # a, a: 1.5 of 2; a, b: 1.75 of 3; b, b: .25
    assert {tuple(row[3:]) for row in rows} == {("+0.5833", "+0.2500 to +0.7500")}
    found = [rolling.Found("", *each, {}, []) for each in ((3.0, 150, 150, 5e4, 6e4), (5.0, 250, 250, 7e4, 8e4))]
    told = rolling.of_recommenders(pooled, found).splitlines()
    preset = "paper, P = 2; of the request"
    metrics = " | ".join([".5833"] * len(rolling.METRICS))
    assert f"| {rolling.MODEL} | {preset} | {metrics} | 60, 70 | 200 | 4 |" in told
    assert any(row.startswith("| popularity_7_days |  | .0000 |") and row.endswith("|  |  |  |") for row in told)


def test_seeds_of_a_customer_week_are_averaged_before_customers_are_drawn(rolling: Any) -> None:
    """(.5 + .1) / 2 and (.3 + .7) / 2 of two customers; the mean of either seed is .4."""
    one, two = (week(rolling, ["a", "b"], values) for values in ([0.5, 0.3], [0.1, 0.7]))
    alone = {name: values for name, values in two.values.items() if name.startswith(rolling.MODEL)}
    pooled = rolling.pool([[one], [rolling.Week(two.customers, alone, None)]])
    assert pooled.less(rolling.MODEL, "popularity", "map@12").tolist() == pytest.approx([0.3, 0.5])
    told = rolling.of_recommenders(pooled, [rolling.Found("", 1.0, 1, 1, 0.0, 0.0, {}, [])])
    assert "| .4000 ± .0000 |" in told
    assert "| .0000 |" in told
    seeds = [[rolling.Unseen(["a", "b"], {"place": np.array(of)}, 2)] for of in ([0.2, 0.4], [0.6, 0.8])]
    assert rolling.over_seeds(rolling.pool_unseen(seeds).values["place"]) == ".500 ± .283"


def test_weights_of_a_week_know_no_later_week(rolling: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weeks = [week(rolling, ["a"], [0.0], dict.fromkeys(rolling.BLENDED, number)) for number in range(3)]
    monkeypatch.setattr(rolling, "plainly", lambda run, rivals, names: weeks[int(run)])
    monkeypatch.setattr(rolling, "best_weights", list)
    told: list[tuple[str, Any]] = []
    monkeypatch.setattr(rolling, "with_blends", lambda run, weights: told.append((run, weights)) or {})
    found = [rolling.Found(name, 1.0, 1, 1, 0.0, 0.0, {}, []) for name in ("0", "1", "2")]
    rolling.Rolling(Path(), Path(), jobs=1, quick=True).measured(found, first=True)
    assert [run for run, _ in told] == ["0", "1", "2"]
    for name in rolling.BLENDED:
        assert [weights[name] for _, weights in told] == [[0], [0, 1], [0, 1, 2]]


def test_the_place_of_an_article_among_others(rolling: Any) -> None:
    """Of four others: all lower 1, none 0, two lower and one equal 2.5 of 4; all equal one half."""
    among = np.array([3, 1, 2, 2, 0], np.float32)
    assert rolling.place_of(among[[0, 4, 2]], among).tolist() == [1, 0, 2.5 / 4]
    assert rolling.place_of(np.ones(1, np.float32), np.ones(5, np.float32)).tolist() == [0.5]


def test_the_dataset_of_each_week_is_made_once(rolling: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of = rolling.Rolling(tmp_path, tmp_path, jobs=1, quick=True)
    monkeypatch.setattr(
        rolling, "prepare", lambda source, data, to: prepare("synthetic", None, to, customers=50, items=60)
    )
    folders = of.prepared(3)
    assert [folder.name for folder in folders] == [f"hm-until-2020-09-{day:02}" for day in (6, 13, 20)]
    assert [Dataset.open(folder).manifest.split.end for folder in folders] == [f.name[-10:] for f in folders]
    monkeypatch.setattr(rolling, "prepare_until", None)
    assert of.prepared(3) == folders


@pytest.mark.parametrize("section, needed", [("ml-100k", "ml-100k"), ("ablations", "ml-100k"), ("hm", "hm")])
def test_results_without_data_says_so(tmp_path: Path, section: str, needed: str) -> None:
    words = [sys.executable, str(CHECKOUT / "benchmarks" / "results.py"), "--only", section]
    done = subprocess.run([*words, "--data", str(tmp_path)], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert (done.stdout, f"no {needed} in" in done.stderr) == ("", True)


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> Any:
    return the_module("modes", monkeypatch)


@pytest.fixture
def little_shop(tmp_path: Path) -> Path:
    prepare("synthetic", None, tmp_path / "shop", customers=120, items=60)
    return tmp_path / "shop"


SMALL = ("federated.cohort_size=40", "client.pool_size=8", "model.dim=4", "request.slate_size=20")


def ragged(*rows: list[int]) -> Ragged:
    return Ragged.from_lengths(
        np.array([len(row) for row in rows]), np.concatenate([np.array(row, np.int32) for row in rows])
    )


def test_rows_of_one_client_alone_are_counted_by_sum(modes: Any) -> None:
    """Clients 0 and 1 in one chain request {1, 2, 3} and {2, 3, 4} and bought {1, 2} and {4}: 1 and 4 are rows of one
    alone. In the chain of client 2 all is its own. Where the pool's rows {4, 5} are added in, 4 is everybody's."""
    own, requests = ragged([1, 2], [4], [2]), ragged([1, 2, 3], [2, 3, 4], [2, 5])
    rows = modes.Rows()
    rows.add(own, requests, np.array([0, 0, 1]), np.empty(0, np.int64), 6)
    assert rows == modes.Rows(sums=2, clients=3, items=4 + 2, alone=2 + 2, purchases=4, exposed=2 + 1)
    assert modes.alone_row("", "", rows)[-2:] == ["66.7 %", "75.0 %"]
    rows = modes.Rows()
    rows.add(own, requests, np.array([0, 0, 0]), np.array([4, 5]), 6)
    assert rows == modes.Rows(sums=1, clients=3, items=5, alone=1, purchases=4, exposed=1)


def test_rows_of_the_pool_are_nobodys_alone_in_chains_either(modes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = SimpleNamespace(chain_of=np.zeros(1, np.int64))
    monkeypatch.setattr(modes.Ring, "__init__", lambda self, opening: setattr(self, "_layout", chains))
    opening = SimpleNamespace(rows=np.array([3, 5, 8]), pool=np.array([1]))
    told: list[list[int]] = []
    modes.WatchedRing(opening, SimpleNamespace(sums=lambda opening, sum_of, merged: told.append(merged.tolist())))
    assert told == [[5]]


def test_a_client_that_downloads_the_catalogue_is_the_largest(modes: Any) -> None:
    """Rounds of (10, 20) and (30, 5) bytes down; 100 more in round 1: (60 + 5 + 100) / 4."""
    crossed = modes.Crossed({"up": [np.array([1, 2])], "down": [np.array([10, 20]), np.array([30, 5])]})
    assert (crossed.largest("down"), crossed.mean("down")) == (30, 65 / 4)
    crossed.catalogues = {1: (100, 100)}
    assert (crossed.largest("down"), crossed.mean("down")) == (120, 165 / 4)
    assert (crossed.largest("up"), crossed.mean("up")) == (2, 1.5)


def test_every_mode_has_a_row_that_the_documentation_shows(
    modes: Any, little_shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of P = .25 four items of five are purchases at least; chains cost more than the ideal sum; nobody who requests
    nothing is seen to."""
    before = dict(ENGINES), dict(AGGREGATIONS)
    monkeypatch.setattr(modes, "MODES", [replace(each, settings=(*each.settings, *SMALL)) for each in modes.MODES])
    printed = modes.of_modes(little_shop, "synthetic", 2)
    assert before == (ENGINES, AGGREGATIONS)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    shares = [row[2] for row in rows[2:]]
    assert 70 <= int(shares[0].removesuffix(" %")) <= 80
    assert shares[3:] == ["no request"] * 2
    up = [[float(row[column].split(" ")[0].replace(",", "")) for column in (3, 5)] for row in rows[2:]]
    assert all(chains >= ideal for chains, ideal in up)
    documented = (CHECKOUT / "docs" / "protocol.md").read_text()
    assert "\n".join(printed.splitlines()[:2]) in documented
    for row in rows[2:]:
        assert re.search(rf"\| {re.escape(row[0])} \| {row[1]} \| [^|]+ \|", documented)


def test_longer_chains_leave_fewer_rows_to_one_client(modes: Any, little_shop: Path) -> None:
    """And what they are over stands in the documentation."""
    lengths = {name: (*settings, *SMALL) for name, settings in modes.SUMS.items()}
    found = [modes.trained(little_shop, "synthetic", settings, 2).rows for settings in lengths.values()]
    ten, hundred, ideal = (rows.alone / rows.items for rows in found)
    assert ten > hundred >= ideal
    documented = (CHECKOUT / "docs" / "protocol.md").read_text()
    assert all(f"| MovieLens 100K | {name} |" in documented for name in modes.SUMS)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Any:
    return the_module("pictures", monkeypatch)


def test_the_pictures_show_the_figures_of_the_documentation(pictures: Any) -> None:
    """As drawn now and as they lie in docs/images: whoever changes a table draws them again."""
    drawn = dict(pictures.pictures(CHECKOUT / "docs" / "figures.md"))
    assert set(drawn) == {f"{name}-{scheme}.svg" for name in ("round", "quality") for scheme in ("light", "dark")}
    for name, svg in drawn.items():
        kept = (CHECKOUT / "docs" / "images" / name).read_text()
        assert len(svg) < 40_000
        assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", svg)  # nothing from elsewhere
        for tag in ("title", "desc", "text"):
            found, here = ([part.text for part in ElementTree.fromstring(each).iter(SVG + tag)] for each in (svg, kept))
            assert found == here
            assert all(found)


SVG = "{http://www.w3.org/2000/svg}"


def test_a_bar_ends_at_its_mean_and_its_line_at_its_interval(pictures: Any) -> None:
    """Of one bar the scale goes to 1.1 times the end of its interval."""
    palette = pictures.bars.PALETTES["light"]
    svg = pictures.bars.drawn({"Shop": [("SpFedRec & more", 0.2, 0.1, 0.4)]}, palette, "A <title>", "told")
    root = ElementTree.fromstring(svg)
    bar = next(each for each in root.iter(SVG + "path") if palette.ours in each.get("style", ""))
    line = next(each for each in root.iter(SVG + "path") if "stroke-width: 1.3" in each.get("style", ""))
    left, right = (function(ends(bar)) for function in (min, max))
    assert [(x - left) / (right - left) for x in ends(line)] == pytest.approx([0.5, 2], abs=1e-3)
    assert [each.text for each in root.iter(SVG + "text")][-1] == "Shop"
    assert {"SpFedRec & more", ".200"} <= {each.text for each in root.iter(SVG + "text")}


def ends(path: ElementTree.Element) -> list[float]:
    """All x of a path of straight lines."""
    return [float(x) for x in re.findall(r"[ML] ([\d.]+)", path.get("d", ""))]


@pytest.mark.slow
def test_bars_of_the_made_up_shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ours first, each mean within its interval, the best possible last."""
    printed = run("quality.py", "--quick", "--only", "synthetic", "--work", str(tmp_path))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if "|" in line][2:]
    assert [row[0] for row in rows[:3]] == ["SpFedRec, paper", "SpFedRec, slate", "same model, central"]
    assert (rows[3][0] in {"EASE", "iALS"}, rows[-1][0]) == (True, "best possible")
    assert all(float(low) <= float(mean) <= float(high) for _, mean, low, high in rows)


def test_every_shop_is_trained_in_three_ways_by_its_own_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shops = the_module("shops", monkeypatch)
    for name, shop in shops.SHOPS.items():
        cases = shops.cases_of(shop)
        assert [case.config(0).federated.strategy for case in cases] == ["split", "split", "central"], name
        assert [case.config(0).request.mode for case in cases[:2]] == ["paper", "slate"]
        assert {case.preset for case in cases} == {shop.preset}


def test_the_table_of_a_shop(monkeypatch: pytest.MonkeyPatch, little_shop: Path, tmp_path: Path) -> None:
    """Ours in three ways, the blends, and every baseline; ratios are of its own rows."""
    shops = the_module("shops", monkeypatch)
    shop = shops.Shop("retail", None, None, 1, repeats=True)
    trials = importlib.import_module("trials")
    found = [[trials.of(trials.Trial(case.config(0, True), little_shop, tmp_path))] for case in shops.cases_of(shop)]
    head, rows, differences = shops.told(shop, found)
    cells = {row.split(" | ")[0].lstrip("| "): row for row in rows.splitlines()[2:]}
    assert {"SpFedRec (`split`)", "SpFedRec, slate; 1 seed", "popularity", "repeat_often", "ials"} <= {
        name.replace("`split`); 1 seed", "`split`)") for name in cells
    }
    ours, central = (found[place][0].metrics["full"]["ndcg@10"] for place in (0, 2))
    assert f"{ours / central:.2f} (the same model not federated)" in head
    assert "| repeat_last |" in differences


def test_privacy_trains_once_audits_both_ways_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, little_shop: Path, tmp_path: Path
) -> None:
    privacy = the_module("privacy", monkeypatch)
    shop = privacy.Shop(
        little_shop, "synthetic", ("train.rounds=2", *SMALL, "model.field_dim=4"), privacy.MODES[:1], seeds=2
    )
    work = privacy.Work(tmp_path / "runs", clients=30, rounds=1)
    monkeypatch.setattr(privacy, "CANARIES", "simulation.canaries=5")
    text = privacy.frontier(shop, work)
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())
    assert head == privacy.HEAD
    assert [row[1] for row in rows] == ["`sum`", "`ring`"]
    assert [bool(row[head.index("one masked upload")]) for row in rows] == [False, True]
    assert all(row[head.index("ε at least")] for row in rows)
    monkeypatch.setattr(privacy.engine, "train", None)
    monkeypatch.setattr(privacy.engine, "audit_run", None)
    assert privacy.frontier(shop, work) == text


def test_further_attacks_are_told_of_every_shop_that_was_audited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    privacy = the_module("privacy", monkeypatch)
    work = privacy.Work(tmp_path)
    assert work.kept() == {}
    attack = {"name": "zero rows", "auc": 0.6, "low": 0.5, "high": 0.7, "decided": 2000, "right": 1999, "claims": 3000}
    promotion = {"honest": 0.001, "promoted": 0.02, "crafted": 0.1}
    for way in ("sum", "ring"):
        (tmp_path / f"grocery-0.25-{way}.json").write_text(json.dumps({"attacks": [attack], "promotion": promotion}))
    table = privacy.further(work.kept()).splitlines()
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    assert head == ["attack", "Complete Journey"]
    assert ["`zero rows`", "0.60 (0.50 to 0.70); sure of 2,000 of 3,000, 1,999 rightly"] in rows
    assert rows[-1][1] == "0.1%, 2.0%, 10.0%"


def test_a_second_stage_is_paired_with_the_best_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three customer-weeks of two customers: (.5 − .1) + (.2 − .3) + (.4 − .2), over three."""
    program = the_module("second_stage", monkeypatch)
    of = {
        "towers": {"ndcg@10": np.array([0.0, 0.0, 0.1]), "recall_new@20": np.array([np.nan, 0.5, 0.1])},
        "rule": {"ndcg@10": np.array([0.1, 0.3, 0.2])},
        "second-stage": {"ndcg@10": np.array([0.5, 0.2, 0.4])},
    }
    found = program.Measured(of, np.array([0, 1, 1], np.int32), (1.0, 0.0), 95, 1, (1.0, 2.0), 0.001)
    assert found.best("ndcg@10") == "rule"
    assert found.mean("towers", "recall_new@20") == pytest.approx(0.3)  # of those who have a value
    assert program.difference(found, "rule", "ndcg@10").startswith("+0.1667 (")
    assert "| 95 | 0 | 1, 2 | 1.0 | 1 : 0 |" in program.of_costs({"hm": {"linear": found}})
    assert found.told("rule", "ndcg@10") == ".200"
    several = replace(found, by_seed={"second-stage": {"ndcg@10": [0.3, 0.4]}})
    assert several.told("second-stage", "ndcg@10") == ".350 ± .071"
    (row,) = program.summary({"hm": {"network": several}}).splitlines()[2:]
    assert row.startswith("| H&M, histories of 1,039 customers | 1 | .200 | rule | .033 | .350 ± .071 | +0.1667 (")
    assert row.endswith("| 1.83 |")


@pytest.mark.slow
def test_what_it_takes_to_use_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows of commands in turns, of searches that go further, and of a page."""
    pytest.importorskip("faiss")
    monkeypatch.syspath_prepend(CHECKOUT / "benchmarks")
    serving: Any = importlib.import_module("serving")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.setattr("one_pass.ITEMS", 300)
    monkeypatch.setattr(serving, "SETTINGS", ("train.rounds=2", "train.eval_every=2", "federated.cohort_size=64"))
    monkeypatch.setattr(serving, "SMALL", ("--customers", "300", "--items", "200"))
    monkeypatch.setattr(serving, "PAGE", ("train.rounds=4", "train.eval_every=2"))
    dataset = serving.prepared(tmp_path, 400)
    made = serving.trained(tmp_path / "work", dataset, "run", "--preset", "hm-full", *serving.sets(serving.SETTINGS))
    told = serving.one_customer(made, tmp_path / "work", 1)
    assert told.count("\n| `") == 5
    assert "1.00 (1.00 to 1.00)" in told
    rows = [line.split("|") for line in serving.graphs(made, tmp_path / "work", 1).splitlines() if line[:3] == "| 4"]
    assert float(rows[0][2]) > 0.99
    assert "GiB" in serving.to_everybody(made, tmp_path / "work")
    assert "MB" in serving.page(tmp_path / "work", 1)


def test_a_run_to_use_is_trained_once_and_resumed_where_it_was_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(CHECKOUT / "benchmarks")
    serving: Any = importlib.import_module("serving")
    asked: list[tuple[str, ...]] = []

    def stopped(*words: str) -> None:
        asked.append(words[3:])
        Path("runs/run").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        serving.trained(tmp_path / "work", tmp_path, "run", "--preset", "hm-full")
    monkeypatch.setattr(serving, "run", lambda *words: asked.append(words[3:]))
    for _ in range(2):
        assert serving.trained(tmp_path / "work", tmp_path, "run", "--preset", "hm-full").is_dir()
    begun = ("train", str(tmp_path.resolve()), "--name", "run", "--preset", "hm-full", "--quiet")
    assert asked == [begun, ("train", "--resume", "run", "--quiet")]
