"""The paper's secret-sharing chain as an aggregation protocol: a cohort is cut into chains, whose sums are summed.

`Ring` executes the cryptography of all chains at once, `RingByMessages` client by client through its messages. Their
integers, and the bytes that cross, are the same.
"""

from collections.abc import Sequence

import numpy as np
import torch

from spfedrec_cli.config import FederatedConfig, Settings
from spfedrec_cli.dtypes import I32, I64, Bool
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.chains import Chains, ChainSum
from spfedrec_cli.federated.aggregation.chain.layout import message_sizes, run_chain
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import simulated_run
from spfedrec_cli.federated.aggregation.chain.terms import (
    FEWEST,
    Setting,
    Terms,
    broadcast_digest,
    chain_sizes,
    parts,
    payload,
    unions,
)
from spfedrec_cli.federated.aggregation.protocol import Opening, Sums, Updates, add_rows
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.rng import uniform

CHAIN_PHASES = (Phase.REQUEST, Phase.SEAL, Phase.REVEAL, Phase.UPLOAD, Phase.AFTER)
BLIND = 0.01  # chance from which on noise that passes the check of a sum is worth a warning
_WORTH = 2  # chains of a shard on average, below which chains are cut across shards


def stays_in_shards(federated: FederatedConfig, eligible: int, shards: int) -> bool:
    """Whether chains are cut within shards, so that no chain has clients in two processes."""
    return min(federated.cohort_size, eligible) // shards >= _WORTH * federated.chain_length


def too_long(federated: FederatedConfig, largest: int) -> str:
    """What to tell where the check of a chain's sum says nothing, cohorts having so many clients at most."""
    return (
        f"federated.chain_length = {federated.chain_length} makes chains so long that the check of their sums lets "
        f"noise pass: a mask that is left would not be seen; set it to {largest // 2} or less, half the largest cohort"
    )


def check_ring(config: Settings) -> None:
    """Raises InputError where cohorts are too small for a chain."""
    size = config.federated.cohort_size
    if size < FEWEST:
        hint = f"set federated.cohort_size to {FEWEST} or more"
        raise InputError(f"A cohort of {size} cannot form a secret-sharing chain", hint=hint)


def check_chains(config: Settings, eligible: int, processes: int) -> None:
    """Raises InputError where there are too few clients for a chain, or a chain would cross processes."""
    federated, shards = config.federated, config.train.shards
    cohort = min(federated.cohort_size, eligible)
    if cohort < FEWEST:
        hint = "prepare more customers, or set federated.aggregation=sum"
        raise InputError(f"A cohort of {cohort} cannot form a secret-sharing chain", hint=hint)
    if processes > 1 and not stays_in_shards(federated, eligible, shards):
        raise InputError(
            f"Chains of {federated.chain_length} from {cohort} clients in {shards} shards would cross processes",
            hint="train with one worker, raise federated.cohort_size or lower train.shards",
        )


class _Layout:
    """The chains of a round: which clients are in which, drawn anew every round, and what their members agree on.

    `chain_of` (K,) is the place in `terms` of each client's chain, −1 where too few were left for one. Of the others,
    `seated`, `silent` has the phase in which each falls silent, and `reached` that in which the first member of its
    chain does, before which the chain goes on.
    """

    def __init__(self, opening: Opening) -> None:
        keys = uniform(opening.seed, "chains", opening.clients, opening.round)
        self.chain_of = np.full(len(opening.clients), -1, np.int64)
        self.left_out, numbers = 0, list[int]()
        for group in np.unique(opening.groups).tolist():
            order = np.flatnonzero(opening.groups == group)
            if len(order) < FEWEST:
                self.left_out += 1
                continue
            sizes = chain_sizes(len(order), opening.federated.chain_length)
            drawn = order[np.argsort(keys[order], kind="stable")]
            self.chain_of[drawn] = len(numbers) + np.repeat(np.arange(len(sizes)), sizes)
            numbers += [group + place * opening.group_count for place in range(len(sizes))]
        self.seated = np.flatnonzero(self.chain_of >= 0)
        self.silent = opening.silent[self.seated]
        first = np.full(len(numbers), Phase.NEVER, np.int64)
        np.minimum.at(first, self.chain_of[self.seated], self.silent)
        self.reached = first[self.chain_of[self.seated]]
        self.uploads = np.zeros(len(self.chain_of), np.bool_)
        self.uploads[self.seated] = (self.reached > Phase.REVEAL) & (self.silent > Phase.UPLOAD)
        self.terms = self._terms(opening, numbers)
        self.unchecked = sum(each.length > 0 and each.blindness > BLIND for each in self.terms)

    def _terms(self, opening: Opening, numbers: Sequence[int]) -> list[Terms]:
        requests, chain_of = opening.requests.take(self.seated), self.chain_of[self.seated]
        found = unions(chain_of, len(numbers), requests.lengths, requests.values) if numbers else []
        sizes, setting = np.bincount(chain_of, minlength=len(numbers)), setting_of(opening)
        each = zip(numbers, sizes.tolist(), found, strict=True)
        return [Terms(setting, number, 0, members, union) for number, members, union in each]

    def account(self, channel: Channel, here: Bool | None = None) -> None:
        """Bytes of each client's messages, 0 where none was sent: the aggregator answers once it has heard of all. Of
        some clients (K,) alone where they are named."""
        counts = [[each.members, len(each.union), each.length] for each in self.terms]
        found = message_sizes(*np.array(counts, np.int64).reshape(-1, 3)[self.chain_of[self.seated]].T)
        silent, reached = self.silent, self.reached
        sent = {
            messages.ChainInvitation: silent >= Phase.SEAL,
            messages.ChainCommitment: silent > Phase.SEAL,
            messages.ChainCommitments: reached > Phase.SEAL,
            messages.ChainReveal: (reached > Phase.SEAL) & (silent > Phase.REVEAL),
            messages.ChainRoster: reached > Phase.REVEAL,
            messages.MaskedUpdate: self.uploads[self.seated],
        }
        for kind, sizes in found.items():
            channel.account(kind, sizes * sent[kind] * (True if here is None else here[self.seated]))


