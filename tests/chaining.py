"""Small chains with what their members want to send, for tests of the secret-sharing chain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spfedrec_cli.dtypes import I32, I64
from spfedrec_cli.federated.aggregation.chain.chains import Chains
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import Secrets, SeededSecrets
from spfedrec_cli.federated.aggregation.chain.terms import Setting, Terms, chain_sizes, payload, unions


@dataclass(frozen=True)
class Round:
    """Clients cut into chains, and what each of them wants to send."""

    terms: list[Terms]
    clients: I64
    chain_of: I64
    query: I32  # (K, P)
    items: list[I32]
    rows: list[I32]  # each (k, d)
    pool: I32  # (K, M, d)

    def payload(self, place: int) -> I32:
        terms = self.terms[self.chain_of[place]]
        return payload(terms, self.query[place], self.items[place], self.rows[place], self.pool[place])

    def places(self, chain: int) -> list[int]:
        return np.flatnonzero(self.chain_of == chain).tolist()

    def add(self, chains: Chains, places: Sequence[int]) -> None:
        """Hand in the updates of some clients together."""
        lengths = [len(self.items[place]) for place in places]
        items = np.concatenate([self.items[place] for place in places])
        rows = np.concatenate([self.rows[place] for place in places])
        chosen = np.array(places, np.int64)
        owner = np.repeat(np.arange(len(places)), lengths)
        chains.add(chosen, self.query[chosen], owner, items, rows, self.pool[chosen])


def setting(round_: int = 1, query: int = 5, dim: int = 2, pool: int = 0, qmax: int = 1000) -> Setting:
    items = np.arange(100, 100 + pool, dtype=np.int32)
    return Setting(
        bytes(range(32)), round_, 0.5, 2.0, qmax, query, dim, items, bytes(range(32, 64)), bytes(range(64, 96))
    )


def make_round(
    rng: np.random.Generator, clients: int, length: int, of: Setting | None = None, attempt: int = 0, items: int = 30
) -> Round:
    """Clients with ids up to a million, each with up to six items of so many, and coordinates up to ±qmax."""
    of = of or setting()
    sizes = chain_sizes(clients, length)
    chain_of = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    chosen = [rng.permutation(items)[: rng.integers(0, 7)].astype(np.int32) for _ in range(clients)]
    lengths = np.array([len(each) for each in chosen])
    union = unions(chain_of, len(sizes), lengths, np.concatenate(chosen))
    terms = [Terms(of, number, attempt, int(size), union[number]) for number, size in enumerate(sizes)]

    def numbers(*shape: int) -> I32:
        return rng.integers(-of.qmax, of.qmax, shape, endpoint=True).astype(np.int32)

    rows = [numbers(len(each), of.dim) for each in chosen]
    ids = rng.choice(1_000_000, clients, replace=False)
    return Round(terms, ids, chain_of, numbers(clients, of.query), chosen, rows, numbers(clients, len(of.pool), of.dim))


def members(made: Round, chain: int, secrets: Secrets | None = None) -> dict[int, Member]:
    """Fresh devices of a chain by id."""
    return {
        int(made.clients[place]): Member(int(made.clients[place]), secrets or SeededSecrets(7))
        for place in made.places(chain)
    }


def payloads(made: Round, chain: int) -> dict[int, I32]:
    return {int(made.clients[place]): made.payload(place) for place in made.places(chain)}
