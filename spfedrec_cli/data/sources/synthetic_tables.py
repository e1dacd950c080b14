"""The articles and customers of the synthetic shop as the tables that H&M's files hold, columns in their order.

Attributes carry taste in two columns: the product type names the cluster in 95 % of articles, and the section its
group; what depends on these (product group, garment group, department, index) follows. All else is drawn apart.
"""

import hashlib

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spfedrec_cli.data.oracle import World
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.dtypes import I64
from spfedrec_cli.rng import distinct, uniform

_FIDELITY = 0.95
_FIRST_PRODUCT = 100_001
_COLOUR_SKEW, _APPEARANCE_SKEW = 1.0, 1.5
_COLOURS = ("Black", "Dark Blue", "White", "Light Pink", "Grey", "Light Beige", "Blue", "Red", "Dark Green", "Yellow")


def article_ids(seed: int, n: int) -> pa.Array:
    """Ascending ids of 10 digits: the product code and the article's number within the product."""
    product = _products(seed, n)
    nth = np.arange(n) - np.searchsorted(product, product) + 1
    return pa.array([f"{code + _FIRST_PRODUCT:07d}{number:03d}" for code, number in zip(product, nth, strict=True)])


def _products(seed: int, n: int) -> I64:
    """The product of each article, counted from 0, ascending."""
    starts = distinct(seed, "synthetic/product", n - 1, levels("product_code", n, facts.ARTICLES) - 1) + 1
    return np.searchsorted(starts, np.arange(n), side="right")


def levels(column: str, part: int, whole: int) -> int:
    """How many distinct values a column has where `part` of the `whole` is there."""
    return min(facts.LEVELS[column], max(1, round(facts.LEVELS[column] * part / whole)))


def articles(seed: int, world: World) -> pa.Table:
    """articles.csv: 25 columns of text, null where missing."""
    n, clusters = len(world.cluster), world.entry.clusters
    ids, numbers = article_ids(seed, n), np.arange(n)
    kind = _kinds(seed, world)
    section = _coarser(world.cluster, clusters, _few("section", clusters))
    index = _coarser(section, _few("section", clusters), _few("index", clusters))
    colour = _skewed(seed, "colour", n, facts.COLOURS, _COLOUR_SKEW)
    look = _skewed(seed, "appearance", n, facts.APPEARANCES, _APPEARANCE_SKEW)
    described = uniform(seed, "synthetic/described", numbers) >= facts.NO_DESCRIPTION
    value = _coarser(colour, facts.COLOURS, facts.COLOUR_VALUES)
    master = _coarser(colour, facts.COLOURS, facts.COLOUR_MASTERS)
    return pa.table(
        {
            "article_id": ids,
            "product_code": pa.array([text[:7] for text in ids.to_pylist()]),
            "prod_name": _names(kind, numbers),
            "product_type_no": _texts("{}", 101 + kind),
            "product_type_name": _texts("Type {:03d}", kind),
            "product_group_name": _texts("Group {:02d}", _coarser(kind, clusters, _few("product_group", clusters))),
            "graphical_appearance_no": _texts("{}", 1_010_001 + look),
            "graphical_appearance_name": _texts("Appearance {:02d}", look),
            "colour_group_code": _texts("{:02d}", colour + 1),
            "colour_group_name": _colour_names(colour),
            "perceived_colour_value_id": _texts("{}", value + 1),
            "perceived_colour_value_name": _texts("Value {}", value + 1),
            "perceived_colour_master_id": _texts("{}", master + 1),
            "perceived_colour_master_name": _texts("Master {:02d}", master + 1),
            **_places(seed, section, clusters),
            **_indices(index, clusters),
            "section_no": _texts("{}", section + 1),
            "section_name": _texts("Section {:02d}", section),
            **_garments(_coarser(kind, clusters, _few("garment_group", clusters))),
            "detail_desc": _descriptions(kind, described),
        }
    )


def _few(column: str, clusters: int) -> int:
    return levels(column, clusters, facts.LEVELS["product_type"])


def _kinds(seed: int, world: World) -> I64:
    """The product type of each article: its cluster, or in 5 % any."""
    items = np.arange(len(world.cluster))
    faithful = uniform(seed, "synthetic/faithful", items) < _FIDELITY
    other = (uniform(seed, "synthetic/other", items) * world.entry.clusters).astype(np.int64)
    return np.where(faithful, world.cluster, other)


def _coarser(codes: npt.NDArray[np.integer], n: int, fewer: int) -> I64:
    """Codes 0 to n - 1 to codes 0 to fewer - 1, neighbours together."""
    return codes.astype(np.int64) * min(fewer, n) // n


