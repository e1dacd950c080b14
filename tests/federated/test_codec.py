"""Fixed point: the error stays within its bound, nothing overflows, saturation is counted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.federated.codec import LARGEST, ZERO_POINT, Codec, integers_, quantum_limit


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


@given(st.lists(st.floats(-(2**22) + 1, 2**22 - 1, width=32) | st.integers(-(2**21), 2**21).map(lambda n: n + 0.5)))
def test_the_addition_rounds_half_to_even(values: list[float]) -> None:
    scaled = torch.tensor(values, dtype=torch.float32)
    expected = scaled.round().to(torch.int32)
    assert torch.equal(integers_(scaled.clone()) - ZERO_POINT, expected)


def test_the_addition_rounds_no_further_than_its_limit() -> None:
    """2^22 − 1 still comes out; at 2^22 + .5 the sum is 2^24 and more, where floats go in steps of two."""
    for value in (2.0**22 - 1, -(2.0**22) + 1, -0.5, 0.5, 1.5, -1.5):
        assert int(integers_(torch.tensor([value])) - ZERO_POINT) == int(torch.tensor(value).round())
    assert int(integers_(torch.tensor([2.0**22 + 2])) - ZERO_POINT) != 2**22 + 2
    assert LARGEST < 2**22 - 1


@given(st.lists(st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4), min_size=1, max_size=20))
def test_looking_at_some_clients_finds_what_looking_at_all_does(rows: list[list[float]]) -> None:
    codec = Codec(2.0, 5)
    scaled = torch.tensor(rows) * 1.3
    some, all_at_once = scaled.clone(), scaled.clone()
    to_look_at = codec.may_saturate(scaled.abs().amax(1)).tolist()
    assert codec.saturate_some_(some, to_look_at) == codec.saturate_(all_at_once)
    assert torch.equal(integers_(some), integers_(all_at_once))
