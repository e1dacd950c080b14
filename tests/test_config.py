import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from spfedrec_cli import config
from spfedrec_cli.config import Config, resolve, to_toml, validate
from spfedrec_cli.errors import InputError
from spfedrec_cli.fitting import preset_for

SHIPPED = sorted(config.presets())
DEMONSTRATED = {"sample", "synthetic"}
WriteToml = Callable[[str], Path]


@pytest.fixture
def write_toml(tmp_path: Path) -> WriteToml:
    def write(text: str) -> Path:
        file = tmp_path / "mine.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def preset_of_50_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset `short`: 50 rounds, seed 5, dim 8."""
    values = {"train": {"rounds": 50, "seed": 5}, "model": {"dim": 8}}
    monkeypatch.setattr(config, "_preset", lambda name: values)


def test_nothing_said_gives_the_defaults() -> None:
    assert resolve() == Config()
    assert resolve().train.rounds == 100


@pytest.mark.usefixtures("preset_of_50_rounds")
def test_each_layer_beats_the_one_before(write_toml: WriteToml) -> None:
    file = write_toml("[train]\nrounds = 60\nseed = 6\n")
    resolved = resolve("short", file, ["train.rounds=70"])
    assert resolved.train.rounds == 70  # --set over file over preset
    assert resolved.train.seed == 6  # file over preset
    assert resolved.model.dim == 8  # preset over default
    assert resolved.train.eval_every == Config().train.eval_every  # said nowhere


def test_a_later_setting_beats_an_earlier_one() -> None:
    assert resolve(settings=["train.rounds=5", "train.rounds=6"]).train.rounds == 6


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("train.rounds=7", 7),
        (" train.rounds = 7", 7),
        ("model.hidden=[64, 32]", (64, 32)),
        ("client.logq=false", False),
        ("server.tau=1e-3", 1e-3),
        ("server.optimizer=fedyogi", "fedyogi"),
        ('server.optimizer="fedyogi"', "fedyogi"),
    ],
)
def test_a_setting_is_read_as_toml_and_else_as_text(setting: str, expected: Any) -> None:
    section, _, name = setting.split("=")[0].strip().partition(".")
    assert getattr(getattr(resolve(settings=[setting]), section), name) == expected


