"""Random numbers that are addressed, not stored.

Every public draw is a pure function of (run seed, stream name, counters), and every draw of a device one of (the
device's own key, stream number, counters): Philox 4x32-10 of Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3" (SC 2011). One client alone therefore gets the numbers that it would get
in a cohort, in any order, in any process, before or after a resume. Not for masks: those come from cryptography.
"""

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spfedrec_cli.dtypes import F64, I64, U64

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)
_ROUNDS = 10
TURNS = 4
_PIECE = 1 << 13


def philox(counter: U64, key: tuple[int, int] | U64) -> U64:
    """Philox 4x32-10. `counter` is (4, n) of 32-bit words held as uint64; returns (4, n) likewise. The key is one, or
    one of each (2, n)."""
    c0, c1, c2, c3 = counter
    k0, k1 = (np.asarray(word, np.uint64) for word in key)
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ k0,
            p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ k1,
            p0 & _LOW,
        )
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return np.stack([c0, c1, c2, c3])


@lru_cache(maxsize=1024)
def stream_key(seed: int, stream: str) -> tuple[int, int]:
    """The key of Philox for a stream of a run."""
    digest = hashlib.sha256(f"spfedrec/{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def uniform(seed: int, stream: str, client: npt.ArrayLike, round_: int = 0, index: npt.ArrayLike = 0) -> F64:
    """Uniform draws in (0, 1), one for each broadcast (client, index) of `round_` in `stream`.

    The shape is that of the broadcast; 32 random bits a draw, centred in their cell, so neither 0 nor 1 occurs.
    """
    clients, indices = np.broadcast_arrays(np.asarray(client, np.uint64), np.asarray(index, np.uint64))
    words = _words(seed, stream, clients.ravel(), round_, indices.ravel() >> np.uint64(2))
    chosen = np.take_along_axis(words, (indices.ravel() & np.uint64(3)).astype(np.int64)[None], 0)[0]
    return _centred(chosen).reshape(clients.shape)


def uniform_rows(seed: int, stream: str, clients: npt.ArrayLike, round_: int, width: int) -> F64:
    """`uniform` for index 0 … width − 1 of each client: (n, width), at a quarter of the cost."""
    each = np.asarray(clients, np.uint64)
    groups = -(-width // 4)
    words = _words(
        seed, stream, np.repeat(each, groups), round_, np.tile(np.arange(groups, dtype=np.uint64), len(each))
    )
    return _centred(words.T.reshape(len(each), 4 * groups)[:, :width])


def quads(seed: int, stream: str, clients: npt.ArrayLike, indices: npt.ArrayLike) -> F64:
    """`uniform` in round 0 for index 4i, 4i + 1, 4i + 2, 4i + 3 of each (client, i): (4, n), for the price of one."""
    each, places = np.broadcast_arrays(np.asarray(clients, np.uint64), np.asarray(indices, np.uint64))
    pieces = [_centred(_words(seed, stream, each[rows], 0, places[rows])) for rows in _slices(len(each))]
    return np.concatenate(pieces, axis=1)


def _slices(n: int) -> list[slice]:
    """Pieces that stay in the processor's cache; at least one, which may be empty."""
    return [slice(start, start + _PIECE) for start in range(0, max(n, 1), _PIECE)]


def uniform_ragged(seed: int, stream: str, clients: npt.ArrayLike, round_: int, lengths: npt.ArrayLike) -> F64:
    """`uniform` for index 0 … lengths[i] − 1 of each client i, one after another, at a quarter of the cost."""
    each, sizes = np.asarray(clients, np.uint64), np.asarray(lengths, np.int64)
    groups = -(-sizes // 4)
    nth = np.arange(groups.sum()) - np.repeat(np.cumsum(groups) - groups, groups)
    words = _words(seed, stream, np.repeat(each, groups), round_, nth.astype(np.uint64)).T.reshape(-1)
    place = np.arange(sizes.sum()) + np.repeat(4 * (np.cumsum(groups) - groups) - (np.cumsum(sizes) - sizes), sizes)
    return _centred(words[place])


def uniform_own(keys: U64, stream: int, round_: int, width: int) -> F64:
    """Uniform draws in (0, 1) of devices by keys of their own (n, 2), for index 0 … width − 1 of a numbered stream:
    (n, width)."""
    groups = -(-width // 4)
    streams, nth = np.full(groups * len(keys), stream, np.uint64), np.arange(groups, dtype=np.uint64)
    words = _words_by(keys.repeat(groups, 0).T, streams, round_, np.tile(nth, len(keys)))
    return _centred(words.T.reshape(len(keys), 4 * groups)[:, :width])


def _words(seed: int, stream: str, clients: U64, round_: int, groups: U64) -> U64:
    """(4, n): the four words of each (client, group of four indices)."""
    return _words_by(stream_key(seed, stream), clients, round_, groups)


def _words_by(key: tuple[int, int] | U64, clients: U64, round_: int, groups: U64) -> U64:
    counter = np.empty((4, len(clients)), np.uint64)
    counter[0], counter[1] = groups & _LOW, clients & _LOW
    counter[2], counter[3] = np.uint64(round_ & 0xFFFFFFFF), clients >> _SHIFT
    return philox(counter, key)


def _centred(words: U64) -> F64:
    return (words.astype(np.float64) + 0.5) * 2.0**-32


def permuted(seed: int, stream: str, population: int, places: npt.ArrayLike, round_: int = 0) -> I64:
    """What stands at `places` of a seeded permutation of range(population), at the cost of these places alone.

    A Feistel network of four rounds over the next even number of bits, walked on until it comes back into the range
    (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
    """
    half = half_of(population)
    found = np.asarray(places, np.uint64)
    outside = np.arange(len(found))
    while outside.size:
        found[outside] = _feistel(seed, stream, found[outside], half, round_)
        outside = outside[found[outside] >= population]
    return found.astype(np.int64)


def half_of(population: int) -> int:
    """Bits of either half of a number that goes through the network."""
    return max(1, -(-(population - 1).bit_length() // 2))


def _feistel(seed: int, stream: str, values: U64, half: int, round_: int) -> U64:
    mask = np.uint64((1 << half) - 1)
    left, right = values >> np.uint64(half), values & mask
    for turn in range(TURNS):
        counter = np.full(len(values), turn, np.uint64)
        left, right = right, left ^ (_words(seed, stream, counter, round_, right)[0] & mask)
    return left << np.uint64(half) | right


def distinct(seed: int, stream: str, population: int, size: int, round_: int = 0) -> I64:
    """`size` distinct members of range(population), uniformly, in ascending order; all of them where size is larger.

    Costs O(size) for small samples: draws with replacement until enough distinct ones came up.
    """
    if size >= population:
        return np.arange(population, dtype=np.int64)
    if 3 * size > population:
        keys = uniform_rows(seed, stream, [0], round_, population)[0]
        return np.sort(np.argsort(keys, kind="stable")[:size]).astype(np.int64)
    tries = 2 * size + 16
    while True:
        drawn = (uniform_rows(seed, stream, [0], round_, tries)[0] * population).astype(np.int64)
        first = np.sort(np.unique(drawn, return_index=True)[1])
        if first.size >= size:
            return np.sort(drawn[first[:size]])
        tries *= 2
