"""The programs under benchmarks/ run, and print what the documentation shows."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spfedrec_cli import engine
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.federated.messages import ClientUpdate

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


@pytest.mark.parametrize("peer", ["tight_loop", "notebook_loop"])
def test_a_loop_in_pytorch_comes_to_the_plain_client(peer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two peers that need nothing but torch; the others are checked by their scripts wherever they run."""
    harness = the_module("peers/harness", monkeypatch)
    loop = the_module(f"peers/{peer}", monkeypatch)
    for case in harness.CASES:
        harness.check(loop.prepare, harness.aggregate, case)


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


@pytest.mark.slow
def test_results_of_the_made_up_shop(tmp_path: Path) -> None:
    """Twenty rounds: a row a case and baseline, each with what it says of itself, and the picture."""
    folders = ["--work", str(tmp_path / "work"), "--images", str(tmp_path / "images")]
    printed = run("results.py", "--quick", "--jobs", "2", "--only", "synthetic", *folders)
    rows = [line.strip("|").split("|") for line in printed.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert {row[0].strip() for row in rows} >= {"SpFedRec (`split`)", "popularity", "ease", "best_possible"}
    assert (tmp_path / "images" / "learning-synthetic.svg").stat().st_size > 5000


def test_results_without_data_says_so(tmp_path: Path) -> None:
    words = [sys.executable, str(CHECKOUT / "benchmarks" / "results.py"), "--only", "ml-100k"]
    done = subprocess.run([*words, "--data", str(tmp_path)], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert (done.stdout, "no ml-100k in" in done.stderr) == ("", True)
