"""Messages that are missing, late, early, doubled, replayed, changed or from a stranger: each has its own sentence."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from chaining import Round, make_round, members, payloads, setting
from exchanges import exchanged

from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.chain.circle import commit
from spfedrec_cli.federated.aggregation.chain.collector import Collector
from spfedrec_cli.federated.aggregation.chain.failures import Aborted, Refused
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import SeededSecrets
from spfedrec_cli.federated.aggregation.chain.terms import Terms
from spfedrec_cli.federated.wire import messages

OTHERS: list[dict[str, Any]] = [
    {"round": 2},
    {"chain": np.array([1, 0], np.int32)},
    {"chain": np.array([0, 1], np.int32)},
]
PHASES = ("commitment", "reveal", "masked update")


class Table:
    """A chain of four, taken as far as a test wants it."""

    def __init__(self, attempt: int = 0, round_: int = 1) -> None:
        self.made: Round = make_round(np.random.default_rng(0), 4, 4, setting(round_), attempt)
        self.terms: Terms = self.made.terms[0]
        self.members = members(self.made, 0)
        self.payloads = payloads(self.made, 0)
        self.ids = sorted(self.members)
        self.collector = Collector(self.terms, self.ids)
        self.lists: Any = None
        self.rosters: Any = None

    def message(self, client: int, phase: int) -> Any:
        member = self.members[client]
        if phase == 0:
            return member.accept(self.collector.invitation(), self.terms.setting)
        return member.reveal(self.lists) if phase == 1 else member.upload(self.rosters, self.payloads[client])

    def play(self, phase: int, clients: list[int] | None = None) -> list[Any]:
        sent = [(client, self.message(client, phase)) for client in (self.ids if clients is None else clients)]
        for client, message in sent:
            self.collector.receive(client, message)
        return [message for _, message in sent]

    def until(self, phase: int) -> "Table":
        """All phases before this one, each complete and ended."""
        for earlier in range(phase):
            self.play(earlier)
            self.end(earlier)
        return self

    def end(self, phase: int) -> Any:
        if phase == 0:
            self.lists = self.collector.commitments()
        elif phase == 1:
            self.rosters = self.collector.roster()
        else:
            return self.collector.total()
        return None

    @property
    def plain(self) -> Any:
        return np.sum(list(self.payloads.values()), axis=0)


@pytest.mark.parametrize("phase", range(3))
def test_a_missing_message_aborts_and_names_its_sender(phase: int) -> None:
    table = Table().until(phase)
    table.play(phase, table.ids[:1] + table.ids[2:])
    with pytest.raises(Aborted, match=f"No {PHASES[phase]} came from client {table.ids[1]} ") as caught:
        table.end(phase)
    assert caught.value.missing == (table.ids[1],)
    with pytest.raises(Refused, match="comes too late"):
        table.collector.receive(table.ids[1], table.message(table.ids[1], phase))
    with pytest.raises(Refused, match="not under way"):
        table.end(phase)


def test_several_missing_are_named() -> None:
    table = Table()
    with pytest.raises(Aborted, match=r"from clients \d+, \d+, \d+ and \d+ \("):
        table.end(0)
    many = make_round(np.random.default_rng(0), 9, 9)
    collector = Collector(many.terms[0], many.clients.tolist())
    with pytest.raises(Aborted, match=r"from clients \d+, \d+, \d+ and 6 more \("):
        collector.commitments()


@pytest.mark.parametrize("phase", range(3))
def test_a_doubled_message_is_refused_and_the_first_one_stands(phase: int) -> None:
    table = Table().until(phase)
    sent = table.play(phase)
    with pytest.raises(Refused, match="came before; the first one stands"):
        table.collector.receive(table.ids[0], sent[0])
    if phase < 2:
        table.end(phase)
        for later in range(phase + 1, 3):
            table.play(later)
            total = table.end(later)
    else:
        total = table.end(2)
    np.testing.assert_array_equal(total, table.plain)


@pytest.mark.parametrize("phase", range(3))
def test_a_stranger_is_refused(phase: int) -> None:
    table = Table().until(phase)
    with pytest.raises(Refused, match="is not from a member"):
        table.collector.receive(1_000_001, table.message(table.ids[0], phase))


@pytest.mark.parametrize("changes", OTHERS)
@pytest.mark.parametrize("phase", range(3))
def test_a_message_of_another_round_chain_or_attempt_is_refused(phase: int, changes: dict[str, Any]) -> None:
    table = Table().until(phase)
    message = table.message(table.ids[0], phase)
    with pytest.raises(Refused, match="is of another round, chain or attempt"):
        table.collector.receive(table.ids[0], replace(message, **changes))
    table.collector.receive(table.ids[0], message)


def test_messages_out_of_order_are_refused() -> None:
    """Early to the aggregator; early, and of another attempt, to a member."""
    table, ahead = Table(), Table().until(2)
    early = ahead.message(ahead.ids[0], 2)
    with pytest.raises(Refused, match="comes before its turn"):
        table.collector.receive(table.ids[0], early)
    with pytest.raises(Refused, match="not under way"):
        table.collector.roster()
    member = table.members[table.ids[0]]
    with pytest.raises(Refused, match=r"\(commitments\) is not of the attempt that is under way"):
        member.reveal(ahead.lists)
    table.message(table.ids[0], 0)
    with pytest.raises(Refused, match=r"\(roster\) comes before its turn"):
        member.upload(ahead.rosters, table.payloads[table.ids[0]])


def test_members_may_send_in_any_order() -> None:
    table = Table()
    for phase in range(3):
        table.play(phase, table.ids[::-1])
        total = table.end(phase)
    np.testing.assert_array_equal(total, table.plain)


def test_what_no_member_sends_is_refused() -> None:
    table = Table()
    with pytest.raises(Refused, match=r"\(invitation\) is not for the aggregator"):
        table.collector.receive(table.ids[0], table.collector.invitation())


@pytest.mark.parametrize("part", ["contribution", "public_key"])
def test_a_changed_reveal_is_refused_and_the_true_one_taken(part: str) -> None:
    table = Table().until(1)
    message = table.message(table.ids[0], 1)
    changed = getattr(message, part).copy()
    changed[5] ^= 1
    with pytest.raises(Refused, match="does not open its commitment"):
        table.collector.receive(table.ids[0], replace(message, **{part: changed}))
    table.collector.receive(table.ids[0], message)


@pytest.mark.parametrize("phase,match", [(0, "32 bytes"), (1, "twice 32 bytes"), (2, r"one of \d+ words")])
def test_messages_of_a_wrong_size_are_refused(phase: int, match: str) -> None:
    table = Table().until(phase)
    message = table.message(table.ids[0], phase)
    name = ("commitment", "public_key", "words")[phase]
    with pytest.raises(Refused, match=match):
        table.collector.receive(table.ids[0], replace(message, **{name: getattr(message, name)[:-1]}))


def test_a_changed_upload_breaks_the_sum() -> None:
    """A change beyond the range of an honest sum is seen; the chain has no output, now or later."""
    table = Table().until(2)
    table.play(2, table.ids[1:])
    message = table.message(table.ids[0], 2)
    words = message.words.copy()
    words.view(np.uint32)[0] ^= np.uint32(1 << 31)
    table.collector.receive(table.ids[0], replace(message, words=words))
    with pytest.raises(Aborted, match="masks do not cancel"):
        table.collector.total()
    with pytest.raises(Refused, match="not under way"):
        table.collector.total()


def test_a_change_within_the_range_is_not_seen() -> None:
    """The check is no authentication: who may change an upload by one changes the sum by one."""
    table = Table().until(2)
    for member in table.payloads.values():
        member[:] = 0
    table.play(2, table.ids[1:])
    message = table.message(table.ids[0], 2)
    table.collector.receive(table.ids[0], replace(message, words=message.words + np.int32(1)))
    assert set(table.collector.total().tolist()) == {1}


def negative_first(listed: messages.ChainCommitments) -> messages.ChainCommitments:
    """The second member under an id below zero, in order and with everybody's commitment."""
    members = np.concatenate([np.array([-1], np.int32), listed.members[[0, 2, 3]]])
    return replace(listed, members=members, commitments=listed.commitments[[1, 0, 2, 3]])


