"""Worlds made up in memory, and what is measured on them."""

import numpy as np
import pytest

from spfedrec_cli import engine
from spfedrec_cli.engine import made
from spfedrec_cli.engine.bench import LOCAL, REPEATS, ROUNDS_NAME, kernel_settings, local_works, opened
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.simulation.compiled import train_cohort
from spfedrec_cli.federated.simulation.one_by_one import train_one_by_one
from spfedrec_cli.model.features import ID

SMALL_KERNEL = made.sized(made.KERNEL, clients=30, items=400)
SMALL_SHOP = made.sized(made.SHOP, clients=60, items=500)


def test_every_kind_of_work_is_repeated_at_least_thrice() -> None:
    told = engine.bench(seconds=0.0, kernel=SMALL_KERNEL, shop=SMALL_SHOP)
    assert [speed.name for speed in told.speeds] == [*LOCAL, ROUNDS_NAME]
    assert all(len(speed.clients_per_second) == REPEATS for speed in told.speeds)
    assert all(min(speed.clients_per_second) > 0 for speed in told.speeds)
    assert [(speed.clients, speed.items) for speed in told.speeds] == [*[(30, 400)] * 3, (60, 500)]
    assert told.h_and_m_seconds == 1_362_281 / told.speeds[-1].median


def test_workers_measure_the_same_work() -> None:
    told = engine.bench(workers=2, seconds=0.0, kernel=SMALL_KERNEL, shop=SMALL_SHOP)
    alone = engine.bench(seconds=0.0, kernel=SMALL_KERNEL, shop=SMALL_SHOP)
    assert told.workers == 2
    assert [(speed.name, speed.clients, speed.items) for speed in told.speeds] == [
        (speed.name, speed.clients, speed.items) for speed in alone.speeds
    ]
    assert all(len(speed.clients_per_second) == REPEATS for speed in told.speeds)
    assert told.speeds[-1].bytes_up == alone.speeds[-1].bytes_up


def test_more_seconds_are_more_repeats() -> None:
    told = engine.bench(seconds=1.0, kernel=SMALL_KERNEL, shop=SMALL_SHOP)
    assert all(len(speed.clients_per_second) > REPEATS for speed in told.speeds)


def test_bytes_are_those_of_the_messages() -> None:
    """A request of n items is 4 n bytes, its answer 64 n, an update 4 (P + 16 n), a broadcast 4 P, and headers."""
    work = local_works(SMALL_KERNEL)[0]
    world = made.make(SMALL_KERNEL, kernel_settings({}))
    held = (world.devices.purchased.lengths + np.ceil(0.25 * world.devices.purchased.lengths)).sum()
    ledger = work.run()
    assert ledger.total("up") == pytest.approx(4 * held + 4 * (30 * world.known.width + 16 * held), rel=0.01)
    assert ledger.total("down") == pytest.approx(4 * 30 * world.known.width + 64 * held, rel=0.01)


@pytest.mark.parametrize("case", LOCAL)
def test_what_is_measured_is_the_client_of_the_paper(case: str) -> None:
    world = made.make(SMALL_KERNEL, kernel_settings(LOCAL[case]))
    published, cohort = opened(world)
    fast = train_cohort(world, published, cohort, world.channel(1)).sums
    plain = train_one_by_one(world, published, cohort, world.channel(1)).sums
    for one, other in ((fast.query, plain.query), (fast.items, plain.items)):
        assert (one - other).float().norm() < 1e-3 * other.float().norm()


def test_the_kernel_has_the_shape_that_it_states() -> None:
    world = made.make(made.KERNEL, kernel_settings({}))
    assert (len(world.devices.purchased), world.n_items) == (1000, 10_000)
    assert 19 < world.devices.purchased.lengths.mean() < 23
    assert world.devices.purchased.lengths.min() >= 1
    inputs = 6 * 8 + 16
    assert world.known.width - 6 * 8 * 8 == pytest.approx((inputs * 64 + 64) + (64 * 64 + 64) + (64 * 16 + 16), abs=100)


def test_purchases_are_distinct_and_follow_sales() -> None:
    bought = made.purchases(made.sized(made.KERNEL, clients=500, items=300), seed=0)
    assert all(len(set(bought.row(client))) == len(bought.row(client)) for client in range(len(bought)))
    sold = np.sort(np.bincount(bought.values, minlength=300))
    assert sold[-30:].mean() > 3 * sold[:30].mean()


def test_the_seed_changes_purchases_and_features() -> None:
    one, same, other = (made.make(SMALL_SHOP, {}, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.devices.purchased.values, same.devices.purchased.values)
    assert not np.array_equal(one.devices.purchased.values, other.devices.purchased.values)
    assert (one.known.items.codes == same.known.items.codes).all()
    assert (one.known.items.codes != other.known.items.codes).any()


def test_ids_count_the_items_and_no_other_code_is_unknown() -> None:
    codes = made.features("items", 0, 50, {ID: 50, "colour": 4}).codes
    assert codes[:, 0].tolist() == list(range(50))
    assert set(codes[:, 1].tolist()) == {1, 2, 3}


def test_workers_that_no_training_takes_are_refused() -> None:
    with pytest.raises(InputError, match=r"train\.workers"):
        engine.bench(workers=65, seconds=0.0, kernel=SMALL_KERNEL, shop=SMALL_SHOP)
