import numpy as np
import pytest

from spfedrec_cli.data.rows import Rows


@pytest.mark.parametrize("clients", [1, 3, 70_000, 200_000])
def test_rows_are_sorted_by_client_and_time(clients: int) -> None:
    """Rows of one client and time stay in the order of the file."""
    draw = np.random.default_rng(clients)
    client, time = draw.integers(0, clients, 5000, np.int32), draw.integers(-4, 5, 5000, np.int32)
    client[0] = clients - 1
    rows = Rows(client, np.arange(5000, dtype=np.int32), time, np.zeros(5000, np.float32))
    offsets = rows.sort()
    assert rows.item.tolist() == np.lexsort((time, client)).tolist()
    assert rows.client.tolist() == np.sort(client).tolist()
    assert (offsets == np.searchsorted(rows.client, np.arange(clients + 1))).all()
