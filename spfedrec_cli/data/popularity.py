"""Item popularity that the user gives as a file, where it need not be asked of the clients."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.ids import FORMS, dense
from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.reading.files import unpack
from spfedrec_cli.data.reading.kinds import COUNT, ids
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.scan import Wanted, scan
from spfedrec_cli.errors import InputError

ITEM, NUMBER = "item", "count"


@dataclass(frozen=True)
class Given:
    """`counts` (n_items,) in the order of the Dataset's items, 0 for those that the file does not name; how many items
    it `names` that the Dataset does not hold, and its SHA-256."""

    counts: npt.NDArray[np.int64]
    foreign: int
    sha256: str


def read_popularity(path: Path, dataset: Dataset) -> Given:
    """A CSV or Parquet file with the columns item (ids as in the source) and count (purchases, 0 or more).

    Raises InputError for a file that cannot be read, an item that comes twice, and counts that are all 0 or of other
    items.
    """
    if not path.is_file():
        state = "is not a file" if path.exists() else "does not exist"
        hint = "give a CSV or Parquet file with the columns item and count as request.popularity, or sum"
        raise InputError(f"The file of item popularity {state}", where=str(path), hint=hint)
    file, form = unpack(path), FORMS[dataset.manifest.item_form]
    columns = {ITEM: (ITEM, ids(form)), NUMBER: (NUMBER, COUNT)}
    table = scan(file, Wanted(columns), Request((path,), 0, rejects=Rejects(offered=False)))
    places = dense(table.texts(ITEM).dictionary_decode(), pa.array(dataset.item_ids, pa.string()))
    known = places >= 0
    counts = np.zeros(dataset.n_items, np.int64)
    _check_once(places[known], dataset, path)
    counts[places[known]] = np.asarray(table.columns[NUMBER])[known]
    if not counts.any():
        hint = "use the ids of the source that the Dataset was prepared from"
        raise InputError("The file counts no purchase of any item of the Dataset", where=str(path), hint=hint)
    return Given(counts, int(np.count_nonzero(~known)), hashlib.sha256(path.read_bytes()).hexdigest())


def _check_once(places: npt.NDArray[np.int32], dataset: Dataset, path: Path) -> None:
    found, times = np.unique(places, return_counts=True)
    if (times > 1).any():
        item = dataset.item_id(int(found[np.argmax(times > 1)]))
        raise InputError(f"The item {item} comes twice", where=str(path), hint="give each item one row")
