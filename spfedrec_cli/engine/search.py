"""Which combination to try next, by what came of those before: Optuna's tree-structured Parzen estimator.

Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011). optuna is an extra.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spfedrec_cli.errors import InputError
from spfedrec_cli.extras import needs
from spfedrec_cli.sweeps import Range, Values, check_count, check_values, range_of

ATTEMPTS, BY_CHANCE = 60, 20  # to find a combination that was not tried; behind so many, any one will do
STARTUP = 8  # trials by chance before anything is learned from
DIGITS = 4  # of a number that is tried


@dataclass(frozen=True)
class Tried:
    """Settings by key, and what validation said of them: None while they are trained, NaN where that failed."""

    settings: Mapping[str, str]
    value: float | None


def check_search(values: Values, trials: int) -> None:
    """Raises InputError where nothing varies, for too many trials, and where optuna is missing."""
    check_values(values)
    check_count(trials)
    needs("--optuna", "sweep", "optuna")


def ends(values: Values) -> list[dict[str, str]]:
    """Combinations that have every value, and both ends of every range: what has to be refused is refused by them."""
    each = {key: _ends(some) for key, some in values.items()}
    most = max(map(len, each.values()))
    return [{key: some[min(place, len(some) - 1)] for key, some in each.items()} for place in range(most)]


def _ends(some: Sequence[str]) -> list[str]:
    found = range_of(some[0])
    return list(some) if found is None else [_text(found, found.low), _text(found, found.high)]


def next_of(values: Values, tried: Sequence[Tried], seed: int) -> dict[str, str] | None:
    """Settings that were not tried, None where there are no more. The same for the same seed and the same trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {key: _distribution(some) for key, some in values.items()}
    done = {tuple(each.settings[key] for key in values) for each in tried}
    if len(done) >= _size(values):
        return None
    for attempt in range(ATTEMPTS):
        of = (seed * 1_000_003 + len(tried)) * ATTEMPTS + attempt
        study = _study(optuna, distributions, values, tried, of % 2**32, attempt >= BY_CHANCE)
        found = study.ask(distributions).params
        settings = {key: _text(range_of(some[0]), found[key]) for key, some in values.items()}
        if tuple(settings.values()) not in done:
            return settings
    return None


def _size(values: Values) -> float:
    """How many combinations there are."""
    return math.prod(math.inf if range_of(some[0]) else len(some) for some in values.values())


def _distribution(some: Sequence[str]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found = range_of(some[0])
    if found is None:
        return CategoricalDistribution(some)
    if found.whole:
        return IntDistribution(int(found.low), int(found.high), log=found.logarithmic)
    return FloatDistribution(found.low, found.high, log=found.logarithmic)


def _text(of: Range | None, value: Any) -> str:
    """As it is set, so that the same text is the same trial."""
    if of is None:
        return str(value)
    if of.whole:
        return str(int(value))
    return repr(min(max(float(f"{value:.{DIGITS}g}"), of.low), of.high))


def _study(
    optuna: Any, distributions: Mapping[str, Any], values: Values, tried: Sequence[Tried], seed: int, by_chance: bool
) -> Any:
    """What was tried, as Optuna keeps it; those that are trained now count as bad, so that others are chosen."""
    samplers = optuna.samplers
    sampler = (
        samplers.RandomSampler(seed)
        if by_chance
        else samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, constant_liar=True)
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    states = optuna.trial.TrialState
    for each in tried:
        params = {key: _value(range_of(some[0]), each.settings[key]) for key, some in values.items()}
        failed = each.value is not None and math.isnan(each.value)
        state = states.RUNNING if each.value is None else states.FAIL if failed else states.COMPLETE
        value = each.value if state == states.COMPLETE else None
        about = {"params": params, "distributions": dict(distributions), "state": state, "value": value}
        study.add_trial(optuna.trial.create_trial(**about))
    return study


def _value(of: Range | None, text: str) -> str | int | float:
    if of is None:
        return text
    return int(text) if of.whole else float(text)


def refuse_both(random: int | None, search: int | None) -> None:
    """Raises InputError where trials are to be drawn and chosen."""
    if random is not None and search is not None:
        raise InputError("--random draws its trials, --optuna chooses them", hint="give one of them")
