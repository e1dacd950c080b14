"""The 138 purchases of 5 H&M customers that ship with the package: no dates, no features, order is time."""

from importlib import resources
from pathlib import Path

import numpy as np

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import ids
from spfedrec_cli.data.reading.scan import Wanted, scan
from spfedrec_cli.errors import InputError

_CHECKOUT = Path(__file__).parents[3] / "datasets" / "hm-sample" / "transactions.csv"
_COLUMNS = {"client": ("customer_id", ids(FORMS["customer"])), "item": ("article_id", ids(FORMS["article"]))}


def read(request: Request) -> Raw:
    """The sample. Raises InputError where the package was installed without it."""
    packaged = resources.files(__package__).joinpath("hm_sample.csv")
    if packaged.is_file():
        with resources.as_file(packaged) as path:
            return read_file(path, request)
    if _CHECKOUT.is_file():
        return read_file(_CHECKOUT, request)
    raise InputError("The sample is not installed", where=str(packaged), hint="install spfedrec again")


def read_file(path: Path, request: Request) -> Raw:
    """Columns customer_id and article_id in the order of purchase."""
    table = scan(RawFile(path), Wanted(_COLUMNS), request)
    return Raw(
        client=table.texts("client"),
        item=table.texts("item"),
        time=np.arange(table.rows, dtype=np.int32),
        price=no_prices(table.rows),
        items=no_attributes(),
        clients=no_attributes(),
    )
