import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from answers import Invoke, the_json

from spfedrec_cli import config
from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset


def test_what_is_shown_is_a_file_that_config_takes(invoke: Invoke, workplace: Path) -> None:
    shown = invoke("config", "show", "--set", "train.rounds=7", "--set", "model.hidden=[64, 32]").stdout
    Path("mine.toml").write_text(shown)
    assert resolve(file=Path("mine.toml")) == resolve(settings=["train.rounds=7", "model.hidden=[64, 32]"])


def test_every_setting_is_shown_with_its_meaning(invoke: Invoke) -> None:
    lines = invoke("config", "show").stdout.splitlines()
    for key, _, meaning in config.describe():
        name = key.partition(".")[2]
        assert any(line.startswith(f"{name} = ") and line.endswith(meaning) for line in lines)


def test_the_json_holds_every_section(invoke: Invoke) -> None:
    assert the_json(invoke("config", "show", "--json")) == Config().model_dump(mode="json")


def test_a_valid_file(invoke: Invoke, workplace: Path) -> None:
    Path("mine.toml").write_text("[train]\nrounds = 5\n")
    assert the_json(invoke("config", "validate", "mine.toml", "--json")) == {"file": "mine.toml", "valid": True}
    assert "mine.toml" in invoke("config", "validate", "mine.toml").stdout


@pytest.mark.parametrize(
    "text, problem", [("[train]\nround = 5\n", "did you mean train.rounds?"), ("[train\n", "is not TOML")]
)
def test_an_invalid_file(invoke: Invoke, workplace: Path, text: str, problem: str) -> None:
    Path("mine.toml").write_text(text)
    result = invoke("config", "validate", "mine.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_what_training_refuses_is_refused_in_the_same_sentence(invoke: Invoke, sample: Dataset) -> None:
    Path("mine.toml").write_text('[federated]\nstrategy = "full"\naggregation = "ring"\n')
    checked = invoke("config", "validate", "mine.toml")
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert "federated.aggregation = ring sums what split uploads, not full" in checked.stderr
    assert checked.stderr == invoke("train", "sample", "--config", "mine.toml").stderr
    assert checked.stderr == invoke("config", "validate", "mine.toml", "--dataset", "sample").stderr


def test_what_depends_on_the_dataset_is_checked_against_it(invoke: Invoke, sample: Dataset) -> None:
    Path("mine.toml").write_text("[model]\ndim = 1024\n[request]\nmode = 'catalogue'\n")
    valid = {"file": "mine.toml", "valid": True, "dataset": "datasets/sample"}
    assert the_json(invoke("config", "validate", "mine.toml", "--dataset", "sample", "--json")) == valid
    Path("mine.toml").write_text("[request]\npopularity = 'nowhere.csv'\n")
    assert invoke("config", "validate", "mine.toml").exit_code == 0
    refused = invoke("config", "validate", "mine.toml", "--dataset", "sample")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == invoke("train", "sample", "--config", "mine.toml").stderr


def test_settings_are_shown_without_torch() -> None:
    code = "import sys; from spfedrec_cli.cli.app import app; app(['config', 'show'], standalone_mode=False)"
    code += "; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_presets_are_listed_with_what_they_are_for(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "presets", lambda: {"small": "for [a] trial"})
    assert the_json(invoke("config", "presets", "--json")) == {"presets": {"small": "for [a] trial"}}
    assert "for [a] trial" in invoke("config", "presets").stdout


def test_comments_do_not_change_the_values(invoke: Invoke) -> None:
    assert tomllib.loads(invoke("config", "show").stdout) == Config().model_dump(mode="json")
