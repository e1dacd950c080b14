"""A device's own draws: whoever has everything but the root of its secrets does no better than chance."""

import secrets as system
from dataclasses import dataclass, replace

import numpy as np
import pytest
from worlds import build_world, merged

from spfedrec_cli.config import Settings, resolve
from spfedrec_cli.dtypes import F64, I32, I64
from spfedrec_cli.federated.device.secrets import new_key
from spfedrec_cli.federated.sampling.obfuscation import TRIES, draw_obfuscating, popularity_weights
from spfedrec_cli.federated.server.publishing import obfuscating_distribution
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.split import split_round
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Recorder, Role
from spfedrec_cli.rng import stream_key, uniform, uniform_own

SETTINGS = {
    "train": {"engine": "reference", "seed": 11},
    "request": {"rate": 1.0, "negatives": "uniform"},  # popularity tells something too, but that is another attack
    "federated": {"cohort_size": 40},
    "client": {"pool_size": 10},
}


@dataclass(frozen=True)
class Eavesdropper:
    """All that crossed in a round, the settings that everybody knows, and what is public: no root, no purchases."""

    settings: Settings
    requests: dict[int, I32]
    obfuscating: F64

    def by_key(self, client: int, key: I64) -> set[int]:
        """V− as a device with this key would draw them, whatever its purchases: what is requested beside them is V+."""
        request = self.requests[client]
        size = len(request) // 2
        draws = uniform_own(np.array(key, np.uint64)[None], TRIES, 0, 4 * size)[0]
        order = np.searchsorted(np.cumsum(self.obfuscating), draws * self.obfuscating.sum(), side="right")
        drawn = [item for item in dict.fromkeys(order.tolist()) if item in set(request.tolist())]
        return set(request.tolist()) - set(drawn[:size])

    def guesses(self, client: int) -> list[set[int]]:
        """By the run's seed as the key, in every stream's name that a device ever drew by; and by the order."""
        request, seed = self.requests[client], self.settings.train.seed
        keys = [stream_key(seed, name) for name in ("request/tries", "request/race", "request/shuffle", "targets")]
        keys += [(seed, client), (client, seed), (0, client), (client, 0)]
        size = len(request) // 2
        shuffled = np.argsort(uniform(seed, "request/shuffle", client, 1, np.arange(len(request))), kind="stable")
        undone = request[np.argsort(shuffled, kind="stable")]
        orders = [set(request[:size].tolist()), set(request[-size:].tolist()), set(undone[:size].tolist())]
        return [self.by_key(client, np.array(key)) for key in keys] + orders


@pytest.fixture(scope="module")
def heard() -> tuple[Eavesdropper, dict[int, set[int]], dict[int, I64]]:
    """One round under a root that is drawn at random; and beside it the truth, and the keys."""
    recorder, root = Recorder(), system.token_hex(16)
    rng = np.random.default_rng(0)
    lengths = [400, *rng.integers(4, 12, 39).tolist()]  # one who makes the catalogue large
    world = build_world(merged(SETTINGS, {"simulation": {"root": root}}), lengths, seed=3)
    world = replace(world, ends=(recorder,))
    state, _ = split_round(initial_state(world), world)
    requests = {
        each.sender: each.message.items
        for each in recorder.view(Role.SERVER)
        if isinstance(each.message, messages.Request) and isinstance(each.sender, int)
    }
    truth = {client: set(world.devices.purchased.row(client).tolist()) for client in requests}
    keys = {client: world.devices.keys(np.array([client]))[0] for client in requests}
    q = obfuscating_distribution(state.server, world.known)
    return Eavesdropper(world.known.config, requests, q), truth, keys


def test_without_the_root_a_guess_is_chance(heard: tuple[Eavesdropper, dict[int, set[int]], dict[int, I64]]) -> None:
    """Half of what is requested was bought. Of what a guess names, half is, within four standard errors; and no
    request is split exactly but by luck."""
    eavesdropper, truth, _ = heard
    for way in range(len(eavesdropper.guesses(next(iter(truth))))):
        named = [(eavesdropper.guesses(client)[way], bought) for client, bought in truth.items()]
        hits = np.concatenate([[item in bought for item in guess] for guess, bought in named if guess])
        assert abs(hits.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(hits)), way
        assert sum(guess == bought for guess, bought in named) <= 2, way


def test_with_its_key_every_request_is_split_exactly(
    heard: tuple[Eavesdropper, dict[int, set[int]], dict[int, I64]],
) -> None:
    """So the attack is one: what it lacks is the secret."""
    eavesdropper, truth, keys = heard
    split = [eavesdropper.by_key(client, keys[client]) == bought for client, bought in truth.items()]
    assert np.mean(split) > 0.8  # an own item that was drawn, and passed over, stands in for a later one


def test_a_request_is_sorted(heard: tuple[Eavesdropper, dict[int, set[int]], dict[int, I64]]) -> None:
    eavesdropper, _, _ = heard
    assert all((np.diff(request) > 0).all() for request in eavesdropper.requests.values())


def test_the_root_changes_what_devices_draw_and_nothing_that_is_public() -> None:
    worlds = [build_world(merged(SETTINGS, {"simulation": {"root": root}})) for root in ("one", "two")]
    assert worlds[0].known.config == worlds[1].known.config
    clients = np.arange(10)
    assert (worlds[0].devices.keys(clients) != worlds[1].devices.keys(clients)).any(1).all()
    drawn = [draw_of(world.devices.keys(clients)) for world in worlds]
    assert drawn[0] != drawn[1]


def test_seeds_draw_apart_on_devices_too() -> None:
    """Else a spread over seeds would lack the luck of V− and targets."""
    worlds = [build_world(merged(SETTINGS, {"train": {"seed": seed}})) for seed in (0, 1)]
    clients = np.arange(10)
    assert (worlds[0].devices.keys(clients) != worlds[1].devices.keys(clients)).any(1).all()
    address = 3, 1, 0, 0
    assert worlds[0].devices.secrets().draw(*address) != worlds[1].devices.secrets().draw(*address)


def draw_of(keys: I64) -> list[int]:
    world = build_world(SETTINGS)
    q = popularity_weights(world.config.request, np.arange(1, world.n_items + 1))
    return draw_obfuscating(world.config.request, q, keys, world.devices.purchased, 1).items.values.tolist()


def test_one_client_s_key_is_its_own_whoever_asks_for_it() -> None:
    devices = build_world().devices
    together = devices.keys(np.arange(10))
    assert len({tuple(key) for key in together.tolist()}) == 10
    assert together[7].tolist() == devices.keys(np.array([7]))[0].tolist()
    assert together.dtype == np.uint64
    assert int(together.max()) < 2**32


def test_a_phone_takes_its_key_from_its_system() -> None:
    keys = {tuple(new_key().tolist()) for _ in range(20)}
    assert len(keys) == 20
    assert all(0 <= word < 2**32 for key in keys for word in key)


def test_no_message_and_nothing_public_holds_the_root() -> None:
    config = resolve(settings=["simulation.root=sesame"])
    assert "sesame" in config.model_dump_json()
    assert "sesame" not in config.known_to_all().model_dump_json()
