"""Distinct texts to numbers in the order of their first appearance, a block at a time.

A hash table in a few arrays (linear probing, all texts of a block at once): a Python dictionary costs three times the
time and memory of reading the file. Two texts that share the 64 bits of one hash are told by those of another, so that
a collision is noticed; the multipliers are drawn by the operating system, so that no file can be made to collide.
"""

import hashlib
import secrets

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.errors import SpfedrecError

I32 = npt.NDArray[np.int32]
U64 = npt.NDArray[np.uint64]

_SHIFT = np.uint64(32)
_SMALLEST = 1 << 12
_LONGEST = 256


class Interner:
    """Numbers texts from 0 on."""

    def __init__(self) -> None:
        self._multipliers = np.empty((2, 0), np.uint64)
        self._slots = np.zeros(_SMALLEST, np.uint64)
        self._numbers = np.empty(_SMALLEST, np.int32)
        self._checks = np.empty(_SMALLEST, np.uint64)
        self._parts: list[pa.Array] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def texts(self) -> pa.Array:
        """All texts, by number."""
        return pa.concat_arrays(self._parts) if self._parts else pa.array([], pa.string())

    def find(self, texts: pa.Array) -> "Found":
        """Looks distinct `texts` up; those that are new have the number -1."""
        keys, checks = self._hashes(texts)
        numbers = self._look_up(keys)
        known = numbers >= 0
        if (self._checks[numbers[known]] != checks[known]).any():
            raise SpfedrecError("Two ids have the same 64-bit hash", hint="run the command again: it draws another")
        return Found(texts, keys, checks, numbers)

    def add(self, found: "Found") -> I32:
        """The numbers of all texts that were looked up; new ones are numbered in their order."""
        new = np.flatnonzero(found.numbers < 0)
        if not len(new):
            return found.numbers
        fresh = np.arange(self._size, self._size + len(new), dtype=np.int32)
        self._size += len(new)
        if 2 * self._size > len(self._slots):
            self._grow()
        self._insert(found.keys[new], fresh)
        self._remember(found.checks[new])
        self._parts.append(found.texts.take(pa.array(new)))
        found.numbers[new] = fresh
        return found.numbers

    def _look_up(self, keys: U64) -> I32:
        numbers = np.full(len(keys), -1, np.int32)
        open_, slot = np.arange(len(keys)), self._slot(keys)
        while len(open_):
            held = self._slots[slot]
            match = held == keys[open_]
            numbers[open_[match]] = self._numbers[slot[match]]
            on = ~match & (held != 0)
            open_, slot = open_[on], (slot[on] + 1) % len(self._slots)
        return numbers

    def _insert(self, keys: U64, numbers: I32) -> None:
        """Keys that the table lacks. Of those that want one slot the last written gets it, the others move on."""
        open_, slot = np.arange(len(keys)), self._slot(keys)
        while len(open_):
            free = self._slots[slot] == 0
            self._slots[slot[free]] = keys[open_[free]]
            self._numbers[slot[free]] = numbers[open_[free]]
            on = ~free | (self._numbers[slot] != numbers[open_])
            open_, slot = open_[on], (slot[on] + 1) % len(self._slots)

    def _slot(self, keys: U64) -> npt.NDArray[np.int64]:
        return (keys & np.uint64(len(self._slots) - 1)).astype(np.int64)

    def _grow(self) -> None:
        keys, numbers = self._slots, self._numbers
        full = keys != 0
        size = len(keys)
        while 2 * self._size > size:
            size *= 2
        self._slots, self._numbers = np.zeros(size, np.uint64), np.empty(size, np.int32)
        self._insert(keys[full], numbers[full])

    def _remember(self, checks: U64) -> None:
        if self._size > len(self._checks):
            self._checks = np.concatenate([self._checks, np.empty(max(self._size, len(self._checks)), np.uint64)])
        self._checks[self._size - len(checks) : self._size] = checks

    def _hashes(self, texts: pa.Array) -> tuple[U64, U64]:
        """Two multilinear hashes of the 32-bit words of each text, its length among them; the first is never 0."""
        words = _words(texts)
        missing = words.shape[1] + 1 - self._multipliers.shape[1]
        if missing > 0:
            drawn = np.frombuffer(secrets.token_bytes(16 * missing), np.uint64).reshape(2, missing)
            self._multipliers = np.concatenate([self._multipliers, drawn], axis=1)
        first, second = (_mixed(words, row) for row in self._multipliers)
        return np.maximum(first, np.uint64(1)), second


class Found:
    """Texts that were looked up: what `Interner.add` needs to number the new ones."""

    def __init__(self, texts: pa.Array, keys: U64, checks: U64, numbers: I32) -> None:
        self.texts, self.keys, self.checks, self.numbers = texts, keys, checks, numbers

    @property
    def new(self) -> pa.Array:
        """The texts that are not numbered yet."""
        return self.texts.filter(pa.array(self.numbers < 0))


def _mixed(words: npt.NDArray[np.uint32], multipliers: U64) -> U64:
    """(a_0 + sum of a_i w_i mod 2^64): its upper half is universal (Lemire and Kaser, Computer Journal 57, 2014).

    A slot is taken from the low bits, so that the halves change places.
    """
    total = np.full(len(words), multipliers[0])
    for word, multiplier in zip(words.T, multipliers[1:], strict=False):
        total += word * multiplier
    return np.asarray((total >> _SHIFT) | (total << _SHIFT))


def _words(texts: pa.Array) -> npt.NDArray[np.uint32]:
    """(n, words): the bytes of each text in 32-bit words, zeros behind them, and its length before them."""
    if texts.type != pa.string():
        texts = texts.cast(pa.string())
    lengths = _lengths(texts)
    if lengths.max(initial=0) > _LONGEST:
        texts = _digested(texts, lengths)
        return np.column_stack([lengths.astype(np.uint32), _words(texts)[:, 1:]])
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    width = -(-int(lengths.max(initial=0)) // 4) * 4
    raw = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]] if len(ends) else np.empty(0, np.uint8)
    if len(raw) == len(texts) * width:
        padded = raw.reshape(len(texts), width)
    else:
        padded = np.zeros((len(texts), width), np.uint8)
        padded[np.arange(width) < lengths[:, None]] = raw
    return np.column_stack([lengths.astype(np.uint32), padded.view(np.uint32)])


def _lengths(texts: pa.Array) -> I32:
    return np.asarray(pc.binary_length(texts).to_numpy(), np.int32)


def _digested(texts: pa.Array, lengths: I32) -> pa.Array:
    """With the BLAKE2b digests of those that are too long in their place."""
    long = np.flatnonzero(lengths > _LONGEST)
    values = texts.take(pa.array(long)).cast(pa.binary()).to_pylist()
    digests = [hashlib.blake2b(value).hexdigest() for value in values]
    return pc.replace_with_mask(texts, pa.array(lengths > _LONGEST), pa.array(digests, pa.string()))
