"""What a report shows of a model: a map of its items, and the lists of a few customers."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data import schema
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F64, I64
from spfedrec_cli.engine.evaluate import entries_of
from spfedrec_cli.engine.ranker import Opened, ranker
from spfedrec_cli.engine.record import ENTRY
from spfedrec_cli.engine.scoring import client_queries
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.report.drawing import fitting
from spfedrec_cli.report.facts import Customer, Map
from spfedrec_cli.report.numbers import counted, share
from spfedrec_cli.report.parts import FOUND, Entry
from spfedrec_cli.report.sections.quality import worded
from spfedrec_cli.retrieval.evaluate import history_splits
from spfedrec_cli.retrieval.index import EMPTY
from spfedrec_cli.retrieval.written import file_name, read_clients

MOST_POINTS = 1500
MOST_VALUES = 8  # of a field that are told apart
MANY_VALUES = 30  # a field of more is no choice for a map, unless it is asked for
LENGTH = 10  # of the lists shown
UNKNOWN = "unknown"
LONGEST_ID = 16


def check_field(dataset: Dataset, name: str | None) -> None:
    """Raises InputError where the Dataset's items have no such field."""
    known = [field.name for field in dataset.item_fields]
    if name is not None and name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near}?" if near else f"choose one of {', '.join(known)}" if known else "leave it out"
        raise InputError(f"Items have no field {name!r}", where=str(dataset.path), hint=hint)


def item_map(found: Opened, name: str | None = None) -> Map | None:
    """The items that sold most, in the two main directions of their embeddings, by the field `name`.

    Where none is named: by the one of up to MANY_VALUES values that tells most of the embeddings' variance, words
    before codes. None where items have no field of two values. Principal components: Pearson (1901), of the covariance.
    """
    sold = np.bincount(found.dataset.column("train", schema.ITEM), minlength=found.dataset.n_items)
    shown = np.sort(np.argsort(-sold, kind="stable")[:MOST_POINTS])
    vectors = found.items.numpy()[shown].astype(np.float64)
    fields = _values(found.dataset, shown)
    name = name or _telling(vectors, fields)
    if name is None or len(shown) < 3:
        return None
    centred = vectors - vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    told = variances[-2:].sum() / max(variances.sum(), np.finfo(np.float64).tiny)
    places = centred @ directions[:, [-1, -2]]
    values = fields[name]
    return Map(name, places, values.tolist(), float(told), found.dataset.n_items, _near(vectors, values))


def _values(dataset: Dataset, items: npt.NDArray[np.integer]) -> dict[str, npt.NDArray[np.str_]]:
    """By field the value of each of the items."""
    codes = dataset.item_codes[items]
    vocabularies = {each.name: np.array([UNKNOWN, *each.vocabulary]) for each in dataset.manifest.item_fields}
    return {name: words[codes[:, place]] for place, (name, words) in enumerate(vocabularies.items())}


def _telling(vectors: F64, fields: dict[str, npt.NDArray[np.str_]]) -> str | None:
    """The field whose values tell most of the variance: among those of few values, and of words, if there are any."""
    sizes = {name: len(np.unique(values)) for name, values in fields.items()}
    several = sorted((name for name in sizes if sizes[name] > 1), key=sizes.__getitem__)
    few = [name for name in several if sizes[name] <= MANY_VALUES] or several[:1]
    words = [name for name in few if any(map(str.isalpha, "".join(np.unique(fields[name]))))]
    return max(words or few, key=lambda name: _between(vectors, fields[name]), default=None)


def _between(vectors: F64, values: npt.NDArray[np.str_]) -> float:
    """The sum of squares between the groups."""
    _, of, sizes = np.unique(values, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, of, vectors)
    return float(((sums / sizes[:, None] - vectors.mean(axis=0)) ** 2 * sizes[:, None]).sum())


def _near(vectors: F64, values: npt.NDArray[np.str_]) -> dict[str, tuple[int, float, float]]:
    """Of the commonest values: how many items, and the mean cosine of two of them, and of one and another item."""
    names, counts = np.unique(values, return_counts=True)
    total = vectors.sum(axis=0)
    found = {}
    for place in np.argsort(-counts, kind="stable")[:MOST_VALUES]:
        own, n = vectors[values == names[place]].sum(axis=0), int(counts[place])
        among = (own @ own - n) / (n * (n - 1)) if n > 1 else float("nan")
        others = own @ (total - own) / (n * (len(vectors) - n)) if n < len(vectors) else float("nan")
        found[str(names[place])] = (n, float(among), float(others))
    return found


def customers(found: Opened, folder: Path, count: int) -> list[Customer]:
    """`count` customers of the test split who had bought something before, from well served to badly served."""
    entry = entries_of(folder).get(ENTRY)
    if not count or entry is None:
        return []
    clients, values = read_clients(folder / file_name("test", "full", "all"), entry)
    metric = min((name for name in values if name.startswith("ndcg@")), key=lambda name: int(name[5:]))
    bought = found.dataset.bought(*history_splits("test")).take(clients)
    known = np.flatnonzero(bought.lengths)
    rows = known[_chosen(values[metric][known], count)]
    return [
        _customer(
            found, int(clients[row]), f"{worded(metric)} {values[metric][row]:.2f}; {_better(values[metric], row)}"
        )
        for row in rows
    ]


def _chosen(values: F64, count: int) -> I64:
    """Places of clients, the best first. One who was served anything is among them, where there is one."""
    order = np.argsort(-values, kind="stable")
    if not len(order):
        return order
    places = order[np.unique((np.linspace(0.05, 0.95, count) * (len(order) - 1)).round().astype(np.int64))]
    served = int((values > 0).sum())
    if served and not values[places].any():
        places[0] = order[served // 2]
    return places


def _better(values: F64, row: int) -> str:
    return f"{share(float((values > values[row]).mean()))} of the customers were served better"


def _customer(found: Opened, client: int, why: str) -> Customer:
    data, one = found.dataset, np.array([client], np.int32)
    past = data.history_of(one, *history_splits("test"))
    queries = client_queries(found.world, found.state, one, past, found.items)
    ranked, _ = ranker(found, min(LENGTH, data.n_items), None).lists(queries, past)
    truth, before = set(data.bought("test").row(client).tolist()), set(past.values.tolist())
    recommended = [int(item) for item in ranked[0] if item != EMPTY]
    newest = past.row(0)[::-1][:LENGTH].tolist()
    return Customer(
        name=fitting(data.client_id(client), LONGEST_ID),
        why=f"{counted(len(truth), 'item')} bought in test; {why}",
        bought=_entries(data, newest, {}),
        recommended=_entries(data, recommended, {FOUND: truth, "bought before": before}),
    )


def _entries(dataset: Dataset, items: Sequence[int], marks: dict[str, Collection[int]]) -> list[Entry]:
    """A name, or an id where there is none, with type and colour."""
    entries = []
    for item, labels in zip(items, dataset.item_labels(items), strict=True):
        more = ", ".join(labels[key] for key in ("type", "colour") if key in labels)
        given = tuple(mark for mark, members in marks.items() if item in members)
        entries.append(Entry(labels.get("name", dataset.item_id(item)), more, given))
    return entries
