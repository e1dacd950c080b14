"""How much memory a training takes, reckoned from the counts of its Dataset and its settings before it is loaded.

What is reckoned are the large arrays of each process, beside a floor for the interpreter and its libraries; tests hold
it to what trainings of several shapes really took. Refusing beats being killed half-way.
"""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.own_lists import weeks_known
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.cohort import largest_cohort
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.simulation.compiled import COORDINATES
from spfedrec_cli.federated.simulation.labelled import REMEMBERED
from spfedrec_cli.federated.simulation.memory import MEMORY
from spfedrec_cli.model.towers import Sizes, item_sizes, query_sizes
from spfedrec_cli.retrieval.index import BLOCK_BYTES
from spfedrec_cli.second_stage.features import FEATURES

_FLOOR = 340 << 20  # of one process: Python, torch, pyarrow and a small Dataset
_TEMPORARIES = 8  # arrays as large as the scores of a block of clients, while they are ranked
_GRAPH = 3  # an activation of the item tower, its gradient, and what is between


@dataclass(frozen=True)
class Shape:
    """What the memory depends on beside the settings."""

    clients: int
    items: int
    purchases: int  # rows, of all splits
    item_fields: tuple[tuple[str, int], ...]
    client_fields: tuple[tuple[str, int], ...]
    last_week: int = 0  # purchases of the test week; 0 where there are no weeks


def shape_of(dataset: Dataset) -> Shape:
    counts = dataset.manifest.counts
    both = dataset.item_fields, dataset.client_fields
    items, clients = (tuple((field.name, field.cardinality) for field in fields) for fields in both)
    last_week = 0 if dataset.manifest.split.end is None else counts.test
    return Shape(counts.clients, counts.items, counts.rows, items, clients, last_week)


def reckon(shape: Shape, config: Config) -> dict[str, int]:
    """Bytes by what they are for, over all processes of this machine."""
    shape = shape if config.model.item_fields else replace(shape, item_fields=())
    query, item = _towers(shape, config)
    size, dim = config.train.workers, config.model.dim
    cohort = min(largest_cohort(config.federated, shape.clients), shape.clients)
    bought = shape.purchases / max(1, shape.clients)
    mode = mode_of(config.request)
    asked = cohort * bought * (1 + config.request.rate if mode.asks else 1)
    rows = min(shape.items, asked + _public(shape, config))
    codes = shape.items * (1 + len(shape.item_fields)) + shape.clients * len(shape.client_fields)
    kept = {"none": 0, "embedding": dim, "tower": query.weights}[config.client.private_state]
    return {
        "the processes themselves": size * _FLOOR,
        "purchases": size * (12 * shape.purchases + 16 * shape.clients),
        "fields of items and clients": size * 8 * codes,
        "towers with their moments": size * 3 * 4 * (query.weights + item.weights),
        "private state": 4 * shape.clients * kept * (2 if size > 1 else 1),
        "obfuscating items": int(12 * min(MEMORY * size, shape.purchases * config.request.rate * mode.asks)),
        "the catalogue in eight bits": size * shape.items * (6 * dim if mode.keeps else 0),
        "a round's requests": int(60 * asked),
        "a round of the item tower": int(4 * rows * (_GRAPH * item.held + 4 * dim * size)),
        "local training": size * config.train.threads_here * _upload(shape, config, rows, query.weights),
        "validation": _TEMPORARIES * min(BLOCK_BYTES, 4 * shape.clients * shape.items),
        "the second stage": _second_stage(shape, config),
    }


