"""Features that everybody can compute: of items and public sums alone.

Every function takes what is `Public` of moments and items and gives a number for each.
"""

import numpy as np

from spfedrec_cli.dtypes import F64
from spfedrec_cli.second_stage.public import MONTH, Public


def sales_week(public: Public) -> F64:
    """log(1 + buyers in the 7 days before)."""
    return np.log1p(public.week)


def sales_month(public: Public) -> F64:
    """log(1 + buyers in the 28 days before)."""
    return np.log1p(public.month)


def sales_ever(public: Public) -> F64:
    """log(1 + buyers ever)."""
    return np.log1p(public.ever)


def trend(public: Public) -> F64:
    """log2 of the last week's buyers over those of a usual week of the month, cut at ±3, over 3."""
    ratio = (1.0 + MONTH * public.week) / (1.0 + public.month)
    return np.asarray(np.clip(np.log2(ratio), -3.0, 3.0) / 3.0, np.float64)


def new(public: Public) -> F64:
    """1 where all that an item ever sold, it sold in the last 28 days."""
    return ((public.ever > 0) & (public.ever <= public.month)).astype(np.float64)
