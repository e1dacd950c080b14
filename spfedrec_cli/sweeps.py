"""Sweeps: many trainings that differ in some settings, planned before the first of them begins.

runs/NAME.sweep.json    what the sweep is of, and its trials
runs/NAME-001           the run of the first trial, and so on
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spfedrec_cli import files
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.run import RUNS

SUFFIX = ".sweep.json"
_RANGE = re.compile(r"(\S+?)\.\.(\S+)")
MOST_TRIALS = 1000
LONGEST_NAME = 190  # bytes: the names of its runs are longer
Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Trial:
    """One training: the name of its run under ./runs, and what it sets by key."""

    run: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """`fixed` holds for all trials; `values` are those tried by key; `random` of their combinations are drawn by
    `seed`, all taken where it is None. `search`: as many trials, each chosen by what came of those before it; `trials`
    are those that were begun so far then."""

    name: str
    dataset_sha256: str
    preset: str | None
    config: str | None
    fixed: tuple[str, ...]
    values: Values
    random: int | None
    seed: int
    trials: tuple[Trial, ...]
    search: int | None = None

    def run_of(self, number: int) -> str:
        """The name of a trial's run, from 1."""
        return _run_of(self.name, number, self.search or len(self.trials))


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`; by their logarithm where the one is positive and the other ten times it."""

    low: float
    high: float
    whole: bool

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high >= 10 * self.low


def range_of(text: str) -> Range | None:
    """What `0.01..1` or `8..64` says. Raises InputError where the first number is not below the second."""
    found = _RANGE.fullmatch(text)
    try:
        low, high = (float(part) for part in found.groups()) if found else (math.nan, math.nan)
    except ValueError:
        return None
    if found is None or not math.isfinite(low + high):
        return None
    if low >= high:
        raise InputError(f"The range {text} holds nothing", hint="write the smaller number first, as in 0.01..1")
    return Range(low, high, all(re.fullmatch(r"[+-]?\d+", part) for part in found.groups()))


def split(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Settings of one value, and values by key where there are several. Commas in brackets or quotes separate nothing.

    Raises InputError for what is no setting, an empty value, and a key that comes twice.
    """
    fixed, several = list[str](), dict[str, list[str]]()
    keys = set[str]()
    for word in words:
        key, given, text = word.partition("=")
        key = key.strip()
        values = [value.strip() for value in _parts(text)]
        if not given or not key or not all(values):
            raise InputError(f"{word!r} is no setting to try", hint="write section.key=a,b,c")
        if key in keys:
            raise InputError(f"{key} is set twice", hint="name all its values at once, with commas between")
        keys.add(key)
        values = list(dict.fromkeys(values))
        if len(values) == 1 and range_of(values[0]) is None:
            fixed.append(f"{key}={values[0]}")
        else:
            several[key] = values
    return fixed, several


def _parts(text: str) -> list[str]:
    parts, depth, quoted = [""], 0, ""
    for letter in text:
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "\"'":
            quoted = letter
        else:
            depth += (letter in "[{(") - (letter in "]})")
            if letter == "," and depth == 0:
                parts.append("")
                continue
        parts[-1] += letter
    return parts


def trials(name: str, values: Values, random: int | None, seed: int) -> tuple[Trial, ...]:
    """All combinations in the order in which keys and values were named, or `random` different ones of them.

    Raises InputError where nothing varies, for a range, and for more than MOST_TRIALS.
    """
    check_values(values)
    ranges = [f"{key}={each}" for key, some in values.items() for each in some if range_of(each)]
    if ranges:
        hint = "name the values to try, or add --optuna N, which chooses N trials"
        raise InputError(f"A range has no list of combinations: {ranges[0]}", hint=hint)
    total = math.prod(map(len, values.values()))
    wanted = total if random is None else min(random, total)
    check_count(wanted)
    places = range(total) if random is None else _drawn(total, wanted, seed)
    settings = (dict(zip(values, each, strict=True)) for each in (_at(values, place) for place in places))
    return tuple(Trial(_run_of(name, number, wanted), each) for number, each in enumerate(settings, 1))


def check_values(values: Values) -> None:
    """Raises InputError where nothing varies, or a range stands among values."""
    if not values:
        raise InputError("Nothing varies in this sweep", hint="give a setting several values: --set client.lr=0.05,0.1")
    for key, some in values.items():
        if len(some) > 1 and any(map(range_of, some)):
            raise InputError(f"{key} has a range among its values", hint="give it one range, or values alone")


def check_count(wanted: int) -> None:
    """Raises InputError for more than MOST_TRIALS."""
    if wanted > MOST_TRIALS:
        problem = f"The sweep has {wanted:,} trials, and {MOST_TRIALS:,} are the most"
        raise InputError(problem, hint="try fewer values, or --random N of them")


def _run_of(name: str, number: int, of: int) -> str:
    return f"{name}-{number:0{max(3, len(str(of)))}}"


def _drawn(total: int, wanted: int, seed: int) -> list[int]:
    from spfedrec_cli import rng  # with numpy, which a list of runs does not need

    return sorted(rng.permuted(seed, "sweep", total, range(wanted)).tolist())


def _at(values: Values, place: int) -> tuple[str, ...]:
    """The combination at a place in the order of all: the last key varies fastest."""
    found = []
    for each in reversed(list(values.values())):
        place, at = divmod(place, len(each))
        found.append(each[at])
    return tuple(reversed(found))


def file_of(name: str) -> Path:
    """Raises InputError for a name that no run can begin with."""
    if not re.fullmatch(r"\w[\w.-]*", name) or len(name.encode()) > LONGEST_NAME:
        hint = f"use up to {LONGEST_NAME} letters, digits, dots, - and _; its runs are runs/NAME-001 and so on"
        raise InputError(f"{name!r} is no name for a sweep", hint=hint)
    return RUNS / f"{name}{SUFFIX}"


def keep(plan: Plan) -> tuple[Trial, ...]:
    """Writes the plan, where it is not there yet; its trials, of a search those that were begun. Raises InputError
    where another one is there under its name."""
    file = file_of(plan.name)
    told = _record(plan)
    if file.exists():
        kept = files.unsealed(files.read_json(file), file)
        if _lasting(kept, plan) != _lasting(told, plan):
            hint = "choose another --name, or say the same as then to go on with it"
            raise InputError(f"There is another sweep {plan.name!r}", where=str(file), hint=hint)
        return tuple(Trial(**trial) for trial in kept["trials"])
    planned = [plan.run_of(number) for number in range(1, (plan.search or len(plan.trials)) + 1)]
    taken = [name for name in planned if (RUNS / name).exists()]
    if taken:
        raise InputError(f"There is a run {taken[0]!r}, which is not of this sweep", hint="choose another --name")
    RUNS.mkdir(exist_ok=True)
    files.write_json(file, files.sealed(told))
    return plan.trials


def add(plan: Plan) -> None:
    """Writes a plan that is kept already, with more trials than it had."""
    files.write_json(file_of(plan.name), files.sealed(_record(plan)))


def _record(plan: Plan) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return {key: value for key, value in told.items() if key != "search" or value is not None}


def _lasting(told: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """What has to be the same where a sweep goes on."""
    return {key: value for key, value in told.items() if key != "trials" or plan.search is None}


def read(name: str) -> dict[str, Any]:
    """A plan as it was kept. Raises InputError where there is none, naming a near one."""
    file = file_of(name)
    if not file.is_file():
        near = nearest(name, [found.name.removesuffix(SUFFIX) for found in RUNS.glob(f"*{SUFFIX}")])
        hint = f"did you mean {near}?" if near else "make one with `spfedrec sweep`"
        raise InputError(f"There is no sweep {name!r}", hint=hint)
    return files.unsealed(files.read_json(file), file)


def folders(name: str) -> list[Path]:
    """The runs of a sweep that have begun, in the order of its trials."""
    every = [RUNS / trial["run"] for trial in read(name)["trials"]]
    return [folder for folder in every if (folder / "run.json").is_file()]