def _second_stage(shape: Shape, config: Config) -> int:
    """Weekly sums with what follows of them, purchases with their days, and features: those that are kept, and a
    cohort's while they are made. A device has a list for each label week in which it buys: for no more of them than it
    has purchases in a week."""
    second, bought = config.second_stage, shape.purchases / max(1, shape.clients)
    if not second.rounds:
        return 0
    columns = len(FEATURES) + len(shape.item_fields)
    lists = min(second.label_weeks, bought)
    if shape.last_week:
        lists = second.label_weeks * min(1.0, shape.last_week / shape.clients)
    a_client = 4 * columns * lists * (bought + min(second.popular, shape.items))
    public = 8 * shape.items * (4 * (weeks_known(config) + 1) + 3 * second.label_weeks)
    making = 2 * a_client * min(second.cohort_size, shape.clients)
    kept = min(4 * REMEMBERED, a_client * min(shape.clients, second.rounds * second.cohort_size))
    return int(config.train.workers * (public + 24 * shape.purchases + making + kept))


def _upload(shape: Shape, config: Config, rows: float, query: int) -> int:
    """Where a thread adds uploads up; or those that stand beside each other, where they are not added before they are
    masked."""
    pool, dim = _public(shape, config), config.model.dim
    own = 4 * (query + (rows + pool) * dim)
    return int(own if AGGREGATIONS[config.federated.aggregation].adds_at_once else 8 * COORDINATES + 3 * own)


def _public(shape: Shape, config: Config) -> int:
    """Rows that everybody is told: the slate, or the pool of training negatives."""
    mode = mode_of(config.request)
    if not mode.asks:
        return mode.size(config.request, shape.items)
    return min(shape.items, config.client.pool_size) if config.client.uses_pool else 0


def check_memory(shape: Shape, config: Config, available: int | None) -> None:
    """Raises InputError, with a setting that would fit, where a training takes more than there is."""
    if available is None or sum(reckon(shape, config).values()) <= available:
        return
    parts = reckon(shape, config)
    largest = max(parts, key=lambda name: parts[name])
    fitting = next((told for told, other in _smaller(config) if sum(reckon(shape, other).values()) <= available), None)
    raise InputError(
        f"This training would take about {_gib(sum(parts.values()))} of memory, of {_gib(available)} that are free; "
        f"{_gib(parts[largest])} of it for {largest}",
        hint=f"{fitting} would fit" if fitting else "prepare fewer customers, or use a machine with more memory",
    )


def _smaller(config: Config) -> Iterator[tuple[str, Config]]:
    """Settings that take less, the mildest first, as they would be typed."""
    for workers in range(config.train.workers - 1, 0, -1):
        yield f"--workers {workers}", _with(config, "train", workers=workers)
    if config.second_stage.label_weeks > 1 and config.second_stage.rounds:
        weeks = config.second_stage.label_weeks // 2
        yield f"--set second_stage.label_weeks={weeks}", _with(config, "second_stage", label_weeks=weeks)
    one = _with(config, "train", workers=1)
    size = config.federated.cohort_size
    while size > 1:
        size //= 2
        told = "" if config.train.workers == 1 else "--workers 1 "
        yield f"{told}--set federated.cohort_size={size}", _with(one, "federated", cohort_size=size)
    for kind in ("embedding", "none"):
        if config.client.private_state != "none":
            yield f"--set client.private_state={kind}", _with(one, "client", private_state=kind)


def _with(config: Config, section: str, **values: object) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=values)})


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _towers(shape: Shape, config: Config) -> tuple[Sizes, Sizes]:
    """The query tower and the item tower."""
    items = [shape.items, *(size for _, size in shape.item_fields)]
    return query_sizes(config.model, [size for _, size in shape.client_fields]), item_sizes(config.model, items)


def free_memory() -> int | None:
    """Bytes that this process could still have: the smaller of what the machine and its container allow; None where
    neither says."""
    found = [size for size in (_of_machine(), _of_container()) if size is not None]
    return min(found) if found else None


def resident_memory() -> int:
    """Bytes that this process holds now; where the system does not say, the most that it ever held."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return peak_memory()


def peak_memory() -> int:
    """Bytes of the largest resident set of this process. (macOS counts in bytes, Linux in units of 1,024.)"""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _of_machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_container() -> int | None:
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if not limit or not used or limit[0] == "max":
        return None
    return int(limit[0]) - int(used[0])


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
