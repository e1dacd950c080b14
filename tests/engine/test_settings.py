"""What settings are refused, by whom, and in which sentence; and rows that are added to tables from outside."""

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from worlds import SMALL, build_world, merged

import spfedrec_cli as spfedrec
from spfedrec_cli import config as settings_module
from spfedrec_cli import engine
from spfedrec_cli.config import Config, ServerConfig, validate
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import settings
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.settings import TABLES, check, check_with
from spfedrec_cli.engine.team import TeamLost
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS, Row
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS
from spfedrec_cli.federated.sampling.modes import MODES
from spfedrec_cli.federated.server.optimizers import SERVER_OPTIMIZERS
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.split import ENGINES
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.model.architectures import TOWERS
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.retrieval.metrics import METRICS

Make = Callable[..., Config]

# By rule: settings that it refuses, and nothing before it.
REFUSED = {
    "refuse_without_negatives": ["client.negatives=request", "request.rate=0"],
    "refuse_device": ["federated.strategy=full", "train.device=cuda"],
    "refuse_own_towers": ["federated.strategy=full", "client.private_state=tower"],
    "refuse_aggregation": ["federated.strategy=central", "federated.aggregation=ring"],
    "refuse_mode": ["federated.strategy=full", "request.mode=slate"],
    "refuse_dropout": ["federated.strategy=central", "federated.dropout=0.1"],
    "refuse_unknown_popularity": ["client.pool=popularity", "request.negatives=uniform"],
    "refuse_negatives_of_nobody": ["request.mode=slate", "client.negatives=both"],
    "refuse_choice_of_nothing": ["model.prior_choice=validation"],
    "refuse_decayed_file": ["model.prior=0.5", "request.prior_half_life=7", "request.popularity=counts.csv"],
    "refuse_protocol": ["federated.aggregation=ring", "federated.cohort_size=2"],
    "refuse_ranking": ["second_stage.rounds=2", "federated.strategy=central"],
    "refuse_uncompiled": ["client.loss=hinge"],
}
NAMES = [*TABLES, "train.monitor"]


def refusal(call: Callable[[], object]) -> str | None:
    """The sentence that it raises, if it does."""
    try:
        call()
    except InputError as error:
        return error.sentence()
    return None


def hinge(targets: Tensor, negatives: Tensor) -> Tensor:
    """A loss that is in no table: (…, T), (…, M) -> (…, T)."""
    return F.relu(0.5 + negatives.clamp_min(-1e30).amax(-1, keepdim=True) - targets)


def signed(server: ServerConfig, tau: float, w: Tensor, delta: Tensor, m: Tensor, v: Tensor) -> Any:
    """A server optimiser that is in no table."""
    return w + server.lr * delta.sign(), m, v


@pytest.mark.parametrize("key", TABLES)
def test_a_name_that_no_table_has_is_refused_with_those_there_are(key: str, config: Make) -> None:
    name = next(iter(TABLES[key]))
    with pytest.raises(InputError) as caught:
        check(config(f"{key}={name}x"))
    told = caught.value.sentence()
    assert told.startswith(f"The setting {key} = '{name}x' does not fit: it should be ")
    assert all(repr(each) in told for each in TABLES[key])
    assert told.endswith(f"; did you mean {name}?")


def test_a_name_like_no_other_is_refused_with_a_way_to_learn_of_them(config: Make) -> None:
    with pytest.raises(InputError, match=rf" or {list(AGGREGATIONS)[-1]!r}; see `spfedrec config show`"):
        check(config("federated.aggregation=qqq"))


@pytest.mark.parametrize("key, table", {**TABLES, "model.query_tower": TOWERS, "model.item_tower": TOWERS}.items())
def test_every_row_is_told_of_in_the_meaning_of_its_setting(key: str, table: Mapping[str, object]) -> None:
    meaning = next(meaning for known, _, meaning in settings_module.describe() if known == key)
    assert [name for name in table if name not in meaning] == []  # sections.py has the meanings


def test_every_rule_has_settings_that_it_refuses() -> None:
    assert list(REFUSED) == [rule.__name__ for rule in refusals.RULES]


