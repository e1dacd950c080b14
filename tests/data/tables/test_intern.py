import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.tables.intern import Interner
from spfedrec_cli.errors import SpfedrecError

TEXT = st.text(max_size=8) | st.text("a\0é", max_size=6) | st.integers(0, 2000).map(lambda n: "x" * n)


def number(interner: Interner, texts: list[str]) -> list[int]:
    array = pa.array(["before", *texts], pa.string()).slice(1)
    return interner.add(interner.find(array)).tolist()  # type: ignore[no-any-return]


@given(st.lists(st.lists(TEXT, unique=True, max_size=20), max_size=6))
def test_numbers_are_those_of_a_dictionary(blocks: list[list[str]]) -> None:
    interner, known = Interner(), dict[str, int]()
    for texts in blocks:
        expected = [known.setdefault(text, len(known)) for text in texts]
        assert number(interner, texts) == expected
    assert interner.texts().to_pylist() == list(known)
    assert len(interner) == len(known)


def test_it_grows() -> None:
    """Through several doublings, a block at a time and by more than that at once."""
    interner = Interner()
    for low, high in ((0, 3000), (2000, 9000), (0, 300_000)):
        assert number(interner, [f"id {n}" for n in range(low, high)]) == list(range(low, high))
    assert interner.texts()[299_999].as_py() == "id 299999"


def test_what_was_found_is_not_yet_added() -> None:
    interner = Interner()
    number(interner, ["a"])
    found = interner.find(pa.array(["b", "a"]))
    assert found.new.to_pylist() == ["b"]
    assert len(interner) == 1
    assert interner.find(pa.array(["b"])).numbers.tolist() == [-1]


def test_a_collision_is_noticed() -> None:
    interner = Interner()
    number(interner, ["a"])
    interner._multipliers = np.array([[0] * 8, range(8)], np.uint64)
    interner = _with(interner._multipliers)
    number(interner, ["a", "bc"])
    assert len(interner) == 2
    with pytest.raises(SpfedrecError, match="same 64-bit hash"):
        number(interner, ["d", "a", "bc"])


def test_a_long_text_does_not_widen_the_others() -> None:
    interner = Interner()
    long = "x" * 3_000_000
    assert number(interner, [long, *map(str, range(20_000)), long + "y"]) == list(range(20_002))
    assert interner._multipliers.shape[1] < 100


def _with(multipliers: np.ndarray) -> Interner:  # type: ignore[type-arg]
    interner = Interner()
    interner._multipliers = multipliers
    return interner
