"""Columns of text as distinct values and their numbers."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from spfedrec_cli.data.arrays import letters, texts, to_arrow, width

_FEW = 1 << 20
_WIDE = 64


@contextmanager
def beside(threads: int = 1) -> Iterator[Executor]:
    """Threads that columns are brought together by. None stays, and what is not begun by the end is not done."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class Texts:
    """A column that is appended to, a batch at a time.

    Distinct texts of all batches are brought together in a thread of the `pool`, while others are read; often enough
    that those of the batches do not pile up, seldom enough that all together are not hashed again and again.
    """

    def __init__(self, pool: Executor) -> None:
        self._parts: list[pa.DictionaryArray] = []
        self._pending, self._known = 0, 0
        self._pool, self._whole = pool, list[Future[pa.DictionaryArray]]()

    def append(self, part: pa.DictionaryArray) -> None:
        self._parts.append(part)
        self._pending += len(part.dictionary)
        if self._pending > 2 * max(_FEW, self._known):
            self._known = max((len(whole.result().dictionary) for whole in self._whole), default=0)
            self.close()

    def close(self) -> None:
        """Begins to bring together what there is."""
        before, parts = self._whole, self._parts
        self._whole = [self._pool.submit(lambda: _unified([*(whole.result() for whole in before), *parts]))]
        self._parts, self._pending = [], 0

    def done(self) -> pa.DictionaryArray:
        """The whole column; of no use afterwards."""
        if self._parts or not self._whole:
            self.close()
        return self._whole.pop().result()


def _unified(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    nothing = texts([]).dictionary_encode()
    return _one(pa.chunked_array([nothing, *parts]).unify_dictionaries())


def encoded(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Texts as numbers of their distinct values, in the order in which these first come up.

    Where texts of 64 letters repeat the one before them, as a customer's do in a basket, one that comes up again later
    may have a second number: to compare neighbours takes a tenth of the time.
    """
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        return _one(whole.dictionary_encode())
    if isinstance(whole, pa.DictionaryArray):
        return whole
    return _runs(whole) or whole.dictionary_encode()


def _runs(texts: pa.StringArray) -> pa.DictionaryArray | None:
    """One text for each run of equal ones; None where texts have another width, or hardly repeat."""
    if width(texts) != _WIDE:
        return None
    words, first = letters(texts).view(np.uint64).reshape(-1, 8), np.ones(len(texts), bool)
    first[1:] = (words[1:] != words[:-1]).view(np.uint64)[:, 0] != 0
    held = words.compress(first, axis=0)
    if 2 * len(held) > len(texts):
        return None
    ends = np.arange(0, _WIDE * len(held) + 1, _WIDE, dtype=np.int32)
    once = pa.StringArray.from_buffers(len(held), pa.py_buffer(ends), pa.py_buffer(held))
    return pa.DictionaryArray.from_arrays(to_arrow(np.cumsum(first, dtype=np.int32) - np.int32(1)), once, safe=False)


def _one(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Of chunks that share a dictionary."""
    if not column.num_chunks:
        return texts([]).dictionary_encode()
    indices = pa.concat_arrays([chunk.indices for chunk in column.chunks])
    return pa.DictionaryArray.from_arrays(indices, column.chunk(0).dictionary, safe=False)
