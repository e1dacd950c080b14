import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.number import order

ARTICLE, NUMBER = FORMS["article"], FORMS["number"]


def test_numbers_sort_as_numbers_and_text_as_text() -> None:
    known = pa.array(["10", "9", "100"])
    assert order(known, NUMBER).tolist() == [1, 0, 2]
    assert order(known, ARTICLE).tolist() == [0, 2, 1]


@given(st.lists(st.text(max_size=12) | st.text("ab\0", max_size=12), unique=True, max_size=40))
def test_the_order_is_that_of_the_bytes(texts: list[str]) -> None:
    """Of texts that share their first eight bytes too, and in a slice of a longer array."""
    sliced = pa.array(["before", *texts, "behind"]).slice(1, len(texts))
    found = [texts[place] for place in order(sliced, ARTICLE)]
    assert found == sorted(texts, key=str.encode)
