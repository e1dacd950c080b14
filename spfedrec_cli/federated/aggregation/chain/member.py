"""One client in a chain: what runs on its device, a message in and a message out."""

from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from spfedrec_cli.dtypes import I32, U32
from spfedrec_cli.federated.aggregation.chain.circle import circle, commit, roster_digest
from spfedrec_cli.federated.aggregation.chain.failures import Aborted, Refused
from spfedrec_cli.federated.aggregation.chain.masks import WORD, key_pair, mask, seed
from spfedrec_cli.federated.aggregation.chain.sources import CONTRIBUTION, KEY, Secrets
from spfedrec_cli.federated.aggregation.chain.terms import DIGEST_BYTES, Setting, Terms, within
from spfedrec_cli.federated.wire import messages

ATTEMPTS = 3  # of a chain in a round, counted from 0


@dataclass
class _Attempt:
    """What a device holds from its commitment until it uploads; `listed` after it has revealed."""

    terms: Terms
    private: X25519PrivateKey
    public_key: bytes
    contribution: bytes
    commitment: bytes
    listed: messages.ChainCommitments | None = None

    def has_id(self, message: messages.Message, chain: I32) -> bool:
        named = (self.terms.chain, self.terms.attempt)
        return message.round == self.terms.setting.round and tuple(chain.tolist()) == named


@dataclass
class Past:
    """What a device remembers of one run: the last round in which it `uploaded`, the `latest` attempt (round, attempt)
    that it was invited to, the round and members of the last list of commitments, and who is `out`."""

    uploaded: int = -1
    latest: tuple[int, int] = (-1, -1)
    listed: tuple[int, frozenset[int]] = (-1, frozenset())
    out: set[int] = field(default_factory=set)


@dataclass
class Kept:
    """What a device remembers of all runs, by their 32 bytes: none is forgotten, so that none begins anew."""

    runs: dict[bytes, Past] = field(default_factory=dict)

    def of(self, run: bytes) -> Past:
        return self.runs.setdefault(run, Past())


