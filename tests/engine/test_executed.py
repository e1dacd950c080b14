"""Bytes of the executed protocol, without executing it, are those of a round that does."""

from dataclasses import replace
from typing import Any

import pytest
from worlds import build_world

from spfedrec_cli.engine.executed import bytes_in_chains
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.strategies.split import split_round

MODES: list[dict[str, Any]] = [
    {},
    {"client": {"negatives": "request"}, "request": {"rate": 1.0}},
    {"request": {"mode": "slate", "slate_size": 12, "refresh": 1}},
    {"request": {"mode": "catalogue"}},
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_they_are_those_of_the_round_that_follows(mode: dict[str, Any]) -> None:
    state, _ = split_round(initial_state(build_world(mode)), build_world(mode))
    chains = build_world({**mode, "federated": {"aggregation": "ring", "chain_length": 3, "cohort_size": 7}})
    ideal = build_world({**mode, "federated": {"chain_length": 3, "cohort_size": 7}})
    told = bytes_in_chains(ideal, state)
    _, report = split_round(state, chains)
    assert told == {way: report.ledger.total(way) / report.clients for way in ("up", "down")}


def test_there_are_none_where_there_is_no_chain() -> None:
    few = build_world({"federated": {"cohort_size": 2}})
    assert bytes_in_chains(few, initial_state(few)) == {}
    full = replace(build_world({"federated": {"strategy": "full"}}))
    assert bytes_in_chains(full, initial_state(full)) == {}