class TestDevice:
    """What a member does not take from the aggregator."""

    def test_the_same_message_twice(self) -> None:
        table = Table().until(2)
        first = table.members[table.ids[0]]
        with pytest.raises(Refused, match=r"\(commitments\) comes twice; the first one stands"):
            first.reveal(table.lists)
        table.message(table.ids[0], 2)
        with pytest.raises(Refused, match=r"\(roster\) is not of the attempt that is under way"):
            table.message(table.ids[0], 2)

    @pytest.mark.parametrize("changes", OTHERS)
    def test_a_message_of_another_round_chain_or_attempt(self, changes: dict[str, Any]) -> None:
        """A replay while an attempt is under way is not taken, and the true message still is."""
        table = Table().until(1)
        client, told = table.ids[0], "is not of the attempt that is under way"
        with pytest.raises(Refused, match=told):
            table.members[client].reveal(replace(table.lists, **changes))
        table.play(1)
        table.end(1)
        with pytest.raises(Refused, match=told):
            table.members[client].upload(replace(table.rosters, **changes), table.payloads[client])
        table.play(2)
        np.testing.assert_array_equal(table.end(2), table.plain)

    def test_an_invitation_to_an_attempt_that_is_over(self) -> None:
        table = Table(attempt=1)
        member = table.members[table.ids[0]]
        table.message(table.ids[0], 0)
        for old in (Table(attempt=1), Table(attempt=0)):
            with pytest.raises(Refused, match="attempt that is over"):
                member.accept(old.collector.invitation(), old.terms.setting)
        later = Table(attempt=2)
        member.accept(later.collector.invitation(), later.terms.setting)

    def test_it_uploads_once_a_round(self) -> None:
        """Another attempt without one member would give that member away by the difference of the sums."""
        table, again, after = Table().until(2), Table(attempt=1), Table(round_=2)
        table.play(2)
        member = table.members[table.ids[0]]
        assert member.kept.of(table.terms.setting.run).uploaded == 1
        restarted = Member(member.client, SeededSecrets(7), deepcopy(member.kept))
        for device in (member, restarted):
            with pytest.raises(Refused, match="does so once"):
                device.accept(again.collector.invitation(), again.terms.setting)
            device.accept(after.collector.invitation(), after.terms.setting)

    def test_it_uploads_once_in_every_run_and_forgets_none(self) -> None:
        """Two runs of one number of rounds do not stand in each other's way, and neither comes back."""
        table, other = Table().until(2), Table()
        table.play(2)
        device = table.members[table.ids[0]]
        elsewhere = replace(table.terms.setting, run=bytes(reversed(range(32))))
        device.accept(other.collector.invitation(), elsewhere)
        with pytest.raises(Refused, match="attempt that is over"):
            device.accept(other.collector.invitation(), elsewhere)
        with pytest.raises(Refused, match="does so once"):
            device.accept(other.collector.invitation(), table.terms.setting)

    def test_a_fourth_attempt(self) -> None:
        table = Table(attempt=3)
        with pytest.raises(Refused, match="A round has 3 attempts"):
            table.message(table.ids[0], 0)

    def test_an_attempt_with_the_same_members_again(self) -> None:
        """Whoever could throw the dice again and again would choose the order."""
        first, second = Table().until(1), Table(attempt=1)
        first.play(1)
        second.members = first.members
        second.until(1)
        with pytest.raises(Aborted, match="not some of those of the attempt before"):
            second.message(second.ids[0], 1)

    def test_who_did_not_reveal_is_out_for_the_run(self) -> None:
        first, device = Table().until(1), None
        first.play(1, first.ids[1:])
        device = first.members[first.ids[1]]
        fewer = replace(first.terms, attempt=1, members=3)
        left = {client: first.members[client] for client in first.ids[1:]}
        exchanged(fewer, left, {client: first.payloads[client] for client in left})
        later = Table(round_=2)
        later.members = {**later.members, first.ids[1]: device}
        later.until(1)
        with pytest.raises(Aborted, match=f"Client {first.ids[0]} has not revealed in an earlier attempt"):
            later.message(first.ids[1], 1)

    def test_settings_of_another_training(self) -> None:
        """What one member takes for the settings enters its keys: the masks do not cancel."""
        table = Table()
        odd = replace(table.terms.setting, settings=bytes(32))
        members_ = dict(table.members)
        sealed = [
            (each, members_[each].accept(table.collector.invitation(), odd if place == 0 else table.terms.setting))
            for place, each in enumerate(table.ids)
        ]
        for client, message in sealed:
            table.collector.receive(client, message)
        table.end(0)
        with pytest.raises(Refused, match="does not open"):
            table.collector.receive(table.ids[0], members_[table.ids[0]].reveal(table.lists))

    def test_an_invitation_of_another_round(self) -> None:
        table = Table()
        invitation = replace(table.collector.invitation(), round=2)
        with pytest.raises(Refused, match="not one to this round"):
            table.members[table.ids[0]].accept(invitation, table.terms.setting)

    @pytest.mark.parametrize(
        "changes,match",
        [
            ({"members": np.array([2], np.int32)}, "A chain of 2 protects nobody"),
            ({"members": np.array([3_000_000], np.int32)}, "overflows 32 bits"),
            ({"union": np.array([3, 3], np.int32)}, "distinct and ascending"),
            ({"union": np.array([-3, 3], np.int32)}, "distinct and ascending"),
            ({"chain": np.array([-1, 0], np.int32)}, "counted from 0"),
        ],
    )
    def test_an_invitation_to_something_that_is_no_chain(self, changes: dict[str, Any], match: str) -> None:
        table = Table()
        with pytest.raises(InputError, match=match):
            table.members[table.ids[0]].accept(replace(table.collector.invitation(), **changes), table.terms.setting)

    @pytest.mark.parametrize(
        "change,match",
        [
            (lambda m: replace(m, members=m.members[:3], commitments=m.commitments[:3]), "not one of 4 members"),
            (lambda m: replace(m, members=m.members[[0, 1, 1, 3]]), "not distinct and ascending"),
            (lambda m: replace(m, members=m.members[[0, 2, 1, 3]]), "not distinct and ascending"),
            (negative_first, "not distinct and ascending"),
            (lambda m: replace(m, members=m.members + np.int32(1)), "own commitment is not in the list"),
            (lambda m: replace(m, commitments=m.commitments[[1, 1, 2, 3]]), "own commitment is not in the list"),
        ],
    )
    def test_a_changed_list_of_commitments(self, change: Any, match: str) -> None:
        """The member leaves and forgets its secrets: not even the true list makes it reveal."""
        table = Table().until(1)
        member = table.members[table.ids[0]]
        with pytest.raises(Aborted, match=match):
            member.reveal(change(table.lists))
        with pytest.raises(Refused, match="not of the attempt that is under way"):
            member.reveal(table.lists)

    @pytest.mark.parametrize("part", ["contributions", "public_keys"])
    def test_a_changed_roster(self, part: str) -> None:
        """The aggregator cannot put in a contribution or a key after it has seen the others."""
        table = Table().until(2)
        changed = getattr(table.rosters, part).copy()
        changed[2, 0] ^= 1
        table.rosters = replace(table.rosters, **{part: changed})
        with pytest.raises(Aborted, match=f"What client {table.ids[2]} revealed does not open its commitment"):
            table.message(table.ids[0], 2)
        table.rosters = replace(table.rosters, public_keys=changed[:3])
        with pytest.raises(Aborted, match="not one of 4 members"):
            table.message(table.ids[1], 2)

    def test_a_neighbour_s_key_of_low_order(self) -> None:
        """Whoever commits to the key 0 would know what it shares with everybody: nothing. An aggregator that does not
        look lets both neighbours leave."""
        table = weak_table()
        reveals = [table.message(client, 1) for client in table.ids]
        contributions, public_keys = (
            np.stack([getattr(message, part) for message in reveals]) for part in ("contribution", "public_key")
        )
        table.rosters = messages.ChainRoster(1, reveals[0].chain, contributions, public_keys)
        failures = []
        for client in table.ids[1:]:
            try:
                table.message(client, 2)
            except Aborted as failure:
                failures.append(str(failure))
        assert len(failures) == 2
        assert all("of low order" in failure for failure in failures)

    @pytest.mark.parametrize(
        "payload,match",
        [
            (lambda x: x[:-1], "vector of"),
            (lambda x: x.astype(np.int64), "vector of"),
            (lambda x: np.where(np.arange(len(x)) == 0, 1001, x).astype(np.int32), "within ±1000"),
            (lambda x: np.where(np.arange(len(x)) == 0, -(2**31), x).astype(np.int32), "within ±1000"),
        ],
    )
    def test_a_payload_that_does_not_fit(self, payload: Any, match: str) -> None:
        table = Table().until(2)
        client = table.ids[0]
        with pytest.raises(ValueError, match=match):
            table.members[client].upload(table.rosters, payload(table.payloads[client]))