class Member:
    """A client's side of all its chains, one attempt at a time.

    `kept` has to outlive the device's restarts: a client that masked one payload in two different chains would be given
    away by the difference of their sums.
    """

    def __init__(self, client: int, secrets: Secrets, kept: "Kept | None" = None) -> None:
        self.client, self.kept = client, kept or Kept()
        self._secrets = secrets
        self._attempt: _Attempt | None = None

    def accept(self, invitation: messages.ChainInvitation, setting: Setting) -> messages.ChainCommitment:
        """Makes a key pair and a contribution for this attempt, and seals them.

        Raises Refused for an invitation of another round, or not newer than the last one; InputError for a chain of
        fewer than three.
        """
        if invitation.chain.shape != (2,) or invitation.members.shape != (1,) or invitation.round != setting.round:
            raise Refused("The invitation is not one to this round", where=self._where)
        chain, attempt = invitation.chain.tolist()
        past = self.kept.of(setting.run)
        if invitation.round <= past.uploaded:
            raise Refused("This client has uploaded in this round, and does so once", where=self._where)
        if (invitation.round, attempt) <= past.latest:
            raise Refused("The invitation is to an attempt that is over", where=self._where)
        if attempt >= ATTEMPTS:
            raise Refused(f"A round has {ATTEMPTS} attempts: with more the order could be chosen", where=self._where)
        terms = Terms(setting, chain, attempt, int(invitation.members[0]), invitation.union)
        self._attempt, past.latest = self._begin(terms), (invitation.round, attempt)
        sealed = np.frombuffer(self._attempt.commitment, np.uint8)
        return messages.ChainCommitment(setting.round, invitation.chain, sealed)

    def reveal(self, commitments: messages.ChainCommitments) -> messages.ChainReveal:
        """Opens its seal once it has seen everybody's.

        Raises Refused for a message of another attempt or out of turn, Aborted where the list is no list of this chain.
        """
        attempt = self._expect(commitments, commitments.chain, revealed=False)
        self._check_commitments(attempt, commitments)
        self._check_company(attempt, commitments.members.tolist())
        attempt.listed = commitments
        opened = (np.frombuffer(part, np.uint8) for part in (attempt.contribution, attempt.public_key))
        return messages.ChainReveal(commitments.round, commitments.chain, *opened)

    def upload(self, roster: messages.ChainRoster, payload: I32) -> messages.MaskedUpdate:
        """y = x − PRG(shared with the next) + PRG(shared with the one before); the secrets are forgotten.

        Raises Refused for a message of another attempt or out of turn; Aborted where a reveal does not open its
        commitment. ValueError for a payload of another length, or beyond the codec's range.
        """
        attempt = self._expect(roster, roster.chain, revealed=True)
        qmax = attempt.terms.setting.qmax
        if payload.shape != (attempt.terms.length,) or payload.dtype != np.int32:
            raise ValueError(f"a payload is a vector of {attempt.terms.length} int32")
        if not within(payload, qmax):
            raise ValueError(f"a payload stays within ±{qmax}")
        masked = payload.view(np.uint32) + self._mask(attempt, roster)
        self._attempt, self.kept.of(attempt.terms.setting.run).uploaded = None, roster.round
        return messages.MaskedUpdate(roster.round, roster.chain, masked.astype(WORD).view("<i4"))

    def _begin(self, terms: Terms) -> _Attempt:
        address = self.client, terms.setting.round, terms.attempt
        private, public_key = key_pair(self._secrets.draw(*address, KEY))
        contribution = self._secrets.draw(*address, CONTRIBUTION)
        sealed = commit(terms.digest, self.client, contribution, public_key)
        return _Attempt(terms, private, public_key, contribution, sealed)

    def _check_commitments(self, attempt: _Attempt, message: messages.ChainCommitments) -> None:
        members, n = message.members, attempt.terms.members
        if members.shape != (n,) or message.commitments.shape != (n, DIGEST_BYTES):
            raise self._leave(f"The list of commitments is not one of {n} members")
        if (members < 0).any() or (np.diff(members.astype(np.int64)) <= 0).any():
            raise self._leave("The members of the chain are not distinct and ascending")
        mine = message.commitments[members == self.client]
        if len(mine) != 1 or mine.tobytes() != attempt.commitment:
            raise self._leave("This client's own commitment is not in the list")

    def _check_company(self, attempt: _Attempt, members: list[int]) -> None:
        """Who was listed before in this round and is not listed now has not revealed, and is out for the run; somebody
        has to be: an attempt with the same members would be another throw of the dice for the order."""
        past, round_ = self.kept.of(attempt.terms.setting.run), attempt.terms.setting.round
        before = past.listed[1] if past.listed[0] == round_ else frozenset()
        if before and not before > set(members):
            raise self._leave("The members are not some of those of the attempt before")
        back = past.out & set(members)
        if back:
            raise self._leave(f"Client {min(back)} has not revealed in an earlier attempt, and is out for the run")
        past.out |= before - set(members)
        past.listed = round_, frozenset(members)

    def _mask(self, attempt: _Attempt, roster: messages.ChainRoster) -> U32:
        members, contributions, public_keys = self._check_roster(attempt, roster)
        sealed = roster_digest(attempt.terms.digest, members, contributions, public_keys)
        order = circle(sealed, members)
        place = order.index(members.index(self.client))
        former, latter = order[place - 1], order[(place + 1) % len(order)]
        try:
            ahead = seed(attempt.private, public_keys[latter], sealed, self.client, members[latter])
            behind = seed(attempt.private, public_keys[former], sealed, members[former], self.client)
        except ValueError:
            raise self._leave("A neighbour's public key is of low order") from None
        return mask(behind, attempt.terms.length) - mask(ahead, attempt.terms.length)

    def _check_roster(
        self, attempt: _Attempt, roster: messages.ChainRoster
    ) -> tuple[list[int], list[bytes], list[bytes]]:
        assert attempt.listed is not None
        shape = (attempt.terms.members, DIGEST_BYTES)
        if roster.contributions.shape != shape or roster.public_keys.shape != shape:
            raise self._leave(f"The roster is not one of {shape[0]} members")
        members = attempt.listed.members.tolist()
        contributions = [row.tobytes() for row in roster.contributions]
        public_keys = [row.tobytes() for row in roster.public_keys]
        for row, (member, contribution, public_key) in enumerate(zip(members, contributions, public_keys, strict=True)):
            sealed = commit(attempt.terms.digest, member, contribution, public_key)
            if sealed != attempt.listed.commitments[row].tobytes():
                raise self._leave(f"What client {member} revealed does not open its commitment")
        return members, contributions, public_keys

    def _expect(self, message: messages.Message, chain: I32, revealed: bool) -> _Attempt:
        attempt = self._attempt
        if attempt is None or not attempt.has_id(message, chain):
            raise Refused(f"The message ({message.kind}) is not of the attempt that is under way", where=self._where)
        if (attempt.listed is not None) != revealed:
            problem = "comes twice; the first one stands" if attempt.listed is not None else "comes before its turn"
            raise Refused(f"The message ({message.kind}) {problem}", where=self._where)
        return attempt

    def _leave(self, problem: str) -> Aborted:
        """The device goes out of the chain and forgets its secrets."""
        where, self._attempt = self._where, None
        return Aborted(problem, where=where)

    @property
    def _where(self) -> str:
        return f"client {self.client}" + (f", {self._attempt.terms.where}" if self._attempt else "")