def _skewed(seed: int, stream: str, n: int, values: int, power: float) -> I64:
    """One of `values` codes for each article, the k-th in proportion to k^-power."""
    shares = facts.Shares(tuple((code, (code + 1) ** -power) for code in range(values)))
    return shares(uniform(seed, f"synthetic/{stream}", np.arange(n)))


def _places(seed: int, section: I64, clusters: int) -> dict[str, pa.Array]:
    """Departments: each section has its own."""
    sections, departments = _few("section", clusters), _few("department", clusters)
    start, end = section * departments // sections, (section + 1) * departments // sections
    draw = uniform(seed, "synthetic/department", np.arange(len(section)))
    department = start + (draw * (end - start)).astype(np.int64)
    return {
        "department_no": _texts("{}", 1001 + department),
        "department_name": _texts("Department {:03d}", department),
    }


def _indices(index: I64, clusters: int) -> dict[str, pa.Array]:
    group = _coarser(index, _few("index", clusters), _few("index_group", clusters))
    return {
        "index_code": pa.array([chr(ord("A") + code) for code in range(facts.LEVELS["index"])]).take(pa.array(index)),
        "index_name": _texts("Index {}", index),
        "index_group_no": _texts("{}", group + 1),
        "index_group_name": _texts("Index group {}", group + 1),
    }


def _garments(garment: I64) -> dict[str, pa.Array]:
    return {"garment_group_no": _texts("{}", 1001 + garment), "garment_group_name": _texts("Garments {:02d}", garment)}


def _texts(form: str, codes: I64) -> pa.Array:
    """Each code in the form; every distinct one is written once."""
    values, place = np.unique(codes, return_inverse=True)
    return pa.array([form.format(value) for value in values], pa.string()).take(pa.array(place))


def _colour_names(colour: I64) -> pa.Array:
    names = [*_COLOURS, *(f"Colour {code:02d}" for code in range(len(_COLOURS) + 1, facts.COLOURS + 1))]
    return pa.array(names).take(pa.array(colour))


def _names(kind: I64, numbers: I64) -> pa.Array:
    return pa.array([f"Type {one:03d} no. {number + 1}" for one, number in zip(kind, numbers, strict=True)])


def _descriptions(kind: I64, described: npt.NDArray[np.bool_]) -> pa.Array:
    texts = _texts("Made up for a simulation; of type {:03d}.", kind).to_pylist()
    return pa.array([text if told else None for text, told in zip(texts, described, strict=True)], pa.string())


def customer_ids(seed: int, n: int) -> pa.Array:
    """Ids that look like the real ones, ascending, so that a customer's dense number is its place here."""
    return pa.array(sorted(_hexadecimal(f"{seed}/{number}") for number in range(n)), pa.string())


def customers(seed: int, ids: pa.Array) -> pa.Table:
    """customers.csv without its last column, the postal code: text, null where missing."""
    return pa.table(
        {
            "customer_id": ids,
            "FN": _drawn(seed, "fn", len(ids), facts.FN),
            "Active": _drawn(seed, "active", len(ids), facts.ACTIVE),
            "club_member_status": _drawn(seed, "status", len(ids), facts.STATUSES),
            "fashion_news_frequency": _drawn(seed, "news", len(ids), facts.NEWS),
            "age": _ages(seed, len(ids)),
        }
    )


def postal_codes(seed: int, n: int) -> pa.Array:
    """One common to many customers, the others nearly each customer's own."""
    common, other = uniform(seed, "synthetic/postal", [[0], [1]], 0, np.arange(n))
    many = max(1, round(facts.POSTAL_CODES * n / facts.CUSTOMERS))
    code = np.where(common < facts.COMMON_POSTAL_CODE, 0, (other * many).astype(np.int64))
    return pa.array([_hexadecimal(f"{seed}/postal/{number}") for number in range(many)]).take(pa.array(code))


def _drawn(seed: int, stream: str, n: int, shares: facts.Shares) -> pa.Array:
    place = shares(uniform(seed, f"synthetic/{stream}", np.arange(n)))
    return pa.array(shares.values, pa.string()).take(pa.array(place))


def _ages(seed: int, n: int) -> pa.Array:
    numbers = np.arange(n)
    age = np.rint(facts.AGES(uniform(seed, "synthetic/age", numbers))).astype(np.int64)
    missing = uniform(seed, "synthetic/no-age", numbers) < facts.NO_AGE
    texts = pa.array([f"{years}.0" for years in range(int(age.max(initial=0)) + 1)])
    return texts.take(pa.array(age, mask=missing))


def _hexadecimal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