class Weak(Member):
    """A device whose key is of low order, and sealed as such."""

    def _begin(self, terms: Terms) -> Any:
        begun = super()._begin(terms)
        begun.public_key = bytes(32)
        begun.commitment = commit(terms.digest, self.client, begun.contribution, begun.public_key)
        return begun


def weak_table() -> Table:
    """All have committed, the first one to a key of low order."""
    table = Table()
    table.members[table.ids[0]] = Weak(table.ids[0], SeededSecrets(7))
    return table.until(1)


def test_who_has_a_key_of_low_order_is_named_and_not_its_neighbours() -> None:
    """Else a chain that is tried again without the missing ones would lose two honest members to each liar."""
    table = weak_table()
    with pytest.raises(Refused, match="has a public key of low order"):
        table.collector.receive(table.ids[0], table.message(table.ids[0], 1))
    table.play(1, table.ids[1:])
    with pytest.raises(Aborted) as caught:
        table.end(1)
    assert caught.value.missing == (table.ids[0],)


def test_members_that_were_told_different_things_end_in_no_sum() -> None:
    """One member received another broadcast: what it reveals opens nothing for anybody else."""
    table = Table()
    odd, other = table.ids[0], replace(table.terms.setting, broadcast=bytes(32))
    table.collector.receive(odd, table.members[odd].accept(table.collector.invitation(), other))
    table.play(0, table.ids[1:])
    table.end(0)
    with pytest.raises(Refused, match="does not open its commitment"):
        table.collector.receive(odd, table.message(odd, 1))


