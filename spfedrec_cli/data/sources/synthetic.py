"""A made-up shop with planted tastes and the statistics of the H&M data; docs/synthetic.md compares the two.

data/oracle.py states the probabilities with which articles are bought, and derives the best possible recommender.
synthetic_facts holds what is imitated, synthetic_world the articles, synthetic_customers who buys when,
synthetic_purchases what is bought, synthetic_tables the attributes. synthetic_csv writes the shop in H&M's layout.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.fields import age_buckets
from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.raw import Attributes, Oracle, Raw, Request
from spfedrec_cli.data.sources import hm
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources import synthetic_tables as tables
from spfedrec_cli.data.sources.synthetic_purchases import Sold, make_purchases
from spfedrec_cli.data.sources.synthetic_world import cents, make_world
from spfedrec_cli.dtypes import F32, I16
from spfedrec_cli.errors import InputError

CUSTOMERS, ITEMS = 2000, 1000
FEWEST_ITEMS = 20
_SLICE = 1 << 20


@dataclass(frozen=True)
class Shop:
    """All that was made: `cents` is (n_items, weeks), both ids are in the order of their numbers in `sold`."""

    seed: int
    world: World
    customer_ids: pa.Array
    article_ids: pa.Array
    cents: I16
    sold: Sold

    def paid(self, rows: slice | npt.NDArray[np.integer]) -> I16:
        """The price of some purchases in hundredths, of which H&M's price holds 59,000."""
        return self.cents[self.sold.item[rows], self.world.week(self.sold.day[rows])]


def make_shop(request: Request) -> Shop:
    """`request.customers` customers buying from `request.items` articles, the same for the same seed."""
    n_customers = CUSTOMERS if request.customers is None else request.customers
    n_items = ITEMS if request.items is None else request.items
    if n_customers < 1 or n_items < FEWEST_ITEMS:
        hint = f"give at least 1 customer and {FEWEST_ITEMS} items"
        raise InputError(f"{n_customers} customers and {n_items} items are too few to make up a shop", hint=hint)
    seed = request.seed
    world = make_world(seed, n_items)
    return Shop(
        seed,
        world,
        tables.customer_ids(seed, n_customers),
        tables.article_ids(seed, n_items),
        cents(seed, n_items),
        make_purchases(seed, world, n_customers, tell=request.tell),
    )


def read(request: Request) -> Raw:
    """The shop as if it had been read from the files that synthetic_csv writes, and the oracle."""
    shop = make_shop(request)
    sold = shop.sold
    return Raw(
        client=pa.DictionaryArray.from_arrays(pa.array(sold.client), shop.customer_ids),
        item=pa.DictionaryArray.from_arrays(pa.array(sold.item), shop.article_ids),
        time=sold.day,
        price=_prices(shop),
        channel=sold.channel,
        items=_article_attributes(tables.articles(shop.seed, shop.world)),
        clients=_customer_attributes(tables.customers(shop.seed, shop.customer_ids)),
        oracle=Oracle(shop.world.entry, shop.world.to_table()),
    )


def _prices(shop: Shop) -> F32:
    price = np.empty(len(shop.sold.day), np.float32)
    for start in range(0, len(price), _SLICE):
        rows = slice(start, start + _SLICE)
        price[rows] = shop.paid(rows) / facts.CENTS_A_UNIT
    return price


def _article_attributes(table: pa.Table) -> Attributes:
    """The columns that `hm` takes from articles.csv."""
    return Attributes(
        _column(table, "article_id"),
        {name: _column(table, column) for name, column in hm.ITEM_DISPLAY.items()},
        {name: _column(table, column) for name, column in hm.ITEM_FIELDS.items()},
    )


def _customer_attributes(table: pa.Table) -> Attributes:
    """The columns that `hm` takes from customers.csv."""
    fields = {name: _column(table, column).dictionary_encode() for name, column in hm.CUSTOMER_FIELDS.items()}
    fields[hm.AGE] = age_buckets(fields[hm.AGE])
    return Attributes(_column(table, "customer_id"), fields=fields)


def _column(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()
