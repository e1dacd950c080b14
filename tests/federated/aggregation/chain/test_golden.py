"""The golden transcript: a second implementation made it, and this one makes it to the byte."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanges import Exchange, exchanged
from second_chain import INPUTS, transcript

from spfedrec_cli.federated.aggregation.chain.circle import circle, roster_digest
from spfedrec_cli.federated.aggregation.chain.masks import key_pair, mask, seed
from spfedrec_cli.federated.aggregation.chain.member import Member
from spfedrec_cli.federated.aggregation.chain.sources import KEY
from spfedrec_cli.federated.aggregation.chain.terms import Setting, Terms
from spfedrec_cli.federated.wire import messages

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden.json").read_text())
ROWS = {row["id"]: row for row in GOLDEN["members"]}


class Written:
    """The secrets that stand in the transcript."""

    def draw(self, client: int, round_: int, attempt: int, purpose: int) -> bytes:
        return bytes.fromhex(ROWS[client]["secret_key" if purpose == KEY else "contribution"])


@pytest.fixture(scope="module")
def terms() -> Terms:
    given = GOLDEN["inputs"]
    run, broadcast = bytes.fromhex(given["run"]), bytes.fromhex(given["broadcast"])
    ranges, pool = (given["range_query"], given["range_item"]), np.array(given["pool"], np.int32)
    numbers = given["qmax"], given["query"], given["dim"]
    setting = Setting(run, given["round"], *ranges, *numbers, pool, broadcast, bytes.fromhex(given["settings"]))
    return Terms(setting, given["chain"], given["attempt"], len(ROWS), np.array(given["union"], np.int32))


@pytest.fixture(scope="module")
def exchange(terms: Terms) -> Exchange:
    payloads = {member["id"]: np.array(member["payload"], np.int32) for member in GOLDEN["inputs"]["members"]}
    return exchanged(terms, {each: Member(each, Written()) for each in ROWS}, payloads)


def test_the_second_implementation_still_writes_it() -> None:
    assert transcript(INPUTS) == GOLDEN


def test_every_message_to_the_byte(exchange: Exchange) -> None:
    """Invitations and commitments, then lists and reveals, then rosters and uploads, member by member."""
    common, own = GOLDEN["messages"], [row["messages"] for row in GOLDEN["members"]]
    pairs = (("invitation", "commitment"), ("commitments", "reveal"), ("roster", "masked"))
    expected = [text for down, up in pairs for row in own for text in (common[down], row[up])]
    assert [messages.serialise(message).hex() for message in exchange.crossed] == expected


def test_the_total(exchange: Exchange) -> None:
    assert exchange.total is not None
    assert exchange.total.tolist() == GOLDEN["total"]
    plain = [sum(numbers) for numbers in zip(*(m["payload"] for m in GOLDEN["inputs"]["members"]), strict=True)]
    assert GOLDEN["total"] == plain


def test_digests_order_and_masks(terms: Terms) -> None:
    assert terms.digest.hex() == GOLDEN["terms_digest"]
    ids = list(ROWS)
    revealed = [[bytes.fromhex(ROWS[each][part]) for each in ids] for part in ("contribution", "public_key")]
    roster = roster_digest(terms.digest, ids, *revealed)
    assert roster.hex() == GOLDEN["roster_digest"]
    order = [ids[place] for place in circle(roster, ids)]
    assert order == GOLDEN["order"]
    for this, latter in zip(order, order[1:] + order[:1], strict=True):
        private, public = key_pair(bytes.fromhex(ROWS[this]["secret_key"]))
        assert public.hex() == ROWS[this]["public_key"]
        shared = seed(private, bytes.fromhex(ROWS[latter]["public_key"]), roster, this, latter)
        assert shared.hex() == ROWS[this]["seed_shared_with_the_next"]
        assert mask(shared, 4).tolist() == ROWS[this]["its_first_words"]


@pytest.mark.parametrize("part", ["run", "round", "attempt", "chain", "range_query", "qmax", "broadcast", "union"])
def test_whatever_the_members_agree_on_enters_every_mask(part: str) -> None:
    """Another value of it, and no seed is what it was."""
    value = INPUTS[part]
    other: Any = value[::-1] if isinstance(value, str) else [2, 5, 12] if isinstance(value, list) else value + 1
    changed = transcript({**INPUTS, part: other})
    for one, two in zip(GOLDEN["members"], changed["members"], strict=True):
        assert one["seed_shared_with_the_next"] != two["seed_shared_with_the_next"]
        assert one["commitment"] != two["commitment"]
