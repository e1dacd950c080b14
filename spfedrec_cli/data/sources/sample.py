"""The 138 purchases of 5 H&M customers that ship with the package: no dates, no features, order is time."""

from importlib import resources
from pathlib import Path

import numpy as np

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Raw, Request, no_attributes, no_prices
from spfedrec_cli.data.sources import columns
from spfedrec_cli.errors import InputError

_CHECKOUT = Path(__file__).parents[3] / "datasets" / "hm-sample" / "transactions.csv"


def read(request: Request) -> Raw:
    """The sample. Raises InputError where the package was installed without it."""
    packaged = resources.files(__package__).joinpath("hm_sample.csv")
    if packaged.is_file():
        with resources.as_file(packaged) as path:
            return read_file(path)
    if _CHECKOUT.is_file():
        return read_file(_CHECKOUT)
    raise InputError("The sample is not installed", where=str(packaged), hint="install spfedrec again")


def read_file(path: Path) -> Raw:
    """Columns customer_id and article_id in the order of purchase."""
    table = columns.read(path, ("customer_id", "article_id"))
    return Raw(
        client=table.ids("customer_id", FORMS["customer"]),
        item=table.ids("article_id", FORMS["article"]),
        time=np.arange(len(table), dtype=np.int32),
        price=no_prices(len(table)),
        items=no_attributes(),
        clients=no_attributes(),
    )
