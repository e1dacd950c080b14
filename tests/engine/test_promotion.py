"""Customers who say that they bought what they did not: the more there are, the more lists of others it comes into."""

from dataclasses import dataclass

from attacking import Shop, copied, shop

from spfedrec_cli.engine.promotion import ROUNDS, promote
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World


@dataclass(frozen=True)
class At:
    """Where the training of a shop stands."""

    of: Shop

    @property
    def world(self) -> World:
        return self.of.world

    def state(self) -> State:
        return copied(self.of.state)


def test_a_third_of_the_customers_promotes_what_hardly_sells() -> None:
    found = promote(At(shop()), 0.3, 0)  # type: ignore[arg-type]
    assert found is not None
    assert (found.clients, found.items, found.rounds) == (12, 5, ROUNDS)
    assert found.promoted > 1.5 * found.honest


def test_promotion_does_not_end_with_the_schedule_of_the_rates() -> None:
    """Where rates have fallen to nothing, an audit asks what these customers would have reached before."""
    over = {"server": {"schedule": "linear"}, "train": {"rounds": 60}}
    found = promote(At(shop(over)), 0.3, 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.promoted > 1.5 * found.honest


def test_a_few_made_up_uploads_promote_too() -> None:
    found = promote(At(shop()), 0.1, 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.crafted is not None
    assert found.crafted > 1.5 * found.honest


def test_nobody_promotes_nothing() -> None:
    assert promote(At(shop()), 0.0, 0) is None  # type: ignore[arg-type]
