"""The aggregator's side of one attempt of one chain. It relays what the members send, and adds."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from spfedrec_cli.dtypes import I32
from spfedrec_cli.federated.aggregation.chain.circle import commit
from spfedrec_cli.federated.aggregation.chain.failures import Refused, not_cancelled, silent
from spfedrec_cli.federated.aggregation.chain.masks import is_weak
from spfedrec_cli.federated.aggregation.chain.terms import DIGEST_BYTES, Terms, check_members, within
from spfedrec_cli.federated.wire import messages

Sent = messages.ChainCommitment | messages.ChainReveal | messages.MaskedUpdate
Kind = TypeVar("Kind", messages.ChainCommitment, messages.ChainReveal, messages.MaskedUpdate)
_PHASES: tuple[type[Sent], ...] = (messages.ChainCommitment, messages.ChainReveal, messages.MaskedUpdate)
_AWAITED = ("commitment", "reveal", "masked update")


class Collector:
    """Goes through three phases: commitments, reveals, masked updates. Each ends when its caller asks for the outcome.

    A message that is late, early, doubled, replayed, damaged or from a stranger is Refused and changes nothing. A phase
    that ends without a message of every member aborts the chain, naming who is missing.
    """

    def __init__(self, terms: Terms, members: Sequence[int]) -> None:
        self.terms, self.members = terms, tuple(sorted(members))
        check_members(terms, self.members)
        self._came: tuple[dict[int, Sent | None], ...] = ({}, {}, {})
        self._phase, self._aborted = 0, False
        self._total = np.zeros(terms.length, np.uint32)

    def invitation(self) -> messages.ChainInvitation:
        return messages.ChainInvitation(
            self.terms.setting.round, self._chain, np.array([self.terms.members], np.int32), self.terms.union
        )

    def receive(self, sender: int, message: messages.Message) -> None:
        """`sender` is who the authenticated channel says it is. Raises Refused; see above."""
        if not isinstance(message, _PHASES):
            raise self._refused(sender, message, "is not for the aggregator of a chain")
        if sender not in self.members:
            raise self._refused(sender, message, "is not from a member")
        if message.round != self.terms.setting.round or not np.array_equal(message.chain, self._chain):
            raise self._refused(sender, message, "is of another round, chain or attempt")
        phase = _PHASES.index(type(message))
        if sender in self._came[phase]:
            raise self._refused(sender, message, "came before; the first one stands")
        if phase != self._phase or self._aborted:
            raise self._refused(sender, message, "comes before its turn" if phase > self._phase else "comes too late")
        self._came[phase][sender] = self._taken(sender, message)

    def commitments(self) -> messages.ChainCommitments:
        """Ends the first phase. Raises Aborted where a commitment is missing."""
        came = self._end(messages.ChainCommitment, 0)
        sealed = np.stack([message.commitment for message in came])
        return messages.ChainCommitments(
            self.terms.setting.round, self._chain, np.array(self.members, np.int32), sealed
        )

    def roster(self) -> messages.ChainRoster:
        """Ends the second phase. Raises Aborted where a reveal is missing."""
        came = self._end(messages.ChainReveal, 1)
        contributions = np.stack([message.contribution for message in came])
        public_keys = np.stack([message.public_key for message in came])
        return messages.ChainRoster(self.terms.setting.round, self._chain, contributions, public_keys)

    def total(self) -> I32:
        """Ends the last phase: the sum (N,) of all payloads.

        Raises Aborted where an upload is missing, or where a coordinate lies beyond n · qmax: the masks did not cancel.
        """
        self._end(messages.MaskedUpdate, 2)
        total = self._total.view(np.int32)
        if not within(total, self.terms.bound):
            self._aborted = True
            raise not_cancelled(self.terms.where)
        return total

    def _taken(self, sender: int, message: Sent) -> Sent | None:
        """What is kept of a message: of an update nothing but its part in the sum."""
        if isinstance(message, messages.ChainCommitment):
            if message.commitment.shape != (DIGEST_BYTES,):
                raise self._refused(sender, message, "is not one of 32 bytes")
        elif isinstance(message, messages.ChainReveal):
            self._check_reveal(sender, message)
        else:
            if message.words.shape != (self.terms.length,):
                raise self._refused(sender, message, f"is not one of {self.terms.length} words")
            self._total += message.words.view(np.uint32)
            return None
        return message

    def _check_reveal(self, sender: int, message: messages.ChainReveal) -> None:
        if message.contribution.shape != (DIGEST_BYTES,) or message.public_key.shape != (DIGEST_BYTES,):
            raise self._refused(sender, message, "is not one of twice 32 bytes")
        opened = commit(self.terms.digest, sender, message.contribution.tobytes(), message.public_key.tobytes())
        sealed = self._came[0][sender]
        assert isinstance(sealed, messages.ChainCommitment)
        if opened != sealed.commitment.tobytes():
            raise self._refused(sender, message, "does not open its commitment")
        if is_weak(message.public_key.tobytes()):
            raise self._refused(sender, message, "has a public key of low order")

    def _end(self, kind: type[Kind], phase: int) -> list[Kind]:
        if self._aborted or phase != self._phase:
            raise Refused("This phase of the chain is not under way", where=self.terms.where)
        came = self._came[phase]
        missing = tuple(member for member in self.members if member not in came)
        if missing:
            self._aborted = True
            raise silent(_AWAITED[phase], missing, self.terms.where)
        self._phase += 1
        return [message for member in self.members if isinstance(message := came[member], kind)]

    def _refused(self, sender: int, message: messages.Message, problem: str) -> Refused:
        return Refused(f"The message ({message.kind}) {problem}", where=f"client {sender}, {self.terms.where}")

    @property
    def _chain(self) -> I32:
        return np.array([self.terms.chain, self.terms.attempt], np.int32)
