"""Memory is reckoned before a training starts, near enough to what it takes, and what does not fit is refused."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine import memory
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.engine.memory import Shape, check_memory, reckon, shape_of
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.model.towers import flatten

HM = Shape(
    1_371_980, 105_542, 31_000_000, tuple((f"f{n}", 50) for n in range(9)), tuple((f"c{n}", 8) for n in range(5))
)
GIB = 2**30


def total(shape: Shape, *settings: str) -> int:
    return sum(reckon(shape, resolve(settings=settings)).values())


def test_a_shape_is_read_from_the_manifest(shop: Dataset, config: Callable[..., Config]) -> None:
    shape = shape_of(shop)
    assert (shape.clients, shape.items) == (shop.n_clients, 200)
    assert shape.purchases == sum(len(shop.column(split, "item")) for split in ("train", "validation", "test"))
    state = initial_state(load_world(shop, config()))
    reckoned = [tower.weights for tower in memory._towers(shape, config())]
    assert reckoned == [flatten(tower).numel() for tower in (state.query, state.item)]


def test_more_of_anything_takes_more() -> None:
    plain = total(HM)
    slates = total(HM, "request.mode=slate")
    assert slates > total(HM, "request.rate=0")
    assert total(HM, "request.mode=slate", "request.slate_size=30000") > slates
    assert plain > total(HM, "model.item_fields=false")
    wide = [total(HM, f"client.negatives={kind}", "client.pool_size=50000") for kind in ("request", "public", "both")]
    assert wide[0] < wide[1] == wide[2]  # a request is made whatever the negatives are
    for setting in (
        "train.workers=2",
        "federated.cohort_size=9000",
        "client.private_state=embedding",
        "model.field_dim=64",
    ):
        assert total(HM, setting) > plain


def test_who_buys_in_few_weeks_has_few_lists() -> None:
    seldom, often = (
        reckon(replace(HM, last_week=n), resolve(settings=["second_stage.rounds=1"])) for n in (300, 10**6)
    )
    assert seldom["the second stage"] < often["the second stage"]


def test_a_second_stage_takes_its_part() -> None:
    """Of H&M's size: what is kept of features is bounded, weekly sums are not."""
    stage = "second_stage.rounds=10000"
    plain, second = (reckon(HM, resolve(settings=words))["the second stage"] for words in ([], [stage]))
    assert plain == 0
    assert second > 4 * memory.REMEMBERED
    assert total(HM, stage, "second_stage.label_weeks=52") > total(HM, stage) + 8 * 44 * 3 * HM.items
    assert total(HM, stage, "second_stage.cohort_size=20000") > total(HM, stage)


@pytest.mark.parametrize(
    "settings, available, hint",
    [
        (["train.workers=4"], 5 * GIB // 2, "--workers 2 would fit"),
        (["federated.cohort_size=1000000"], 3 * GIB, "--set federated.cohort_size=500000 would fit"),
        (["client.private_state=tower"], 3 * GIB, "--set client.private_state=embedding would fit"),
        ([], GIB // 4, "prepare fewer customers"),
        (["second_stage.rounds=1", "second_stage.label_weeks=200"], 3 * GIB, "second_stage.label_weeks=100 would fit"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(settings: list[str], available: int, hint: str) -> None:
    with pytest.raises(InputError) as refused:
        check_memory(HM, resolve(settings=settings), available)
    assert hint in str(refused.value)
    assert "would take about" in str(refused.value)


def test_what_fits_and_what_nobody_knows_pass() -> None:
    """To the byte: what is reckoned fits into itself, and not into one byte less."""
    check_memory(HM, resolve(), None)
    check_memory(HM, resolve(), total(HM))
    with pytest.raises(InputError, match="of memory"):
        check_memory(HM, resolve(), total(HM) - 1)


def test_a_training_that_does_not_fit_leaves_nothing(
    shop: Dataset, config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = sys.modules["spfedrec_cli.engine.train"]
    monkeypatch.setattr(train, "free_memory", lambda: 1 << 20)
    with pytest.raises(InputError, match="of memory"):
        engine.train(shop, config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"meminfo": ["MemTotal: 9 kB", "MemAvailable:   2048 kB"]}, 2048 * 1024),
        ({"meminfo": ["MemAvailable: 2048 kB"], "max": ["1000000"], "current": ["400000"]}, 600_000),
        ({"meminfo": ["MemAvailable: 2048 kB"], "max": ["max"], "current": ["400000"]}, 2048 * 1024),
        ({}, None),
    ],
)
def test_what_is_free(monkeypatch: pytest.MonkeyPatch, files: dict[str, list[str]], expected: int | None) -> None:
    monkeypatch.setattr(memory, "_lines", lambda path: files.get(path.rsplit("/", 1)[1].removeprefix("memory."), []))
    assert memory.free_memory() == expected


MEASURE = """
import resource, sys
from pathlib import Path
from spfedrec_cli import engine
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
engine.train(Dataset.open(Path(sys.argv[1])), resolve(settings=sys.argv[3:]), Path(sys.argv[2]))
# Linux carries the ru_maxrss of whoever started a process over to it; VmHWM begins anew with the program.
status = Path("/proc/self/status")
peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else []
of_self = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(int(peaks[0].split()[1]) * 1024 if peaks else of_self * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["federated.cohort_size=50000", "request.rate=1", "client.negatives=request"],
        ["client.private_state=embedding", "model.dim=256"],
        ["client.negatives=both", "client.pool_size=15000", "request.rate=1", "federated.cohort_size=5000"],
    ],
    ids=["as it comes", "large cohorts", "large private state", "both kinds of negatives"],
)
def test_what_is_reckoned_is_near_what_is_taken(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "memory-shop"
    if not folder.exists():
        prepare(source="synthetic", input=None, output=folder, customers=150_000, items=20_000)
    chosen = [*settings, "train.rounds=2", "train.eval_every=1"]
    words = [sys.executable, "-c", MEASURE, str(folder), str(tmp_path_factory.mktemp("run") / "run"), *chosen]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reckoned = sum(reckon(shape_of(Dataset.open(folder)), resolve(settings=chosen)).values())
    assert 0.75 < reckoned / int(done.stdout) < 1.6
