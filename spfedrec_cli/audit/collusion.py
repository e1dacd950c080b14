"""Members of secret-sharing chains who work with the aggregator take the masks off whoever sits between two of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from spfedrec_cli.audit import cut
from spfedrec_cli.audit.views import Upload
from spfedrec_cli.dtypes import I32, U32
from spfedrec_cli.federated.aggregation.chain.circle import circle, roster_digest
from spfedrec_cli.federated.aggregation.chain.masks import key_pair, mask, seed
from spfedrec_cli.federated.aggregation.chain.terms import Setting, Terms
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Crossing


def opened(crossings: Sequence[Crossing], setting: Setting, keys: Mapping[int, bytes]) -> tuple[Upload, ...]:
    """Updates without their masks, of members between two who work together; `keys` are the latter's secret keys in
    this round. `setting` is what every member knows by itself."""
    words: dict[int, I32] = {}
    for roster, terms in rosters(crossings, setting):
        words |= of_chain(crossings, roster, terms, keys)
    return tuple(each for each in cut.masked(crossings, words) if each.client in words)


def rosters(crossings: Sequence[Crossing], setting: Setting) -> list[tuple[messages.ChainRoster, Terms]]:
    """Of each chain that came so far its roster, and its terms as a member knows them."""
    invited = {
        int(each.message.chain[0]): each.message
        for each in crossings
        if isinstance(each.message, messages.ChainInvitation)
    }
    rosters = {
        int(each.message.chain[0]): each.message for each in crossings if isinstance(each.message, messages.ChainRoster)
    }
    found = []
    for chain, roster in rosters.items():
        number, attempt = roster.chain.tolist()
        members = int(invited[chain].members[0])
        found.append((roster, Terms(setting, number, attempt, members, np.asarray(invited[chain].union))))
    return found


def of_chain(
    crossings: Sequence[Crossing], roster: messages.ChainRoster, terms: Terms, keys: Mapping[int, bytes]
) -> dict[int, I32]:
    """The words (N,) of each of its members without their masks, if both its neighbours' keys are known and not its
    own."""
    exchanged = [each for each in crossings if _is_of(each.message, terms.chain)]
    members = next(each.message.members for each in exchanged if isinstance(each.message, messages.ChainCommitments))
    sent = {each.sender: each.message for each in exchanged if isinstance(each.message, messages.MaskedUpdate)}
    ids, public = members.tolist(), [row.tobytes() for row in roster.public_keys]
    sealed = roster_digest(terms.digest, ids, [row.tobytes() for row in roster.contributions], public)
    order, found = circle(sealed, ids), dict[int, I32]()
    for former, this, latter in zip(order[-1:] + order[:-1], order, order[1:] + order[:1], strict=True):
        victim, before, behind = ids[this], ids[former], ids[latter]
        if victim in sent and victim not in keys and before in keys and behind in keys:
            ahead = seed(key_pair(keys[behind])[0], public[this], sealed, victim, behind)
            back = seed(key_pair(keys[before])[0], public[this], sealed, before, victim)
            plain: U32 = np.asarray(sent[victim].words).view(np.uint32)
            found[victim] = (plain + mask(ahead, terms.length) - mask(back, terms.length)).view(np.int32)
    return found


def _is_of(message: messages.Message, chain: int) -> bool:
    kinds = (messages.ChainCommitments, messages.MaskedUpdate)
    return isinstance(message, kinds) and int(message.chain[0]) == chain
