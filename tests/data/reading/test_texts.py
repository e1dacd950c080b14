import threading
import time
from concurrent.futures import Future

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.reading import texts as module
from spfedrec_cli.data.reading.texts import Texts, beside, encoded

TEXT = st.text(max_size=3) | st.sampled_from(["", "a", "a\0", "é", "x" * 300])


def joined(batches: list[list[str]]) -> pa.DictionaryArray:
    with beside() as pool:
        texts = Texts(pool)
        for batch in batches:
            texts.append(pa.array(batch, pa.string()).dictionary_encode())
        return texts.done()


@pytest.mark.parametrize("few", [0, 1, 3, 1 << 20])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(batches=st.lists(st.lists(TEXT, max_size=6), max_size=12))
def test_texts_are_what_was_appended(monkeypatch: pytest.MonkeyPatch, few: int, batches: list[list[str]]) -> None:
    """However often they are brought together on the way; each distinct text once, in the order of its coming up."""
    monkeypatch.setattr(module, "_FEW", few)
    plain = [text for batch in batches for text in batch]
    found = joined(batches)
    assert found.to_pylist() == plain
    assert found.dictionary.to_pylist() == list(dict.fromkeys(plain))
    assert found.type == pa.dictionary(pa.int32(), pa.string())


def test_they_are_brought_together_while_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred batches of the same words do not pile up."""
    monkeypatch.setattr(module, "_FEW", 4)
    with beside(3) as pool:
        texts, held = Texts(pool), []
        for _ in range(100):
            texts.append(pa.array(["a", "b", "c"]).dictionary_encode())
            held.append(sum(len(part.dictionary) for part in texts._parts))
        assert max(held) <= 3 * 4
        assert texts.done().to_pylist() == ["a", "b", "c"] * 100


def test_no_thread_stays_and_nothing_more_is_begun() -> None:
    before, futures = threading.active_count(), list[Future[object]]()

    def interrupted() -> None:
        with beside() as pool:
            futures.extend([pool.submit(time.sleep, 0.05), pool.submit(int)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [future.cancelled() for future in futures] == [False, True]
    assert threading.active_count() == before


def test_slices_and_parts_without_rows() -> None:
    whole = pa.array(["a", "b", "c", "b"]).dictionary_encode()
    with beside() as pool:
        texts = Texts(pool)
        for part in (whole.slice(1, 2), whole.slice(0, 0), whole.slice(3)):
            texts.append(part)
        assert texts.done().to_pylist() == ["b", "c", "b"]
        assert Texts(pool).done().to_pylist() == []


def test_what_repeats_its_neighbour_is_told_by_that() -> None:
    """Ids of 64 letters that differ in one of them, wherever it stands; of the rest each text has one number."""
    ids = [place * "a" + "b" + (63 - place) * "a" for place in range(64)]
    column = pa.array([id for id in ids for _ in range(3)] + ids[-1:])
    found = encoded(column)
    assert found.to_pylist() == column.to_pylist()
    assert found.dictionary.to_pylist() == ids
    assert encoded(column.slice(5, 9)).to_pylist() == column.slice(5, 9).to_pylist()
    for other in (column.slice(0, 0), pa.array(["x", "x", "x", *ids[:1] * 9]), pa.array([*ids, *ids])):
        assert encoded(other).to_pylist() == other.to_pylist()
        assert len(encoded(other).dictionary) == len(set(other.to_pylist()))