@pytest.mark.parametrize(
    "setting, told",
    [
        ("train.rounds=1e300", "is too large for an integer"),
        (f"train.rounds={'9' * 5000}", "does not fit: it "),
        (f"model.hidden={'[' * 3000}", "does not fit: it should be a valid tuple"),
        ("train.rounds=true", "= True does not fit: it should be a number;"),
        ("client.lr=true", "= True does not fit: it should be a number;"),
        ("simulation.root=", "= '' does not fit: it should have at least 1 character"),
        ("simulation.root=5", "it should be a valid string; write it in quotes: --set 'simulation.root=\"5\"'."),
        ("client.lr=0.2\ntrain.rounds=5", "should be a valid number"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_words(setting: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        resolve(settings=[setting])
    assert told in refused.value.sentence()


@pytest.mark.parametrize(
    "setting", ["client.lr=1e-42", "model.prior=1e39", "server.beta1=0.99999999", "server.beta2=0.99999999"]
)
def test_what_single_precision_cannot_hold_is_refused(setting: str) -> None:
    """It would be nothing, infinite or 1 there, and weights or scores no numbers."""
    with pytest.raises(InputError, match=r"(greater|less) than or equal to"):
        resolve(settings=[setting])


@pytest.mark.parametrize("text", [f"[train]\nrounds = {'9' * 5000}", f"[model]\nhidden = {'[' * 3000}"])
def test_a_file_that_cannot_be_read_through_is_refused(write_toml: WriteToml, text: str) -> None:
    with pytest.raises(InputError, match="is not TOML"):
        resolve(file=write_toml(text))


def test_a_mark_before_a_file_is_passed_over(write_toml: WriteToml) -> None:
    assert resolve(file=write_toml("\ufeff[train]\nrounds = 5\n")).train.rounds == 5


@pytest.mark.parametrize("setting", ["rounds=5", "train.rounds", "train.=5", ".rounds=5", "=5", ""])
def test_a_malformed_setting_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match=r"--set takes section\.key=value"):
        resolve(settings=[setting])


@pytest.mark.parametrize(
    "setting, near",
    [
        ("train.round=5", "train.rounds"),
        ("trian.rounds=5", "train"),
        ("model.cohort_size=5", "federated.cohort_size"),
        ("server.learning_rate=1", None),
    ],
)
def test_an_unknown_key_is_refused_with_a_near_one(setting: str, near: str | None) -> None:
    with pytest.raises(InputError, match=r"There is no (setting|section)") as caught:
        resolve(settings=[setting])
    assert near is None or near in (caught.value.hint or "")


@pytest.mark.parametrize(
    "setting, key, value",
    [
        ("train.rounds=0", "train.rounds", "0"),
        ("train.rounds=many", "train.rounds", "'many'"),
        ("model.temperature=0", "model.temperature", "0"),
        ("server.optimizer=5", "server.optimizer", "5"),
        ("client.negatives=none", "client.negatives", "'none'"),
        ("train.monitor=ndcg", "train.monitor", "'ndcg'"),
        ("client.target_share=1.5", "client.target_share", "1.5"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_key(setting: str, key: str, value: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(settings=[setting])
    assert f"{key} = {value} does not fit" in caught.value.sentence()


def test_a_section_is_no_value(write_toml: WriteToml) -> None:
    with pytest.raises(InputError, match="train is a section, not a value"):
        resolve(file=write_toml("train = 5\n"))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist") as caught:
        resolve(file=tmp_path / "absent.toml")
    assert caught.value.where == str(tmp_path / "absent.toml")


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        resolve(file=tmp_path)


@pytest.mark.parametrize("content", [b"[train\nrounds = 5\n", b"rounds = \xff\n"])
def test_a_file_that_is_not_toml_is_refused_with_the_place(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match="is not TOML") as caught:
        resolve(file=file)
    assert caught.value.where == str(file)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(InputError, match="There is no preset 'nowhere'"):
        resolve("nowhere")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_preset_resolves_and_says_what_it_is_for(name: str) -> None:
    assert resolve(name) != Config()
    assert config.presets()[name]


@given(rounds=st.integers(1, 10**6), tau=st.floats(1e-12, 1.0), hidden=st.lists(st.integers(1, 512), max_size=3))
def test_saved_settings_come_back_the_same(rounds: int, tau: float, hidden: list[int]) -> None:
    made = validate({"train": {"rounds": rounds}, "server": {"tau": tau}, "model": {"hidden": hidden}})
    assert validate(tomllib.loads(to_toml(made))) == made


def test_settings_do_not_change_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(Config().train, "rounds", 5)  # noqa: B010


def test_every_setting_is_described_once() -> None:
    described = config.describe()
    assert [key for key, _, _ in described] == config.keys()
    assert len(set(config.keys())) == len(described)


def test_the_presets_of_the_demonstration_ship() -> None:
    assert set(SHIPPED) >= DEMONSTRATED


@pytest.mark.parametrize(
    "setting",
    ["request.rate=inf", "client.lr=inf", "federated.range_item=nan", "model.hidden=[0]", "model.hidden=[-1]"],
)
def test_numbers_without_meaning_are_refused(setting: str) -> None:
    with pytest.raises(InputError, match="does not fit"):
        config.resolve(settings=[setting])


@pytest.mark.parametrize(
    "source, clients, preset",
    [
        ("sample", 5, "sample"),
        ("movielens", 943, "ml-100k"),
        ("movielens", 6_040, "ml-1m"),
        ("hm", 1_039, "hm-small"),
        ("hm", 1_362_281, "hm-full"),
        ("synthetic", 5_000, "synthetic"),
        ("synthetic", 1_371_980, "hm-full"),
        ("completejourney", 2_467, "grocery"),
        ("table", 2_500, None),
    ],
)
def test_the_preset_to_begin_with(source: str, clients: int, preset: str | None) -> None:
    assert preset_for(source, clients) == preset
    assert preset is None or preset in config.presets()


@pytest.mark.parametrize(
    "setting",
    [
        "client.lr=1e30", "client.local_epochs=1000000000", "model.temperature=1e-30", "server.lr=inf",
        "train.rounds=100000000000000000000000000", "federated.range_item=1e-300", "train.seed=99999999999999999999",
        "client.lr={a={b=1}}", "model.hidden=[1e9]",
    ],
)  # fmt: skip
def test_what_overflows_or_makes_no_sense_is_refused_in_one_sentence(setting: str) -> None:
    with pytest.raises(InputError, match=setting.partition("=")[0]) as refused:
        resolve(settings=[setting])
    assert "\n" not in str(refused.value)
