"""Trainings of the second stage, week by week: towers once, and on them every form. What is there is not made again."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spfedrec_cli import engine, run
from spfedrec_cli.config import resolve, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.origins import last_days, prepare_until
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine.load import load_dataset

KS = (10, 12, 20)
RULES = ("popularity", "popularity_7_days", "repeat_last", "repeat_often")
DONE = "done"  # a file, in a folder whose work is finished
ROUNDS = 100
TOWERS = "towers"


@dataclass(frozen=True)
class Form:
    """Settings of a second stage; `of`: another whose weights it takes."""

    settings: tuple[str, ...]
    of: str = ""


FORMS = {
    "linear": Form(("second_stage.form=linear",)),
    "network": Form(("second_stage.form=network",)),
    "network, own weights": Form(("second_stage.form=network", "second_stage.personal=30"), "network"),
}


@dataclass(frozen=True)
class Week:
    """One training: its Dataset, whose test week is predicted, the preset and settings, the seed of the second stage,
    and which forms; only the first one of seed 0 is measured beside rules and blends. Towers are of seed 0."""

    dataset: Path
    preset: str
    settings: tuple[str, ...]
    seed: int
    forms: tuple[str, ...]
    runs: Path
    threads: int = 1

    def folder(self, form: str) -> Path:
        stem = f"{self.dataset.name}-{0 if form == TOWERS else self.seed}"
        return self.runs / f"{stem}-{form.replace(', ', '-').replace(' ', '-')}"


def datasets(name: str, make: Callable[[Path], object], weeks: int, work: Path) -> list[Path]:
    """A Dataset for each of the last weeks, the latest behind; where there is one week alone, the whole."""
    whole = work / "datasets" / name
    if not whole.exists():
        whole.parent.mkdir(parents=True, exist_ok=True)
        make(whole)
    if weeks == 1:
        return [whole]
    opened = Dataset.open(whole)
    *earlier, _ = last_days(opened, weeks)
    folders = [whole.with_name(f"{whole.name}-until-{day}") for day in earlier]
    for folder, day in zip(folders, earlier, strict=True):
        if not folder.exists():
            prepare_until(opened, day, folder)
    return [*folders, whole]


def hm(data: Path, to: Path) -> None:
    prepare("hm", data / "hm", to)


def films(data: Path, to: Path) -> None:
    prepare("movielens", data / "ml-100k", to)


def made(week: Week) -> dict[str, Path]:
    """The run of each form, trained and evaluated on test."""
    import torch

    torch.set_num_threads(week.threads)
    towers = with_towers(week)
    return {form: _form(week, form, towers) for form in week.forms}


def _settings(week: Week, seed: int) -> list[str]:
    return [*week.settings, f"train.seed={seed}", f"train.threads={week.threads}"]


def with_towers(week: Week) -> Path:
    """The run of the towers alone."""
    folder = week.folder(TOWERS)
    if not (folder / DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        engine.train(Dataset.open(week.dataset), resolve(week.preset, settings=_settings(week, 0)), folder)
        (folder / DONE).touch()
    return folder


def _form(week: Week, name: str, towers: Path) -> Path:
    """On the finished towers, or with the weights of another form."""
    folder, form = week.folder(name), FORMS[name]
    if (folder / DONE).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(week.folder(form.of) if form.of else towers, folder)
    (folder / DONE).unlink()
    settings = [*_settings(week, week.seed), f"second_stage.rounds={ROUNDS}", *form.settings]
    run.write_config(folder, to_toml(resolve(week.preset, settings=settings)))
    if not form.of:
        engine.resume(folder)
    first = week.seed == 0 and name == week.forms[0]
    evaluate(folder, RULES if first else (), first)
    (folder / DONE).touch()
    return folder


def evaluate(folder: Path, rules: Sequence[str], blend: bool) -> None:
    repeats = load_dataset(folder).repeats
    rules = [name for name in rules if repeats or not name.startswith("repeat")]
    engine.evaluate(folder, ks=KS, baselines=rules or False, blend=blend and repeats, second_stage=True)
