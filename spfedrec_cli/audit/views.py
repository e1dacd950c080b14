"""What one party saw: the parts of a view, each as arrays, none of which says what was bought."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from spfedrec_cli.config import Settings
from spfedrec_cli.dtypes import F32, F64, I32, I64

Embed = Callable[[I64, list[I32]], F32]


@dataclass(frozen=True)
class Request:
    """One client's request in one round: items (n,), ascending, and the embeddings (n, d) that it was answered."""

    client: int
    round: int
    items: I32
    rows: F32


@dataclass(frozen=True)
class Upload:
    """One client's upload in one round, in units of the codec: Δθ_u (P,) and rows (n, d) of items (n,). Those from
    `published` on are of items that everybody was told."""

    client: int
    round: int
    items: I32
    rows: I32
    published: int
    query: I32


@dataclass(frozen=True)
class Sum:
    """What is revealed of several clients together: members (k,), rows (n, d) of items (n,), ascending, and Δθ_u (P,).
    `published` (m,) are the items that everybody was told."""

    round: int
    members: I64
    items: I32
    rows: F32
    query: F32
    published: I32


@dataclass(frozen=True)
class Model:
    """The towers, as whoever holds them can ask them: ṽ of all items (n_items, d); `embed`, which makes ũ (n, d) of
    clients (n,) with such purchases, oldest first; and `moved`, where ũ of a client of whom nothing is known goes (d,)
    if θ_u goes a little way along a vector (P,). `private` state is no part of it."""

    items: F32
    embed: Embed
    moved: Callable[[F32], F32]


@dataclass(frozen=True)
class Counted:
    """A sum of item popularity: buyers (n_items,) of each item among its members. Of the same members the server knows
    how many asked for each item (n_items,) in one round, and the requests of some."""

    buyers: I64
    asked: I64
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Union:
    """What the members (k,) of a chain are told: the items (n,), ascending, that somebody among them requested."""

    members: I64
    items: I32


@dataclass(frozen=True)
class Misled:
    """A round in which the server answered one client's request with `sent` (n, d), and all others' with zeros."""

    request: Request
    sent: F32
    total: Sum


@dataclass(frozen=True)
class Ranking:
    """What crosses in a round of the second stage: its weights (P,) before, the names of its features, the members (k,)
    of the round, and what each uploaded, or several together (k, P)."""

    weights: F32
    labels: tuple[str, ...]
    members: I64
    updates: F32


@dataclass(frozen=True)
class Candidates:
    """Whom or what an attacker asks about, without knowing the answer: clients (n,), and of each some items.

    Of a membership attack these are purchases that were really made; of canaries the two that a coin chose from.
    """

    clients: I64
    items: tuple[I32, ...]


@dataclass(frozen=True)
class View:
    """All that a party has. What it lacks is None; `settings` and `popularity` are known to everybody who takes part.

    `uploads` have no masks, `masked` have two, and of `opened` two members of a chain have taken them off, of
    `seated` puppets that had all other seats; `misled` are
    rounds of a server that departs from the protocol. `ranking` and `ranking_sums` are of the second stage. `renewed`
    are the requests of clients some purchases later, and `sales` (n_items,) how many more buyers were released by then.
    `popularity` (n_items,) holds as many buyers as were released, and `counted` the sums that it was made of, chain by
    chain; `unions` are those of the chains of several rounds; `known` half of some clients' purchases;
    `purchases` who is asked about by a membership attack, `customers` likewise; `planted` of each canary the item that
    nobody else bought, and the two items of which one was planted beside it. `before` is a model of an earlier
    training, and `customers_then` are asked about who took part in that one.
    """

    settings: Settings
    seed: int = 0
    popularity: F64 | None = None
    requests: tuple[Request, ...] | None = None
    uploads: tuple[Upload, ...] | None = None
    masked: tuple[Upload, ...] | None = None
    opened: tuple[Upload, ...] | None = None
    seated: tuple[Upload, ...] | None = None
    sums: tuple[Sum, ...] | None = None
    model: Model | None = None
    known: Candidates | None = None
    purchases: Candidates | None = None
    customers: Candidates | None = None
    planted: Candidates | None = None
    misled: tuple[Misled, ...] | None = None
    ranking: Ranking | None = None
    ranking_sums: Ranking | None = None
    renewed: tuple[Request, ...] | None = None
    sales: I64 | None = None
    counted: tuple[Counted, ...] | None = None
    unions: tuple[Union, ...] | None = None
    before: Model | None = None
    customers_then: Candidates | None = None

    def only(self, needs: tuple[str, ...]) -> "View":
        """The same without what an attack does not need."""
        others: dict[str, Any] = {part: None for part in PARTS if part not in needs}
        return replace(self, **others)

    def lacks(self, needs: tuple[str, ...]) -> list[str]:
        """What is needed and not there."""
        return [part for part in needs if getattr(self, part) is None]


PARTS = tuple(each.name for each in fields(View) if each.name not in ("settings", "seed"))
