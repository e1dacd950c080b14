"""A hand-sized shop: three devices, five items, a moment."""

import numpy as np
import pytest

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.second_stage.past import Past
from spfedrec_cli.second_stage.rows import Rows

N_ITEMS = 5


@pytest.fixture
def rows() -> Rows:
    """Device 0 buys item 1 on days 10, 20 and 30 and item 3 on day 30, twice; device 1 item 2 on day 25; device 2
    nothing."""
    items = Ragged.from_rows([[1, 1, 1, 3], [2], []])
    return Rows(items, np.array([10, 20, 30, 30, 25], np.int32), np.array([1, 1, 1, 2, 1], np.int32))


@pytest.fixture
def past(rows: Rows) -> Past:
    """On day 40."""
    return Past(rows, np.full(3, 40), N_ITEMS)
