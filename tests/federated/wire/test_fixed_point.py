"""Fixed point: the error stays within its bound, nothing overflows, saturation is counted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.federated.wire.fixed_point import LARGEST, Codec, quantum_limit


def test_quantum_limit() -> None:
    assert quantum_limit(10) == LARGEST == 2**20 - 1
    assert quantum_limit(1_000_000) == 2147  # (2^31 - 1) // 10^6
    assert quantum_limit(0) == LARGEST


@given(st.integers(1, 10**7))
def test_a_sum_of_the_largest_cannot_overflow(clients: int) -> None:
    assert clients * quantum_limit(clients) <= 2**31 - 1


def test_encode_by_hand() -> None:
    """c = 2, qmax = 4: one unit is 0.5; halves round to even; ±2 is the edge."""
    values = torch.tensor([0.0, 0.5, 0.25, 0.75, -1.0, 2.0, 2.3, -9.0])
    encoded, saturated = Codec(2.0, 4).encode(values)
    assert encoded.tolist() == [0, 1, 0, 2, -2, 4, 4, -4]
    assert encoded.dtype == torch.int32
    assert int(saturated) == 2


@given(st.lists(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3), min_size=1, max_size=20))
def test_decoded_sum_is_within_its_bound(rows: list[list[float]]) -> None:
    codec = Codec(1.0, 1000)
    values = torch.tensor(rows)
    encoded, _ = codec.encode(values.clone())
    total = encoded.sum(0, dtype=torch.int32)
    error = (codec.decode(total).double() - values.double().sum(0)).abs()
    assert float(error.max()) <= len(rows) * 1.0 / (2 * 1000) + 1e-5


@pytest.mark.parametrize("total", [0, 1, -1, 2**31 - 1, -(2**31) + 1])
def test_decode_takes_the_sign_back(total: int) -> None:
    assert float(Codec(5.0, 5).decode(torch.tensor(total, dtype=torch.int32))) == pytest.approx(float(total))
