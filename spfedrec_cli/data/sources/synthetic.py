"""A made-up shop with planted tastes, after the facts of the H&M data; data/oracle.py states the probabilities.

Sizes follow the real data: purchases per customer are log-normal with median 9 and mean 23, an article of popularity
rank r sells in proportion to 1 / r times a yearly season of its own, and the 104 weeks end on 2020-09-22. One thing is
not like the real data: volume grows by a factor e every 20 weeks, so that two customers in five buy in the last
week and a small data set has enough test clients. (In the real data 5 % do.) Prices are unknown.
"""

import hashlib
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.fields import AGE_BUCKETS
from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.data.raw import Attributes, Oracle, Raw, Request, no_prices
from spfedrec_cli.data.schema import COLOUR, NAME, TYPE, OracleEntry
from spfedrec_cli.errors import InputError
from spfedrec_cli.rng import uniform

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

CUSTOMERS, ITEMS = 2000, 1000
FEWEST_ITEMS = 20
_CLUSTERS, _ITEMS_A_CLUSTER, _CLUSTERS_A_SECTION = 50, 10, 5
_PURITY, _REPEAT, _ZIPF, _SEASON = 0.8, 0.05, 1.0, 0.5
_WEEKS, _GROWTH = 104, 20
_FIRST_DAY = date(2020, 9, 22).toordinal() - date(1970, 1, 1).toordinal() - 7 * _WEEKS + 1
_MEDIAN, _SIGMA, _MOST = 9.0, 1.37, 1895
_FIDELITY = 0.95
_COLOURS = ("Beige", "Black", "Blue", "Brown", "Green", "Grey", "Orange", "Pink", "Red", "White")
_STATUS = ("ACTIVE", "PRE-CREATE", "LEFT CLUB")


def read(request: Request) -> Raw:
    """`request.customers` customers buying from `request.items` articles, the same for the same seed."""
    n_customers = CUSTOMERS if request.customers is None else request.customers
    n_items = ITEMS if request.items is None else request.items
    if n_customers < 1 or n_items < FEWEST_ITEMS:
        hint = f"give at least 1 customer and {FEWEST_ITEMS} items"
        raise InputError(f"{n_customers} customers and {n_items} items are too few to make up a shop", hint=hint)
    seed = request.seed
    world = make_world(seed, n_items)
    client, day, item = make_purchases(seed, world, tastes(seed, world, n_customers))
    customers, articles = _customer_ids(seed, n_customers), _article_ids(n_items)
    return Raw(
        client=pa.DictionaryArray.from_arrays(pa.array(client), customers),
        item=pa.DictionaryArray.from_arrays(pa.array(item), articles),
        time=day,
        price=no_prices(len(day)),
        items=_article_attributes(seed, articles, world),
        clients=_customer_attributes(seed, customers),
        oracle=Oracle(world.entry, world.to_table()),
    )


