"""Columns of text as distinct values and their numbers."""

import pyarrow as pa

from spfedrec_cli.data.arrays import texts

_FEW = 1 << 20


class Texts:
    """A column that is appended to, a batch at a time.

    Distinct texts of all batches are brought together by Arrow, which hashes them; often enough that those of the
    batches do not pile up, seldom enough that all together are not hashed again and again.
    """

    def __init__(self) -> None:
        self._parts: list[pa.DictionaryArray] = []
        self._pending, self._known = 0, _FEW

    def append(self, part: pa.DictionaryArray) -> None:
        self._parts.append(part)
        self._pending += len(part.dictionary)
        if self._pending > 2 * self._known:
            whole = self._unified()
            self._parts, self._pending, self._known = [whole], 0, max(_FEW, len(whole.dictionary))

    def done(self) -> pa.DictionaryArray:
        """The whole column; of no use afterwards."""
        whole = self._unified()
        self._parts = []
        return whole

    def _unified(self) -> pa.DictionaryArray:
        nothing = texts([]).dictionary_encode()
        return _one(pa.chunked_array([nothing, *self._parts]).unify_dictionaries())


def encoded(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Texts as numbers of their distinct values, in the order in which these first come up."""
    found = column.dictionary_encode()
    return found if isinstance(found, pa.DictionaryArray) else _one(found)


def _one(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Of chunks that share a dictionary."""
    if not column.num_chunks:
        return texts([]).dictionary_encode()
    indices = pa.concat_arrays([chunk.indices for chunk in column.chunks])
    return pa.DictionaryArray.from_arrays(indices, column.chunk(0).dictionary, safe=False)
