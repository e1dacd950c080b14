"""What the masks hide, from whom they do not, and that none is ever used twice."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from chaining import Round, make_round, members, payloads, setting
from exchanges import exchanged

from spfedrec_cli.federated.aggregation.chain.chains import Chains
from spfedrec_cli.federated.aggregation.chain.circle import circle, commit, roster_digest
from spfedrec_cli.federated.aggregation.chain.masks import key_pair, mask, seed
from spfedrec_cli.federated.aggregation.chain.sources import (
    CONTRIBUTION,
    KEY,
    SeededSecrets,
    SystemSecrets,
    simulated_run,
)
from spfedrec_cli.federated.wire import messages

PACKAGE = Path(__file__).parents[3] / "spfedrec_cli" / "federated" / "secagg"
LARGE = 390.0  # χ² of 255 degrees of freedom: six standard deviations above its mean


def uploads(made: Round, seed: int = 7) -> dict[int, npt.NDArray[np.int32]]:
    """What each client of one chain sent, by id, of its first 25,000 coordinates."""
    devices = members(made, 0, SeededSecrets(seed))
    crossed = exchanged(made.terms[0], devices, payloads(made, 0)).crossed
    words = [message.words[:25_000] for message in crossed if isinstance(message, messages.MaskedUpdate)]
    return dict(zip(devices, words, strict=True))


def of_constants(value: int) -> Round:
    """Four clients, each with 25,000 times the same number, within ±1,000,000."""
    made = make_round(np.random.default_rng(0), 4, 4, setting(query=25_000, qmax=1_000_000))
    made.query[:] = value
    return made


def chi_square(words: npt.NDArray[np.int32], byte: int) -> float:
    """Of one byte of each word against all values being equally likely."""
    found = np.bincount(words.view(np.uint8).reshape(-1, 4)[:, byte], minlength=256)
    expected = len(words) / 256
    return float(((found - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("value", [0, 1_000_000])
def test_uploads_are_uniform_byte_by_byte(value: int) -> None:
    for words in uploads(of_constants(value)).values():
        assert max(chi_square(words, byte) for byte in range(4)) < LARGE
    assert chi_square(np.full(25_000, value, np.int32), 0) > LARGE


@pytest.mark.parametrize("values", [(0, 0), (0, 1_000_000), (-1_000_000, 1_000_000)])
def test_two_chosen_inputs_cannot_be_told_apart(values: tuple[int, int]) -> None:
    """Bytes of the uploads of either have one distribution, as have those of one input sent twice; words do not
    correlate."""
    one, two = (uploads(of_constants(value), seed) for seed, value in enumerate(values))
    for client in one:
        pair = np.stack([np.bincount(words[client].view(np.uint8), minlength=256) for words in (one, two)])
        assert float(((pair[0] - pair[1]) ** 2 / pair.sum(0)).sum()) < LARGE
        assert abs(np.corrcoef(one[client], two[client])[0, 1]) < 6 / np.sqrt(25_000)


def test_the_same_masks_would_give_the_difference_away() -> None:
    """Why no seed may be used twice: of two uploads under one mask the difference is that of the payloads."""
    one, two = uploads(of_constants(0)), uploads(of_constants(1_000_000))
    assert {int(word) for client in one for word in two[client] - one[client]} == {1_000_000}


def recover(made: Round, victim: int, keys_of: SeededSecrets) -> npt.NDArray[np.uint32]:
    """What both neighbours of a victim do with all they know: their own private keys, and what everybody was sent."""
    terms, ids = made.terms[0], sorted(members(made, 0))
    crossed = exchanged(terms, members(made, 0), payloads(made, 0)).crossed
    roster = next(message for message in crossed if isinstance(message, messages.ChainRoster))
    public_keys = [row.tobytes() for row in roster.public_keys]
    sealed = roster_digest(terms.digest, ids, [row.tobytes() for row in roster.contributions], public_keys)
    order = [ids[place] for place in circle(sealed, ids)]
    place = order.index(victim)
    former, latter = order[place - 1], order[(place + 1) % len(order)]
    masks = []
    for colluder, pair in ((former, (former, victim)), (latter, (victim, latter))):
        private = key_pair(keys_of.draw(colluder, terms.setting.round, terms.attempt, KEY))[0]
        masks.append(mask(seed(private, public_keys[ids.index(victim)], sealed, *pair), terms.length))
    sent = dict(zip(members(made, 0), [m.words for m in crossed if isinstance(m, messages.MaskedUpdate)], strict=True))
    return sent[victim].view(np.uint32) - masks[0] + masks[1]


def test_two_colluding_neighbours_recover_their_victim_exactly() -> None:
    """The known price of a circle, which docs/protocol.md states; any other two learn nothing of it."""
    made = make_round(np.random.default_rng(1), 6, 6)
    for victim, payload in payloads(made, 0).items():
        np.testing.assert_array_equal(recover(made, victim, SeededSecrets(7)).view(np.int32), payload)


def test_one_neighbour_with_the_server_sees_uniform_words() -> None:
    """With one mask taken off the other one still covers everything."""
    made = of_constants(0)
    terms, ids = made.terms[0], sorted(members(made, 0))
    crossed = exchanged(terms, members(made, 0), payloads(made, 0)).crossed
    roster = next(message for message in crossed if isinstance(message, messages.ChainRoster))
    keys = [row.tobytes() for row in roster.public_keys]
    sealed = roster_digest(terms.digest, ids, [row.tobytes() for row in roster.contributions], keys)
    order = circle(sealed, ids)
    former, victim = order[0], order[1]
    private = key_pair(SeededSecrets(7).draw(ids[former], 1, 0, KEY))[0]
    known = mask(seed(private, keys[victim], sealed, ids[former], ids[victim]), 25_000)
    left = uploads(made)[ids[victim]].view(np.uint32) - known
    assert max(chi_square(left.view(np.int32), byte) for byte in range(4)) < LARGE


def test_no_seed_is_used_twice() -> None:
    """Three rounds and a second attempt of the same clients: every pair has a seed of its own, known to two."""
    found: list[bytes] = []
    base = make_round(np.random.default_rng(2), 40, 8)
    for round_, attempt in ((1, 0), (2, 0), (2, 1), (3, 0)):
        terms = [replace(each, setting=setting(round_), attempt=attempt) for each in base.terms]
        chains = Chains(terms, base.clients, base.chain_of, SeededSecrets(7))
        found += [seed for pair in chains._seeds if pair is not None for seed in pair]
    assert len(found) == 4 * 40 * 2
    assert len(set(found)) == 4 * 40
    assert {found.count(one) for one in set(found)} == {2}


def test_secrets_of_a_simulation_differ_by_all_that_names_them() -> None:
    names = [(c, r, a, p) for c in (1, 2) for r in (1, 2) for a in (0, 1) for p in (KEY, CONTRIBUTION)]
    drawn = [SeededSecrets(seed).draw(*name) for seed in (0, 1) for name in names]
    assert len(set(drawn)) == 32
    assert SeededSecrets(0).draw(*names[0]) == drawn[0]
    assert simulated_run(0) != simulated_run(1)
    assert SystemSecrets().draw(*names[0]) != SystemSecrets().draw(*names[0])


def test_the_order_is_a_permutation_that_any_contribution_changes() -> None:
    ids = list(range(50))
    contributions = [bytes([each]) * 32 for each in ids]
    keys = [bytes([each + 100]) * 32 for each in ids]
    order = circle(roster_digest(bytes(32), ids, contributions, keys), ids)
    assert sorted(order) == ids
    for changed in (0, 49):
        other = [bytes(32) if each == changed else row for each, row in enumerate(contributions)]
        other[changed] = b"x" * 32
        assert circle(roster_digest(bytes(32), ids, other, keys), ids) != order


def test_nobody_can_hand_in_another_s_commitment() -> None:
    assert commit(bytes(32), 1, b"c" * 32, b"k" * 32) != commit(bytes(32), 2, b"c" * 32, b"k" * 32)


def other_sources(text: str) -> set[str]:
    """What a module could draw numbers from that is neither PyCA nor the system: `random`, numpy's and torch's
    generators, those of the simulation, or a name that is only known when it runs."""
    tree = ast.parse(text)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    roots = {name for name in imported if name.split(".")[0] in {"random", "torch", "scipy", "importlib"}}
    generators = {name for name in imported if name.startswith(("numpy.random", "spfedrec_cli.rng"))}
    drawn = attributes & {"random", "default_rng", "RandomState", "Generator"}
    return roots | generators | drawn | names & {"__import__", "importlib", "eval", "exec", "getattr"}


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_only_cryptography_and_the_system_give_random_numbers(module: Path) -> None:
    assert other_sources(module.read_text()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "import random",
        "from random import randbytes as urandom",
        "import numpy as np\nnp.random.default_rng(0)",
        "from numpy.random import Generator as G",
        "from numpy import random as r",
        "import torch",
        "from spfedrec_cli.rng import uniform",
        "from spfedrec_cli import rng",
        "import importlib",
        "__import__('random')",
        "getattr(np, 'ran' + 'dom')",
    ],
)
def test_another_source_would_be_found(text: str) -> None:
    assert other_sources(text)
