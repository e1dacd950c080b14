"""All chains of a round at once, for the simulation: every key, seal, exchange and stream of every client is computed.

Clients hand in their updates in any order and any company; each masked upload is added to the sum of its chain. What
every member of a chain finds alike is found once a chain, the order, or not at all: that every seal opens, which
between the members of one process is nothing to find out.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import CipherContext

from spfedrec_cli.dtypes import I32, I64, U32
from spfedrec_cli.federated.aggregation.chain.circle import circle, commit, roster_digest
from spfedrec_cli.federated.aggregation.chain.failures import Aborted, not_cancelled, silent
from spfedrec_cli.federated.aggregation.chain.masks import WORD, key_pair, seed, stream
from spfedrec_cli.federated.aggregation.chain.sources import CONTRIBUTION, KEY, Secrets
from spfedrec_cli.federated.aggregation.chain.terms import Setting, Terms, check_members, parts, within

PIECE = 1 << 15  # words of a stream at once: they stay in the cache
_SLACK = 16  # bytes that the cipher wants behind its output


@dataclass(frozen=True)
class ChainSum:
    """What the aggregator learns of one chain: the sums over `members` clients of Δθ_u (P,), of the rows (U, d) of its
    items (U,), and of the pool's rows (M, d); int32 in two's complement."""

    chain: int
    members: int
    query: I32
    items: I32
    rows: I32
    pool: I32


@dataclass(frozen=True)
class Closed:
    """The outcome of a round: the sums of whole chains, and why the others have none."""

    sums: tuple[ChainSum, ...]
    aborted: tuple[Aborted, ...]


@dataclass(frozen=True)
class Update:
    """One client's coordinates, where they belong: rows (k, d) at `places` (k,) of its chain's union, pool (M, d)."""

    query: I32
    places: I64
    rows: I32
    pool: I32


class _Places:
    """Where items stand in the unions of all chains, found by one search in (chain, item)."""

    def __init__(self, terms: Sequence[Terms]) -> None:
        lengths = np.array([len(each.union) for each in terms], np.int64)
        items = np.concatenate([each.union for each in terms]) if terms else np.empty(0, np.int32)
        self._starts = np.cumsum(lengths) - lengths
        self._most = int(items.max(initial=0)) + 1
        self._keys = np.repeat(np.arange(len(terms)) * self._most, lengths) + items

    def of(self, chains: I64, owner: I64, items: npt.NDArray[np.integer]) -> I64:
        """The place of each item in the union of its chain. Raises ValueError where one is not, or is twice in what
        belongs to one owner."""
        keys = chains * self._most + items
        found = np.searchsorted(self._keys, keys)
        known = (items >= 0) & (items < self._most) & (found < len(self._keys))
        if not known.all() or not np.array_equal(self._keys[found], keys):
            raise ValueError("an item is not in the union of its client's chain")
        order = np.lexsort((found, owner))
        if ((np.diff(found[order]) == 0) & (np.diff(owner[order]) == 0)).any():
            raise ValueError("an item comes twice in one client's update")
        return found - self._starts[chains]


class Chains:
    """The chains of one attempt; their terms share a setting.

    `clients` (K,) are ids, `chain_of` (K,) the place in `terms` of each one's chain. `commitments` has what each
    client sealed, in the order of `clients`. May be shared by threads.
    """

    def __init__(
        self, terms: Sequence[Terms], clients: npt.NDArray[np.integer], chain_of: I64, secrets: Secrets
    ) -> None:
        self._terms, self._clients, self._chain_of = terms, clients, chain_of
        self._seeds: list[tuple[bytes, bytes] | None] = [None] * len(clients)
        self.commitments = [b""] * len(clients)
        self._sums = [np.zeros(each.length, np.uint32) for each in terms]
        self._places = _Places(terms)
        self._lock, self._scratch = threading.Lock(), threading.local()
        order = np.lexsort((clients, chain_of))
        ends = np.searchsorted(chain_of[order], np.arange(len(terms) + 1))
        for number, each in enumerate(terms):
            self._agree(each, order[ends[number] : ends[number + 1]].tolist(), secrets)

    def add(self, places: I64, query: I32, owner: I64, items: npt.NDArray[np.integer], rows: I32, pool: I32) -> None:
        """Masks the updates of some clients, `places` (k,) among all of them, and adds each to its chain's sum.

        query (k, P); rows (n, d) of items (n,), each belonging to the client places[owner[i]]; pool (k, M, d).
        Raises ValueError for a client that was here before, an item that its chain does not know or that comes twice,
        arrays of another shape or type, a coordinate beyond the codec's range.
        """
        if not len(places):
            return
        _check_updates(self._terms[0].setting, len(places), query, len(items), rows, pool)
        order = np.argsort(owner, kind="stable")
        owner, rows = owner[order], rows[order]
        seats = self._places.of(self._chain_of[places][owner], owner, items[order])
        ends = np.searchsorted(owner, np.arange(len(places) + 1)).tolist()
        for row, place in enumerate(places.tolist()):
            mine = slice(ends[row], ends[row + 1])
            self._upload(place, Update(query[row], seats[mine], rows[mine], pool[row]))

    def close(self) -> Closed:
        """Checks the sum of every chain; one that lacks a client, or whose masks do not cancel, has none."""
        missing: list[list[int]] = [[] for _ in self._terms]
        for client, chain, seeds in zip(self._clients.tolist(), self._chain_of.tolist(), self._seeds, strict=True):
            if seeds is not None:
                missing[chain].append(client)
        sums: list[ChainSum] = []
        aborted: list[Aborted] = []
        for terms, words, clients in zip(self._terms, self._sums, missing, strict=True):
            try:
                sums.append(_unmasked(terms, words.view(np.int32), tuple(sorted(clients))))
            except Aborted as failure:
                aborted.append(failure)
        return Closed(tuple(sums), tuple(aborted))

    def _agree(self, terms: Terms, places: list[int], secrets: Secrets) -> None:
        """The seal of every member, the order, and both seeds of every member. `places` by ascending id."""
        members = self._clients[places].tolist()
        check_members(terms, members)
        address = [(member, terms.setting.round, terms.attempt) for member in members]
        pairs = [key_pair(secrets.draw(*each, KEY)) for each in address]
        contributions = [secrets.draw(*each, CONTRIBUTION) for each in address]
        public_keys = [public_key for _, public_key in pairs]
        for place, *opened in zip(places, members, contributions, public_keys, strict=True):
            self.commitments[place] = commit(terms.digest, *opened)
        roster = roster_digest(terms.digest, members, contributions, public_keys)
        order = circle(roster, members)
        for former, this, latter in zip(order[-1:] + order[:-1], order, order[1:] + order[:1], strict=True):
            private = pairs[this][0]
            self._seeds[places[this]] = (
                seed(private, public_keys[latter], roster, members[this], members[latter]),
                seed(private, public_keys[former], roster, members[former], members[this]),
            )

    def _upload(self, place: int, update: Update) -> None:
        with self._lock:
            seeds, self._seeds[place] = self._seeds[place], None
        if seeds is None:
            raise ValueError(f"client {self._clients[place]} uploads twice")
        chain = int(self._chain_of[place])
        terms, total = self._terms[chain], self._sums[chain]
        masked = self._masked(terms, stream(seeds[0]), stream(seeds[1]), update)
        with self._lock:
            np.add(total, masked, out=total)

    def _masked(self, terms: Terms, ahead: CipherContext, behind: CipherContext, update: Update) -> U32:
        """y = x − PRG(ahead) + PRG(behind), in memory that the next client of this thread overwrites."""
        local = self._scratch
        if not hasattr(local, "words"):
            local.words = np.empty(max(each.length for each in self._terms), np.uint32)
            local.zeros = memoryview(bytes(WORD.itemsize * PIECE))
            local.streams = np.empty((2, WORD.itemsize * PIECE + _SLACK), np.uint8)
        words: U32 = local.words[: terms.length]
        for start in range(0, terms.length, PIECE):
            piece = words[start : start + PIECE]
            size = piece.nbytes
            for cipher, out in zip((ahead, behind), local.streams, strict=True):
                cipher.update_into(local.zeros[:size], out)
            np.subtract(local.streams[1, :size].view(WORD), local.streams[0, :size].view(WORD), out=piece)
        query, rows, pool = parts(terms, words.view(np.int32))
        query += update.query
        rows[update.places] += update.rows
        pool += update.pool
        return words


def _check_updates(setting: Setting, clients: int, query: I32, items: int, rows: I32, pool: I32) -> None:
    shapes = (clients, setting.query), (items, setting.dim), (clients, len(setting.pool), setting.dim)
    for part, shape in zip((query, rows, pool), shapes, strict=True):
        if part.shape != shape or part.dtype != np.int32:
            raise ValueError(f"updates of int32 {shape} are awaited, not of {part.dtype} {part.shape}")
        if not within(part, setting.qmax):
            raise ValueError(f"an update stays within ±{setting.qmax}")


def _unmasked(terms: Terms, total: I32, missing: tuple[int, ...]) -> ChainSum:
    if missing:
        raise silent("masked update", missing, terms.where)
    if not within(total, terms.bound):
        raise not_cancelled(terms.where)
    query, rows, pool = parts(terms, total)
    return ChainSum(terms.chain, terms.members, query, terms.union, rows, pool)