def make_world(seed: int, n_items: int) -> World:
    """Articles with clusters of equal size and popularity ranks at random."""
    items = np.arange(n_items)
    entry = OracleEntry(
        clusters=min(_CLUSTERS, n_items // _ITEMS_A_CLUSTER),
        purity=_PURITY,
        repeat=_REPEAT,
        zipf=_ZIPF,
        season=_SEASON,
        first_day=_FIRST_DAY,
        weeks=_WEEKS,
    )
    rank = _permutation(uniform(seed, "synthetic/rank", items))
    cluster = _permutation(uniform(seed, "synthetic/cluster", items)) % entry.clusters
    phase = uniform(seed, "synthetic/phase", items)
    return World(entry, cluster.astype(np.int32), np.asarray((rank + 1.0) ** -_ZIPF), phase)


def tastes(seed: int, world: World, n_customers: int) -> I32:
    """The cluster of each customer."""
    drawn = uniform(seed, "synthetic/taste", np.arange(n_customers))
    return (drawn * world.entry.clusters).astype(np.int32)


def make_purchases(seed: int, world: World, taste: I32) -> tuple[I32, I32, I32]:
    """Client, day and item of every purchase, sorted by (day, client): the order of a file of transactions."""
    each = _sizes(seed, len(taste))
    client, nth = each.row_index(), each.position()

    def draw(stream: str) -> F64:
        return uniform(seed, f"synthetic/{stream}", client, 0, nth)

    day = _days(draw("week"), draw("day"))
    day = day[np.lexsort((day, client))]
    item = _fresh_items(world, taste[client], world.week(day), draw("own"), draw("item"))
    item = item[_origins(client, day, draw("repeat") < world.entry.repeat, draw("earlier"))]
    order = np.lexsort((nth, client, day))
    return client[order].astype(np.int32), day[order], item[order]


def _sizes(seed: int, n_customers: int) -> Ragged:
    """Rows as long as each customer has purchases (log-normal, by Box and Muller), their values all 0."""
    customers = np.arange(n_customers)
    radius = np.sqrt(-2 * np.log(uniform(seed, "synthetic/size", customers, 0, 0)))
    normal = radius * np.cos(2 * np.pi * uniform(seed, "synthetic/size", customers, 0, 1))
    sizes = np.clip(np.rint(_MEDIAN * np.exp(_SIGMA * normal)), 1, _MOST)
    return Ragged.from_lengths(sizes.astype(np.int64), np.zeros(int(sizes.sum()), np.int32))


def _days(week_draw: F64, day_draw: F64) -> I32:
    volume = np.cumsum(np.exp(np.arange(_WEEKS) / _GROWTH))
    week = np.searchsorted(volume, week_draw * volume[-1], side="right")
    return np.asarray(_FIRST_DAY + 7 * week + (7 * day_draw).astype(np.int64), np.int32)


def _fresh_items(world: World, taste: I32, week: I64, own_draw: F64, item_draw: F64) -> I32:
    """One item for each purchase from p(i | c, w), by inversion of its distribution, a week at a time."""
    by_cluster = np.argsort(world.cluster, kind="stable").astype(np.int32)
    ends = np.cumsum(np.bincount(world.cluster, minlength=world.entry.clusters))
    own = own_draw < world.entry.purity
    items = np.empty(len(week), np.int32)
    for one in np.unique(week):
        rows = np.flatnonzero(week == one)
        mass = np.append(0.0, np.cumsum(world.demand(int(one))[by_cluster]))
        cuts = np.append(0.0, mass[ends])
        low = np.where(own[rows], cuts[taste[rows]], 0.0)
        high = np.where(own[rows], cuts[taste[rows] + 1], mass[-1])
        place = np.searchsorted(mass, low + item_draw[rows] * (high - low), side="right") - 1
        items[rows] = by_cluster[np.minimum(place, len(by_cluster) - 1)]
    return items


def _origins(client: I64, day: I32, repeats: npt.NDArray[np.bool_], earlier_draw: F64) -> I64:
    """For each purchase (sorted by client and day) the fresh purchase that it is, or copies in the end."""
    place = np.arange(len(client))
    start = np.searchsorted(client, client)
    span = int(day.max()) + 1
    moment = client * span + day
    earlier = np.searchsorted(moment, moment) - start
    copies = repeats & (earlier > 0)
    origin = np.where(copies, start + (earlier_draw * earlier).astype(np.int64), place)
    while (origin[origin] != origin).any():
        origin = origin[origin]
    return origin


def _permutation(keys: F64) -> I64:
    return np.argsort(np.argsort(keys, kind="stable"), kind="stable")


def _article_ids(n: int) -> pa.Array:
    return pa.array([f"{number:010d}" for number in range(1, n + 1)])


def _customer_ids(seed: int, n: int) -> pa.Array:
    """Ids that look like the real ones, ascending, so that a customer's dense number is its place here."""
    return pa.array(sorted(hashlib.sha256(f"{seed}/{number}".encode()).hexdigest() for number in range(n)))


def _article_attributes(seed: int, ids: pa.Array, world: World) -> Attributes:
    """product_type names the cluster in 95 % of articles (else any), section its group; colour means nothing."""
    items = np.arange(len(ids))
    faithful = uniform(seed, "synthetic/faithful", items) < _FIDELITY
    other = (uniform(seed, "synthetic/other", items) * world.entry.clusters).astype(np.int64)
    kinds = [f"Type {kind:02d}" for kind in np.where(faithful, world.cluster, other)]
    sections = [f"Section {group:02d}" for group in world.cluster // _CLUSTERS_A_SECTION]
    colours = _noise(seed, "colour", _COLOURS, len(ids))
    names = [
        f"{colour} {kind}, no. {number}" for number, (colour, kind) in enumerate(zip(colours, kinds, strict=True), 1)
    ]
    kind_array, colour_array = pa.array(kinds), pa.array(colours)
    return Attributes(
        ids,
        display={NAME: pa.array(names), TYPE: kind_array, COLOUR: colour_array},
        fields={"product_type": kind_array, "section": pa.array(sections), "colour": colour_array},
    )


def _customer_attributes(seed: int, ids: pa.Array) -> Attributes:
    ages = pa.array(_noise(seed, "age", AGE_BUCKETS, len(ids)))
    status = pa.array(_noise(seed, "status", _STATUS, len(ids)))
    return Attributes(ids, fields={"age_bucket": ages, "club_status": status})


def _noise(seed: int, stream: str, values: tuple[str, ...], n: int) -> list[str]:
    drawn = (uniform(seed, f"synthetic/{stream}", np.arange(n)) * len(values)).astype(np.int64)
    return [values[number] for number in drawn]
