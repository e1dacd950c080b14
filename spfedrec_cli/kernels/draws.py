"""Addressed random numbers, compiled: the words of `rng.philox`, and the order that they give a client's purchases."""

import numpy as np

from spfedrec_cli.dtypes import F64, I32, I64, U64
from spfedrec_cli.kernels.compiling import called, compiled
from spfedrec_cli.rng import TURNS, half_of, stream_key

u64 = np.uint64

_M0, _M1 = u64(0xD2511F53), u64(0xCD9E8D57)
_W0, _W1 = u64(0x9E3779B9), u64(0xBB67AE85)
_LOW, _SHIFT = u64(0xFFFFFFFF), u64(32)
_ROUNDS = 10
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


@compiled
def philox(counter: Words, k0: np.uint64, k1: np.uint64) -> Words:
    """Philox 4x32-10 of a counter of four words: four words."""
    c0, c1, c2, c3 = counter
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW
        c2, c3 = (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@compiled
def words(key: U64, stream: np.uint64, round_: np.uint64, out: U64) -> None:
    """The 32 bits (n,) behind `rng.uniform_own` for index 0 … n − 1 of a stream of the device with this key (2,)."""
    for start in range(0, len(out), 4):
        found = philox((u64(start // 4), stream, round_, u64(0)), key[0], key[1])
        for lane in range(min(4, len(out) - start)):
            out[start + lane] = found[lane]


@called
def uniform_each(key: U64, clients: I64, round_: np.uint64, out: F64) -> None:
    """`rng.uniform` for each of the clients (n,) in a stream with this key (2,)."""
    for i in range(len(clients)):
        client = u64(clients[i])
        found = philox((u64(0), client & _LOW, round_, client >> _SHIFT), key[0], key[1])
        out[i] = (float(found[0]) + 0.5) * 2.0**-32


def permuted(seed: int, stream: str, population: int, places: I64, round_: int) -> I64:
    """As `rng.permuted`, to the same bits."""
    found, key = places.astype(np.uint64), np.array(stream_key(seed, stream), np.uint64)
    permute(key, u64(population), half_of(population), u64(round_), found)
    return found.astype(np.int64)


@called
def permute(key: U64, population: np.uint64, half: int, round_: np.uint64, places: U64) -> None:
    """`rng.permuted`, in place: a Feistel network over 2 · `half` bits, walked on until it comes into the range."""
    for i in range(len(places)):
        place = feistel(key, half, round_, places[i])
        while place >= population:
            place = feistel(key, half, round_, place)
        places[i] = place


@compiled
def feistel(key: U64, half: int, round_: np.uint64, value: np.uint64) -> np.uint64:
    """One walk of a number of 2 · `half` bits."""
    mask = (u64(1) << u64(half)) - u64(1)
    left, right = value >> u64(half), value & mask
    for turn in range(TURNS):
        found = philox((right & _LOW, u64(turn), round_, u64(0)), key[0], key[1])
        left, right = right, left ^ (found[0] & mask)
    return left << u64(half) | right


@compiled
def draw_order(
    address: tuple[U64, np.uint64, np.uint64], seats: I32, eligible: int, count: int, size: int, drawn: U64, places: I64
) -> None:
    """The places of purchases that may be targets, whose seats are below `eligible`, in the order that is drawn at the
    address (key of the device, stream, round): the first `count` are. One batch of all needs no order."""
    found = 0
    for i in range(len(drawn)):
        if seats[i] < eligible:
            places[found] = i
            found += 1
    if count < found or size < found:
        key, stream, round_ = address
        words(key, stream, round_, drawn)
        order(drawn, places[:found])


@compiled
def order(drawn: U64, places: I64) -> None:
    """Sorts places (n,) by what was drawn for each, equal ones as they stand. `drawn` is used up."""
    for i in range(len(places)):
        drawn[i] = (drawn[places[i]] << _SHIFT) | u64(places[i])
    sort(drawn[: len(places)])
    for i in range(len(places)):
        places[i] = np.int64(drawn[i] & _LOW)


@compiled
def sort(values: U64) -> None:
    """Ascending, by heaps (Williams, "Algorithm 232: Heapsort", 1964)."""
    for root in range(len(values) // 2 - 1, -1, -1):
        sift(values, root, len(values))
    for end in range(len(values) - 1, 0, -1):
        values[0], values[end] = values[end], values[0]
        sift(values, 0, end)


@compiled
def sift(values: U64, root: int, end: int) -> None:
    """Lets the value at `root` sink among the first `end` until none below it is larger."""
    value, child = values[root], 2 * root + 1
    while child < end:
        if child + 1 < end and values[child + 1] > values[child]:
            child += 1
        if values[child] <= value:
            break
        values[root] = values[child]
        root, child = child, 2 * child + 1
    values[root] = value
