"""Views cut from what was recorded: all that crossed, by who saw it."""

from collections.abc import Mapping, Sequence

import numpy as np

from spfedrec_cli.audit.views import Request, Sum, Upload
from spfedrec_cli.dtypes import F32, I32
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Crossing, Role

Key = tuple[int, int]  # round and client


def requests(crossings: Sequence[Crossing]) -> tuple[Request, ...]:
    """What the server was asked, and what it answered."""
    asked = {(each.message.round, each.sender): each.message for each in _of(crossings, messages.Request)}
    answered = {(each.message.round, each.receiver): each.message for each in _of(crossings, messages.Embeddings)}
    return tuple(
        Request(int(client), round_, np.asarray(message.items), np.asarray(answered[round_, client].rows))  # type: ignore
        for (round_, client), message in asked.items()
        if (round_, client) in answered
    )


def uploads(crossings: Sequence[Crossing]) -> tuple[Upload, ...]:
    """Updates as they are, without any mask."""
    told, asked = published(crossings), {(each.round, each.client): each.items for each in requests(crossings)}
    found = []
    for each in _of(crossings, messages.ClientUpdate):
        assert isinstance(each.message, messages.ClientUpdate)
        key, public = (each.message.round, int(each.sender)), told[each.message.round]  # type: ignore[arg-type]
        own = asked.get(key, np.empty(0, np.int32))
        rows = np.asarray(each.message.items)
        items, query = np.concatenate([own, public]).astype(np.int32), np.asarray(each.message.query)
        found.append(Upload(key[1], key[0], items, rows, len(own), query))
    return tuple(found)


def masked(crossings: Sequence[Crossing], instead: Mapping[int, I32] | None = None) -> tuple[Upload, ...]:
    """Uploads of secret-sharing chains, laid out as if they had no mask; rows that the client itself asked for. Words
    of some clients may be given `instead` of those that crossed."""
    told, asked = published(crossings), {(each.round, each.client): each.items for each in requests(crossings)}
    found = []
    for key, members in _chains(crossings).items():
        for client, words in members.words.items():
            own = asked.get((key[0], client), np.empty(0, np.int32))
            query, of_union, of_pool = _parts(members, (instead or {}).get(client, words), told[key[0]])
            rows = np.concatenate([of_union[np.searchsorted(members.union, own)], of_pool])
            items = np.concatenate([own, told[key[0]]]).astype(np.int32)
            found.append(Upload(client, key[0], items, rows, len(own), query))
    return tuple(found)


def sums(crossings: Sequence[Crossing]) -> tuple[Sum, ...]:
    """What is revealed: of every chain, or of the whole cohort where no chain was made."""
    told, chains = published(crossings), _chains(crossings)
    if chains:
        return tuple(_chain_sum(key[0], each, told[key[0]]) for key, each in chains.items() if each.is_whole)
    by_round: dict[int, list[Upload]] = {}
    for upload in uploads(crossings):
        by_round.setdefault(upload.round, []).append(upload)
    return tuple(_cohort_sum(round_, parts, told[round_]) for round_, parts in by_round.items())


def published(crossings: Sequence[Crossing]) -> dict[int, I32]:
    """Of each round the items that everybody was told: the pool's or the slate's."""
    found: dict[int, I32] = {}
    for each in crossings:
        if isinstance(each.message, messages.Broadcast):
            found.setdefault(each.message.round, np.asarray(each.message.pool_items))
        if isinstance(each.message, messages.PublishedSlate):
            found[each.message.round] = np.asarray(each.message.items)
    return found


def _of(crossings: Sequence[Crossing], kind: type[messages.Message]) -> list[Crossing]:
    return [each for each in crossings if isinstance(each.message, kind)]


class _Chain:
    """What the aggregator has of a chain; `words` of each member that uploaded."""

    def __init__(self, invitation: messages.ChainInvitation, query: int, dim: int) -> None:
        self.union, self.count = np.asarray(invitation.union), int(invitation.members[0])
        self.query, self.dim = query, dim
        self.words: dict[int, I32] = {}

    @property
    def is_whole(self) -> bool:
        return len(self.words) == self.count


def _chains(crossings: Sequence[Crossing]) -> dict[tuple[int, int], _Chain]:
    shapes = {
        each.message.round: (len(each.message.query), each.message.pool_embeddings.shape[1])
        for each in crossings
        if isinstance(each.message, messages.Broadcast)
    }
    found: dict[tuple[int, int], _Chain] = {}
    for each in crossings:
        message = each.message
        if not isinstance(message, messages.ChainInvitation | messages.MaskedUpdate) or message.round not in shapes:
            continue  # a sum that is made before any round has no broadcast
        if isinstance(message, messages.ChainInvitation):
            key = message.round, int(message.chain[0])
            found.setdefault(key, _Chain(message, *shapes[message.round]))
        if isinstance(message, messages.MaskedUpdate):
            assert not isinstance(each.sender, Role)
            found[message.round, int(message.chain[0])].words[each.sender] = np.asarray(message.words)
    return found


def _parts(chain: _Chain, words: I32, pool: I32) -> tuple[I32, I32, I32]:
    query, rows = words[: chain.query], words[chain.query :].reshape(-1, chain.dim)
    assert len(rows) == len(chain.union) + len(pool)
    return query, rows[: len(chain.union)], rows[len(chain.union) :]


def _chain_sum(round_: int, chain: _Chain, pool: I32) -> Sum:
    words = np.stack([each.view(np.uint32) for each in chain.words.values()])
    total: I32 = words.sum(0, dtype=np.uint32).view(np.int32)
    query, of_union, of_pool = _parts(chain, total, pool)
    items, rows = _added(np.concatenate([chain.union, pool]), np.concatenate([of_union, of_pool]))
    return Sum(round_, np.array(sorted(chain.words)), items, rows, query.astype(np.float32), pool)


def _cohort_sum(round_: int, uploaded: Sequence[Upload], pool: I32) -> Sum:
    found = np.unique(np.concatenate([upload.items for upload in uploaded]))
    rows = np.zeros((len(found), uploaded[0].rows.shape[1]), np.float64)
    for upload in uploaded:
        places = np.searchsorted(found, upload.items)
        for part in (slice(0, upload.published), slice(upload.published, None)):  # in each of which an item stands once
            rows[places[part]] += upload.rows[part]
    members = np.array(sorted(upload.client for upload in uploaded), np.int64)
    query = np.sum([upload.query for upload in uploaded], axis=0)
    return Sum(round_, members, found, rows.astype(np.float32), np.asarray(query, np.float32), pool)


def _added(items: I32, rows: I32) -> tuple[I32, F32]:
    """Distinct items, ascending, and the sums of their rows."""
    found, place = np.unique(items, return_inverse=True)
    total = np.zeros((len(found), rows.shape[1]), np.float64)
    np.add.at(total, place, rows)
    return found.astype(np.int32), total.astype(np.float32)
