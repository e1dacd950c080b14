"""An audit of a run: whole, of some attacks, of every strategy; and the run stays as it was."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spfedrec_cli import config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine import AuditReport, audit_run, resume, train
from spfedrec_cli.engine.audit import keep
from spfedrec_cli.engine.record import AUDIT
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.protocol import Updates
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS, Row
from spfedrec_cli.files import read_json

SMALL = ["train.rounds=2", "train.checkpoint_every=1", "model.dim=8", "client.pool_size=30"]


def trained(dataset: Dataset, folder: Path, *settings: str) -> Path:
    return train(dataset, config.resolve(settings=[*SMALL, *settings]), folder).run


def hashes(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def shop_run(shop: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(shop, tmp_path_factory.mktemp("runs") / "first", "simulation.canaries=10")


@pytest.fixture(scope="module")
def report(shop_run: Path) -> AuditReport:
    return audit_run(shop_run, clients=60, rounds=2)


def test_every_view_is_attacked(report: AuditReport) -> None:
    views = {each.view for each in report.attacks}
    assert views == {"request", "plain update", "masked upload", "sum", "model"}
    assert not {each.name for each in report.attacks} & set(report.left_out)
    assert report.clients == report.cohort == 60


def test_a_plain_update_gives_away_what_a_masked_one_hides(report: AuditReport) -> None:
    rows = {each.name: each for each in report.attacks}
    assert rows["collinearity"].auc >= 0.99
    assert rows["masked collinearity"].low <= 0.5 <= rows["masked collinearity"].high


def test_what_is_released_is_said(report: AuditReport) -> None:
    assert any("how many clients bought each item" in line for line in report.released)
    assert set(report.bytes_per_client) == {"up", "down"}
    assert report.bytes_per_client["up"] > 1000


class Unseen(SumByMessages):
    """A protocol of one's own, of which no message is an update as it is."""

    def add(self, updates: Updates) -> None:
        self._sum.add(updates)


def test_a_protocol_of_ones_own_is_attacked_like_the_sum(
    shop: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AGGREGATIONS, "unseen", Row(IdealSum, Unseen, over="crowd"))
    run = trained(shop, tmp_path / "run", "federated.aggregation=unseen")
    made = audit_run(run, ["collinearity", "half known, sum"], clients=60, rounds=1)
    assert made.left_out == {}
    assert "to the server: the sum of each crowd" in made.released


def test_a_report_is_a_table(report: AuditReport) -> None:
    made = report.to_frame()
    assert list(made.index) == [each.name for each in report.attacks]


def test_the_run_is_not_changed(shop_run: Path) -> None:
    before = hashes(shop_run)
    audit_run(shop_run, ["coherence"], clients=20, rounds=1)
    assert hashes(shop_run) == before


def test_a_whole_audit_is_kept_where_a_report_looks_for_it(report: AuditReport, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    keep(replace(report, run=tmp_path / "run"))
    kept = read_json(tmp_path / "run" / AUDIT)
    assert [each["name"] for each in kept["attacks"]] == [each.name for each in report.attacks]
    assert kept["attacks"][0]["auc"] == report.attacks[0].auc


def test_the_same_audit_gives_the_same_figures(shop_run: Path) -> None:
    one, two = (audit_run(shop_run, ["coherence", "canaries"], clients=20, rounds=1) for _ in range(2))
    assert one == two
    assert audit_run(shop_run, ["coherence"], clients=20, rounds=1, seed=1) != one


def test_a_misspelt_attack_is_refused(shop_run: Path) -> None:
    with pytest.raises(InputError, match=r"no attack 'coherense'.*did you mean 'coherence'"):
        audit_run(shop_run, ["coherense"])


WAYS: list[Any] = [
    (["request.mode=slate", "request.slate_size=40"], "requests", "nobody requests"),
    (["request.mode=catalogue"], "requests", "nobody requests"),
    (["federated.strategy=full"], "uploads", "no update of a single client"),
    (["federated.strategy=central"], "sums", "no sum"),
    (["client.private_state=tower"], "model", "a query tower of its own"),
    (["client.private_state=embedding"], None, ""),
    (["federated.aggregation=ring", "federated.cohort_size=20"], None, ""),
    (["federated.dropout=0.3", "federated.aggregation=ring"], None, ""),
]


@pytest.mark.parametrize("settings, missing, why", WAYS, ids=str)
def test_every_kind_of_run_is_audited(
    shop: Dataset, tmp_path: Path, settings: list[str], missing: str | None, why: str
) -> None:
    found = audit_run(trained(shop, tmp_path / "run", *settings), clients=30, rounds=1)
    assert found.attacks or why
    reasons = " ".join(found.left_out.values())
    assert why in reasons


def test_a_run_with_canaries_is_resumed_to_the_same_bits(shop: Dataset, tmp_path: Path) -> None:
    whole = train(shop, config.resolve(settings=[*SMALL, "simulation.canaries=5"]), tmp_path / "whole")
    shorter = config.resolve(settings=[*SMALL, "simulation.canaries=5", "train.rounds=1"])
    train(shop, shorter, tmp_path / "parts")
    assert resume(tmp_path / "parts", rounds=2).state_sha256 == whole.state_sha256
    none = train(shop, config.resolve(settings=SMALL), tmp_path / "none")
    assert none.state_sha256 != whole.state_sha256


def test_canaries_and_a_prior_that_decays_do_not_go_together(shop: Dataset, tmp_path: Path) -> None:
    decays = ["simulation.canaries=5", "model.prior=0.5", "request.prior_half_life=30"]
    with pytest.raises(InputError, match="Canaries have no date"):
        trained(shop, tmp_path / "run", *decays)


def test_a_run_goes_on_with_another_aggregation(shop_run: Path) -> None:
    few: dict[str, Any] = {"clients": 30, "rounds": 1}
    plain = audit_run(shop_run, ["masked collinearity"], **few)
    chains = audit_run(shop_run, ["masked collinearity"], **few, settings=["federated.aggregation=ring"])
    assert chains.bytes_per_client["up"] > plain.bytes_per_client["up"]
    assert any("each chain" in line for line in chains.released)


@pytest.mark.parametrize(
    "setting, whose",
    [
        ("model.dim=16", "model"),
        ("train.seed=9", "train"),
        ("request.mode=slate", r"request\.mode"),
        ("client.private_state=embedding", r"client\.private_state"),
        ("federated.strategy=full", r"federated\.strategy"),
    ],
)
def test_a_run_keeps_what_its_state_was_made_by(shop_run: Path, setting: str, whose: str) -> None:
    with pytest.raises(InputError, match=f"goes on with its own {whose}"):
        audit_run(shop_run, settings=[setting])
