"""The facts of the H&M data that the synthetic shop imitates, as quantile curves and shares.

Most are facts of the whole data set (31,788,324 purchases). What those leave open was fitted: the points between the
stated quantiles to the stated means and shares, prices and discounts to an extract of 25,000 purchases.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from spfedrec_cli.dtypes import F64, I64

CUSTOMERS, ARTICLES = 1_371_980, 105_542
DAYS = 734
LAST_DAY = date(2020, 9, 22).toordinal() - date(1970, 1, 1).toordinal()
FIRST_DAY = LAST_DAY - DAYS + 1


@dataclass(frozen=True)
class Curve:
    """A distribution by its quantiles: between two of them, log(value) is linear in -log(1 - probability)."""

    points: tuple[tuple[float, float], ...]

    def __call__(self, probability: F64) -> F64:
        """The quantiles of `probability` (in [0, 1)), in its shape."""
        places, values = np.array(self.points).T
        return np.asarray(np.exp(np.interp(-np.log1p(-probability), -np.log1p(-places), np.log(values))))


@dataclass(frozen=True)
class Shares:
    """Values with their shares, of any sum."""

    points: tuple[tuple[int | str | None, float], ...]

    @property
    def values(self) -> tuple[int | str | None, ...]:
        return tuple(value for value, _ in self.points)

    def __call__(self, draw: F64) -> I64:
        """The place of a value for each draw from (0, 1)."""
        ends = np.cumsum([share for _, share in self.points])
        return np.searchsorted(ends[:-1] / ends[-1], draw, side="right")


NEVER_BOUGHT = 1 - 1_362_281 / CUSTOMERS
MOST_PURCHASES = 1895
PURCHASES = Curve(
    (
        *((0, 0.55), (0.25, 3), (0.5, 9), (0.63, 15.6), (0.75, 26), (0.84, 43)),
        *((0.9, 60), (0.95, 93), (0.99, 187), (0.999, 520), (1 - 7.3e-7, MOST_PURCHASES)),
    )
)
SALES = Curve(
    (
        *((0, 1.5), (0.05, 3), (0.25, 18), (0.5, 65), (0.75, 320)),
        *((0.9, 793), (0.97, 1750), (0.99, 3185), (0.999, 9300), (1 - 4.74e-6, 50_287)),
    )
)
AGES = Curve(
    (
        *((0, 16), (0.01, 18), (0.05, 19.5), (0.1, 21), (0.25, 24), (0.5, 31)),
        *((0.75, 48), (0.9, 56), (0.95, 60.5), (0.99, 70), (1 - 1e-6, 99)),
    )
)

YEAR, VOLUME_SEASON, VOLUME_PEAK = 365.25, 0.21, FIRST_DAY + 275

# A customer's share of purchases made online, at these quantiles; most customers keep to one channel.
ONLINE_PLACES, ONLINE_SHARES = (0.0, 0.1, 0.24, 0.45, 0.7, 1.0), (0.0, 0.0, 0.35, 0.95, 1.0, 1.0)

CENTS_A_UNIT = 59_000
PRICES = Shares(
    (
        *((199, 8), (299, 13), (399, 18), (499, 38), (599, 28), (699, 27), (799, 60)),
        *((899, 27), (999, 120), (1099, 11), (1199, 15), (1299, 52), (1499, 112), (1599, 19)),
        *((1799, 42), (1999, 129), (2299, 6), (2499, 59), (2999, 70), (3499, 19), (3999, 27)),
        *((4999, 12), (5999, 7), (6999, 3), (7999, 2), (9999, 1), (12999, 0.5), (19999, 0.2)),
    )
)
PERCENT = Shares(((100, 79), (95, 4), (90, 8), (80, 4), (70, 2), (60, 1.5), (50, 1), (40, 0.5)))

LEVELS = {
    "product_code": 47_224,
    "department": 299,
    "product_type": 132,
    "section": 57,
    "garment_group": 21,
    "product_group": 19,
    "index": 10,
    "index_group": 5,
}
STATUSES = Shares((("ACTIVE", 92.75), ("PRE-CREATE", 6.78), ("LEFT CLUB", 0.03), (None, 0.44)))
NEWS = Shares((("NONE", 63.97), ("Regularly", 34.8), ("Monthly", 0.06), ("None", 0.0002), (None, 1.17)))
FN = Shares((("1.0", 34.8), (None, 65.2)))
ACTIVE = Shares((("1.0", 33.8), (None, 66.2)))
NO_AGE = 0.012
POSTAL_CODES, COMMON_POSTAL_CODE = 352_899, 0.088
COLOURS, APPEARANCES, COLOUR_VALUES, COLOUR_MASTERS = 50, 30, 8, 20
NO_DESCRIPTION = 416 / ARTICLES