def account_chains(opening: Opening, here: Bool | None = None) -> None:
    """Counts what the chains of a round would send, without a key or an update; of some of the clients (K,) alone."""
    _Layout(opening).account(opening.channel, here)


def companies(opening: Opening) -> list[tuple[I64, I32]]:
    """Of each chain its members (n,), and the union of their requests (U,), of which its invitation tells them."""
    layout = _Layout(opening)
    members = [opening.clients[layout.chain_of == number] for number in range(len(layout.terms))]
    return [(each, terms.union) for each, terms in zip(members, layout.terms, strict=True)]


def setting_of(opening: Opening) -> Setting:
    assert opening.told is not None
    return Setting(
        run=opening.run or simulated_run(opening.seed),
        round=opening.round,
        range_query=opening.codec_query.limit,
        range_item=opening.codec_item.limit,
        qmax=opening.codec_query.qmax,
        query=opening.width,
        dim=opening.dim,
        pool=opening.rows[opening.pool].astype(np.int32),
        broadcast=broadcast_digest(*opening.told()),
        settings=opening.settings,
    )


class Ring:
    """All chains at once: each client's masked upload is added to the sum of its chain as it comes."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._layout, self._saturated = opening, _Layout(opening), 0
        self.uploads, seated = self._layout.uploads, self._layout.seated
        self._seats = np.full(len(opening.clients), -1, np.int64)
        self._seats[seated] = np.arange(len(seated))
        chain_of = self._layout.chain_of[seated]
        self._chains = Chains(self._layout.terms, opening.clients[seated], chain_of, opening.secrets)

    def add(self, updates: Updates) -> None:
        self._saturated += updates.saturated
        chosen = np.flatnonzero(self._seats[updates.members] >= 0)
        if not len(chosen):
            return
        owner = np.repeat(np.arange(len(updates.members)), updates.counts)
        kept = self._seats[updates.members[owner]] >= 0
        some, rows = torch.from_numpy(chosen), torch.from_numpy(np.flatnonzero(kept))
        items = self._opening.rows[updates.own_rows.index_select(0, rows).numpy()]
        self._chains.add(
            self._seats[updates.members[chosen]],
            updates.query.index_select(0, some).numpy(),
            np.searchsorted(chosen, owner[kept]),
            items,
            updates.own.index_select(0, rows).numpy(),
            updates.pool.index_select(0, some).numpy(),
        )

    def close(self) -> Sums:
        closed, aborted = self._chains.close(), self._layout.left_out
        sums = _summed(self._opening, closed.sums)
        sums.saturated, sums.aborted = self._saturated, aborted + len(closed.aborted)
        sums.unchecked = self._layout.unchecked
        self._layout.account(self._opening.channel)
        return sums


class RingByMessages:
    """The same with a state machine for every client and for the aggregator, and every message as it crosses."""

    def __init__(self, opening: Opening) -> None:
        self._opening, self._layout, self._saturated = opening, _Layout(opening), 0
        self._payloads: dict[int, I32] = {}
        self.uploads = self._layout.uploads

    def add(self, updates: Updates) -> None:
        """Of one client."""
        (member,), pool_rows = updates.members.tolist(), updates.pool_rows
        self._saturated += updates.saturated
        chain = self._layout.chain_of[member]
        if chain < 0:
            return
        items = self._opening.rows[updates.own_rows.numpy()]
        pool = updates.pool[0].numpy() if len(pool_rows) else np.zeros((0, self._opening.dim), np.int32)
        rows, query = updates.own.numpy(), updates.query[0].numpy()
        self._payloads[member] = payload(self._layout.terms[chain], query, items, rows, pool)

    def close(self) -> Sums:
        found, aborted = list[ChainSum](), self._layout.left_out
        for number, terms in enumerate(self._layout.terms):
            total = self._run(terms, np.flatnonzero(self._layout.chain_of == number).tolist())
            if total is None:
                aborted += 1
            else:
                found.append(ChainSum(terms.chain, terms.members, *_apart(terms, total)))
        sums = _summed(self._opening, found)
        sums.saturated, sums.aborted = self._saturated, aborted
        sums.unchecked = self._layout.unchecked
        return sums

    def _run(self, terms: Terms, places: list[int]) -> I32 | None:
        """The sum of a chain."""
        opening = self._opening
        clients = opening.clients[places].tolist()
        payloads = {opening.clients[place]: self._payloads[place] for place in places if place in self._payloads}
        members = {client: Member(client, opening.secrets) for client in clients}
        silent = dict(zip(clients, opening.silent[places].tolist(), strict=True))
        return run_chain(terms, members, payloads, opening.channel, silent).total


def _apart(terms: Terms, total: I32) -> tuple[I32, I32, I32, I32]:
    query, rows, pool = parts(terms, total)
    return query, terms.union, rows, pool


def _summed(opening: Opening, found: Sequence[ChainSum]) -> Sums:
    """The sum over chains, laid out on the rows that take part."""
    sums = Sums.zero(opening.width, (len(opening.rows), opening.dim))
    for each in found:
        sums.query += torch.from_numpy(each.query)
        add_rows(sums.items, torch.from_numpy(np.searchsorted(opening.rows, each.items)), torch.from_numpy(each.rows))
        if len(opening.pool):
            add_rows(sums.items, torch.from_numpy(opening.pool), torch.from_numpy(each.pool))
        sums.clients += each.members
    return sums