def test_an_aggregator_that_tells_two_stories_gets_noise() -> None:
    """A colluding member has two contributions; the aggregator relays one of them to two members, the other to a third.
    Every check of each of them passes, and still no mask between two who were told differently cancels."""
    table = Table().until(2)
    liar, *honest = table.ids
    twin = Member(liar, SeededSecrets(8))
    second = twin.accept(table.collector.invitation(), table.terms.setting)
    lists, rosters = table.lists, table.rosters
    other = Table()
    other.play(0, honest)
    other.collector.receive(liar, second)
    other.lists = other.collector.commitments()
    opened = twin.reveal(other.lists)
    other.play(1, honest)
    other.collector.receive(liar, opened)
    other.rosters = other.collector.roster()

    told = [(lists, rosters), (lists, rosters), (other.lists, other.rosters)]
    zeros = np.zeros(table.terms.length, np.int32)
    total = twin.upload(other.rosters, zeros).words.view(np.uint32).copy()
    for client, (first, then) in zip(honest, told, strict=True):
        member = Member(client, SeededSecrets(7))
        member.accept(table.collector.invitation(), table.terms.setting)
        member.reveal(first)
        total += member.upload(then, zeros).words.view(np.uint32)
    assert np.abs(total.view(np.int32).astype(np.int64)).max() > table.terms.bound


def test_a_retry_has_fresh_keys() -> None:
    """The first attempt fails for want of a reveal; the second one, of those who are left, succeeds."""
    table = Table().until(1)
    gone = table.ids[0]
    first = table.play(1, table.ids[1:])
    with pytest.raises(Aborted):
        table.collector.roster()
    terms = replace(table.terms, attempt=1, members=3)
    left = {client: table.members[client] for client in table.ids[1:]}
    sent = {client: table.payloads[client] for client in left}
    exchange = exchanged(terms, left, sent)
    np.testing.assert_array_equal(exchange.total, table.plain - table.payloads[gone])
    keys = {m.public_key.tobytes() for m in exchange.crossed if isinstance(m, messages.ChainReveal)}
    assert not keys & {message.public_key.tobytes() for message in first}
