"""The synthetic shop in Kaggle's layout of the H&M data: three CSV files as `prepare --source hm` reads them."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from spfedrec_cli.data.raw import Progress, Request
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources import synthetic_tables as tables
from spfedrec_cli.data.sources.synthetic import Shop, make_shop

TRANSACTIONS = "transactions_train.csv"
WRITING = f"writing {TRANSACTIONS}"
_COLUMNS = ("t_dat", "customer_id", "article_id", "price", "sales_channel_id")
_SLICE = 1 << 18
_PLAIN = pacsv.WriteOptions(include_header=False, quoting_style="none")


def write_csv(request: Request, folder: Path) -> int:
    """Writes transactions_train.csv, articles.csv and customers.csv into `folder`; returns the number of transactions.

    Transactions are sorted by day, then customer; those of one customer and day keep the order in which they were
    made, so that the Dataset prepared from the files is the one that the source makes itself.
    """
    shop = make_shop(request)
    _write_table(tables.articles(shop.seed, shop.world), folder / "articles.csv")
    customers = tables.customers(shop.seed, shop.customer_ids)
    codes = tables.postal_codes(shop.seed, len(customers))
    _write_table(customers.append_column("postal_code", codes), folder / "customers.csv")
    _write_transactions(shop, request, folder / TRANSACTIONS)
    return len(shop.sold.day)


def _write_table(table: pa.Table, path: Path) -> None:
    with open(path, "wb") as file:
        file.write((",".join(table.column_names) + "\n").encode())
        pacsv.write_csv(table, file, _PLAIN)


def _write_transactions(shop: Shop, request: Request, path: Path) -> None:
    order = np.argsort((shop.sold.day - facts.FIRST_DAY).astype(np.int16), kind="stable").astype(np.int32)
    texts = _Texts(shop)
    with open(path, "wb") as file:
        file.write((",".join(_COLUMNS) + "\n").encode())
        for start in range(0, len(order), _SLICE):
            rows = order[start : start + _SLICE]
            pacsv.write_csv(texts.table(rows), file, _PLAIN)
            done = start + len(rows)
            request.tell(Progress(WRITING, done, len(order), done, "rows"))


class _Texts:
    """Each distinct date and price is written once, and then taken by its number."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._dates = pa.array([_date(facts.FIRST_DAY + day) for day in range(facts.DAYS)])
        self._cents = np.unique(shop.cents)
        self._prices = pa.array([repr(cents / facts.CENTS_A_UNIT) for cents in self._cents.tolist()])

    def table(self, rows: npt.NDArray[np.integer]) -> pa.Table:
        """Some transactions, as text."""
        shop, sold = self._shop, self._shop.sold
        price = np.searchsorted(self._cents, shop.paid(rows))
        columns = (
            self._dates.take(pa.array(sold.day[rows] - facts.FIRST_DAY)),
            shop.customer_ids.take(pa.array(sold.client[rows])),
            shop.article_ids.take(pa.array(sold.item[rows])),
            self._prices.take(pa.array(price)),
            pa.array(sold.channel[rows]),
        )
        return pa.Table.from_arrays([*columns], names=list(_COLUMNS))


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