@pytest.mark.parametrize("rule", REFUSED)
def test_a_rule_is_told_by_whoever_is_asked(
    rule: str, shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOSSES, "hinge", hinge)
    made = config(*REFUSED[rule])
    told = refusal(lambda: getattr(refusals, rule)(made))
    assert told is not None
    askers: list[Callable[[], object]] = [
        lambda: check(made),
        lambda: check_with(made, shop),
        lambda: engine.rehearse(shop, made),
        lambda: engine.train(shop, made, tmp_path / "run"),
    ]
    assert [refusal(asker) for asker in askers] == [told] * 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", NAMES)
def test_so_is_an_unknown_name(key: str, shop: Dataset, config: Make, tmp_path: Path) -> None:
    made = config(f"{key}=nothing@3" if key == "train.monitor" else f"{key}=nothing")
    told = refusal(lambda: check(made))
    assert told is not None
    assert "'nothing'" in told
    assert refusal(lambda: engine.train(shop, made, tmp_path / "run")) == told
    assert refusal(lambda: engine.rehearse(shop, made)) == told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "chosen, limit",
    [
        (["request.mode=slate"], "LARGEST_SLATE"),
        (["federated.strategy=full"], "LARGEST_CLIENT"),
        (["client.private_state=tower"], "LARGEST_PRIVATE"),
        (["federated.aggregation=ring", "federated.cohort_size=40", "train.workers=2", "train.shards=8"], None),
    ],
)
def test_what_depends_on_the_dataset_is_refused_where_there_is_one(
    chosen: list[str],
    limit: str | None,
    shop: Dataset,
    config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if limit is not None:
        check_with(config(*chosen), shop)
        monkeypatch.setattr(refusals, limit, 100)
    made = config(*chosen)
    check(made)
    told = refusal(lambda: check_with(made, shop))
    assert told is not None
    assert refusal(lambda: engine.rehearse(shop, made)) == told
    assert refusal(lambda: engine.train(shop, made, tmp_path / "run")) == told
    assert list(tmp_path.iterdir()) == []


def test_the_sizes_are_those_of_the_world(shop: Dataset, config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[refusals.DatasetSizes] = []
    monkeypatch.setattr(refusals, "check_sizes", lambda config, sizes: asked.append(sizes))
    for made in (config(), config("model.item_fields=false")):
        engine.load.load_world(shop, made)
        sizes = settings.sizes_of(shop, made)
        assert (sizes.shapes, sizes.clients, sizes.eligible) == (
            asked[-1].shapes,
            asked[-1].clients,
            asked[-1].eligible,
        )
        assert sizes.most() == asked[-1].most()


CHOICES: dict[str, Iterable[Any]] = {
    "client.optimizer": LOCAL_OPTIMIZERS,
    "client.loss": [*LOSSES, "hinge"],
    "client.negatives": ["request", "both"],
    "client.pool": ["popularity"],
    "client.private_state": ["embedding", "tower"],
    "request.mode": ["slate", "catalogue"],
    "request.negatives": ["uniform"],
    "request.rate": [0],
    "request.redraw": [True],
    "federated.strategy": STRATEGIES,
    "federated.sampling": ["poisson", "shuffled"],
    "federated.aggregation": [*AGGREGATIONS, "again"],
    "federated.cohort_size": [2],
    "federated.dropout": [0.3],
    "server.optimizer": SERVER_OPTIMIZERS,
    "train.engine": ENGINES,
}


def drawn(seed: int) -> dict[str, Any]:
    """Settings that differ from the defaults in a few choices."""
    draw, found = random.Random(seed), dict[str, Any]()
    for key in draw.sample(sorted(CHOICES), draw.randrange(6)):
        section, _, name = key.partition(".")
        found.setdefault(section, {})[name] = draw.choice(list(CHOICES[key]))
    return found


@pytest.mark.slow
def test_what_is_refused_is_what_cannot_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over settings drawn by chance: a world is refused in the same sentence; of those that are not, some train."""
    monkeypatch.setitem(LOSSES, "hinge", hinge)
    monkeypatch.setitem(AGGREGATIONS, "again", Row(IdealSum, SumByMessages))
    told = dict[str | None, int]()
    for seed in range(400):
        chosen = drawn(seed)
        found = refusal(lambda chosen=chosen: check(validate(merged(SMALL, chosen))))  # type: ignore[misc]
        told[found] = told.get(found, 0) + 1
        if found is None:
            world = build_world(chosen)
            if told[None] % 3 == 0:
                _, report = STRATEGIES[world.config.federated.strategy](initial_state(world), world)
                assert np.isfinite(report.loss), chosen
        else:
            assert refusal(lambda chosen=chosen: build_world(chosen)) == found, chosen  # type: ignore[misc]
    assert told[None] > 100
    assert len(told) > 12


def test_rows_from_outside_train(shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES, "hinge", hinge)
    monkeypatch.setitem(SERVER_OPTIMIZERS, "signed", signed)
    monkeypatch.setitem(METRICS, "thrice", lambda places, sizes, k: 3 * METRICS["recall"](places, sizes, k))
    chosen = ["train.rounds=2", "train.engine=reference", "federated.cohort_size=12", "train.monitor=thrice@10"]
    plain = spfedrec.train(shop, config(*chosen), tmp_path / "plain")
    found = {
        key: spfedrec.train(shop, config(*chosen, f"{key}={name}"), tmp_path / name)
        for key, name in (("client.loss", "hinge"), ("server.optimizer", "signed"))
    }
    assert len({result.state_sha256 for result in (plain, *found.values())}) == 3
    for result in found.values():
        assert result.rounds == 2
        assert result.validation["thrice@10"] == pytest.approx(3 * result.validation["recall@10"])


def test_a_server_optimiser_from_outside_needs_no_compiled_form(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVER_OPTIMIZERS, "signed", signed)
    made = config("train.rounds=1", "server.optimizer=signed", "server.lr=0.5")
    query = [
        load_state(spfedrec.train(shop, each, tmp_path / name).run, 1)[0].query
        for name, each in {"signed": made, "still": config("train.rounds=1", "server.lr=1e-12")}.items()
    ]
    moved = torch.cat([(query[0][name] - query[1][name]).abs().reshape(-1) for name in query[0]])
    assert set(moved.round(decimals=3).tolist()) == {0.0, 0.5}


@pytest.mark.parametrize("key, table", [("client.loss", LOSSES), ("client.optimizer", LOCAL_OPTIMIZERS)])
def test_what_has_no_compiled_form_is_left_to_the_reference(
    key: str, table: dict[str, Any], config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(table, "mine", next(iter(table.values())))
    sentence = f"{key} = mine has no compiled form, which train.engine = simulation needs; set train.engine=reference"
    with pytest.raises(InputError, match=sentence):
        check(config(f"{key}=mine"))
    check(config(f"{key}=mine", "train.engine=reference"))
    check(config(f"{key}=mine", "federated.strategy=full"))


def test_a_run_whose_row_is_gone_is_not_resumed(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as added:
        added.setitem(SERVER_OPTIMIZERS, "signed", signed)
        done = engine.train(shop, config("train.rounds=1", "server.optimizer=signed"), tmp_path / "run")
    before = (done.run / "config.toml").read_text()
    with pytest.raises(InputError, match=r"server\.optimizer = 'signed' does not fit"):
        engine.resume(done.run, rounds=2)
    assert (done.run / "config.toml").read_text() == before


@pytest.mark.parametrize(
    "setting, table, row, sentence",
    [
        ("federated.aggregation=mine", AGGREGATIONS, Row(IdealSum, SumByMessages), "no aggregation protocol 'mine'"),
        ("request.mode=mine", MODES, MODES["slate"], "no request mode 'mine'"),
        ("model.query_tower=mine", TOWERS, TOWERS["linear"], "no tower 'mine'"),
    ],
)
def test_a_run_whose_row_is_gone_is_told_in_a_sentence(
    setting: str,
    table: dict[str, Any],
    row: Any,
    sentence: str,
    shop: Dataset,
    config: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as added:
        added.setitem(table, "mine", row)
        run = engine.train(shop, config("train.rounds=1", "train.engine=reference", setting), tmp_path / "run").run
    with pytest.raises(InputError, match=f"There is {sentence}"):
        engine.evaluate(run)


@pytest.mark.slow
def test_a_worker_does_not_know_rows_of_the_process_that_started_it(
    shop: Dataset, config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVER_OPTIMIZERS, "signed", signed)
    with pytest.raises(TeamLost, match=r"server\.optimizer = 'signed' does not fit"):
        engine.train(shop, config("server.optimizer=signed", "train.workers=2"), tmp_path / "run")


@pytest.mark.parametrize("preset", settings_module.presets())
def test_presets_may_all_be_trained(preset: str) -> None:
    assert refusal(lambda: check(settings_module.resolve(preset))) is None
