"""Which items may be recommended: by their fields, and by when they were last sold."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import I32, Bool
from spfedrec_cli.engine.load import load_dataset
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.retrieval.task import UNITS_PER_DAY
from spfedrec_cli.run import find

Where = Mapping[str, Sequence[str]]
EVERYTHING = ("train", "validation", "test")  # a customer is served with all that was bought up to now
SHOWN = 8  # values named in a hint


def conditions(folder: Path | str, words: Sequence[str], dataset: Path | str | None = None) -> dict[str, list[str]]:
    """`parsed`, for the Dataset of a run."""
    return parsed(words, load_dataset(find(folder), dataset))


def parsed(words: Sequence[str], dataset: Dataset) -> dict[str, list[str]]:
    """`field=value` as the command line has it. A value that an item has is that value, another is split at its commas.

    Raises InputError where there is no = or no value.
    """
    found: dict[str, list[str]] = {}
    for word in words:
        name, given, value = word.partition("=")
        if not given or not name.strip() or not value.strip():
            raise InputError(f"{word!r} is no condition", hint="write field=value, for example colour=Black")
        check_field(dataset, name.strip())
        every = [value] if _holds(dataset, name.strip(), value) else [part.strip() for part in value.split(",")]
        found.setdefault(name.strip(), []).extend(every)
    return found


def kept_items(dataset: Dataset, where: Where | None = None, active_days: int | None = None) -> I32 | None:
    """Items that have one of the values in every field of `where`, and were sold in the last `active_days` days of the
    Dataset, ascending; None where all may be recommended.

    A field is one of the Dataset's, or name, type or colour as they are shown. Raises InputError for a field or a value
    that no item has, where the Dataset has no days, and where nothing is left.
    """
    if not where and active_days is None:
        return None
    kept = np.ones(dataset.n_items, np.bool_)
    for name, values in (where or {}).items():
        kept &= np.any([_having(dataset, name, value) for value in values], axis=0)
    if active_days is not None:
        kept &= _active(dataset, active_days)
    if not kept.any():
        raise InputError("No item is left to recommend", where=_worded(where, active_days), hint="ask for less at once")
    return np.flatnonzero(kept).astype(np.int32)


def _worded(where: Where | None, active_days: int | None) -> str:
    told = [f"{name}={' or '.join(values)}" for name, values in (where or {}).items()]
    return ", ".join([*told, *([f"sold in the last {active_days:,} days"] if active_days is not None else [])])


def _holds(dataset: Dataset, name: str, value: str) -> bool:
    try:
        return bool(_having(dataset, name, value).any())
    except InputError:
        return False


def _having(dataset: Dataset, name: str, value: str) -> Bool:
    """(n_items,): which items have the value, in the field or among what is shown under that name."""
    check_field(dataset, name)
    fields = {entry.name: place for place, entry in enumerate(dataset.manifest.item_fields)}
    shown = dataset.labels.column_names
    found = np.zeros(dataset.n_items, np.bool_)
    vocabulary = dataset.manifest.item_fields[fields[name]].vocabulary if name in fields else ()
    if value in vocabulary:
        found |= dataset.item_codes[:, fields[name]] == vocabulary.index(value) + 1
    if name in shown:
        import pyarrow.compute as pc  # .3 s, which lists without a filter need not spend

        found |= np.asarray(pc.fill_null(pc.equal(dataset.labels.column(name), value), False).to_numpy())
    if not found.any():
        raise _no_value(dataset, name, value, vocabulary)
    return found


def check_field(dataset: Dataset, name: str) -> None:
    """Raises InputError where items neither have nor show it."""
    known = sorted({*(entry.name for entry in dataset.manifest.item_fields), *dataset.labels.column_names})
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"choose one of {', '.join(known)}" if known else "leave it out"
        raise InputError(f"Items have no field {name!r}", hint=hint)


def _no_value(dataset: Dataset, name: str, value: str, vocabulary: Sequence[str]) -> InputError:
    import pyarrow.compute as pc

    shown = (
        pc.unique(dataset.labels.column(name)).drop_null().to_pylist() if name in dataset.labels.column_names else []
    )
    known = [*sorted(shown), *vocabulary]  # words before codes
    near = nearest(value, known)
    some = ", ".join(known[:SHOWN]) + (" …" if len(known) > SHOWN else "")
    hint = f"did you mean {near}?" if near else f"there are {some}"
    return InputError(f"No item has {name} {value!r}", hint=hint)


def _active(dataset: Dataset, days: int) -> Bool:
    """(n_items,): sold in the last `days` days of all that is known."""
    unit = UNITS_PER_DAY.get(dataset.manifest.time_unit)
    if unit is None:
        raise InputError("The Dataset has no days, so that nothing is known of its last ones", hint="leave them out")
    times = {split: dataset.column(split, schema.TIME) for split in EVERYTHING}
    last = max(int(time.max()) for time in times.values() if len(time))
    found = np.zeros(dataset.n_items, np.bool_)
    for split, time in times.items():
        found[dataset.column(split, schema.ITEM)[time > last - days * unit]] = True
    return found
