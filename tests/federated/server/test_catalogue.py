"""Embeddings in eight bits: how far off they are, and who has to download them when."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from worlds import build_world

from spfedrec_cli.federated.sampling.cohort import draw_cohort
from spfedrec_cli.federated.server.catalogue import Catalogue, Holders, published_at

ROUNDED = 1 + 1e-5  # what float32 adds to a bound


@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0, 30))
def test_a_coordinate_is_off_by_half_a_step_at_most(seed: int, dim: int, skew: float) -> None:
    """And so a cosine by half the length of the steps, which √d / 254 bounds."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(0, skew, dim).neg().exp()
    embeddings = F.normalize(torch.randn(50, dim, generator=generator) * spread, dim=1)
    query = F.normalize(torch.randn(dim, generator=generator), dim=0)
    catalogue = Catalogue.of(embeddings)
    decoded = catalogue.rows(np.arange(50))
    assert catalogue.codes.dtype == torch.int8
    assert ((decoded - embeddings).abs() <= ROUNDED * catalogue.steps / 2 + 1e-12).all()
    off = ((decoded - embeddings) @ query).abs().max()
    assert off <= ROUNDED * catalogue.steps.norm() / 2 + 1e-6
    assert catalogue.steps.norm() / 2 <= ROUNDED * dim**0.5 / 254


def test_by_hand() -> None:
    """Steps are 1.27 / 127 = .01 and 0; .005 lies between two codes, of which the even one is taken."""
    catalogue = Catalogue.of(torch.tensor([[1.27, 0.0], [-0.304, 0.0], [0.0, 0.0]]))
    assert catalogue.codes.tolist() == [[127, 0], [-30, 0], [0, 0]]
    torch.testing.assert_close(catalogue.steps, torch.tensor([0.01, 0.0]))
    torch.testing.assert_close(catalogue.rows(np.array([1])), torch.tensor([[-0.3, 0.0]]))


def test_rounds_of_publication() -> None:
    assert [published_at(round_, 3) for round_ in range(1, 8)] == [1, 1, 1, 4, 4, 4, 7]
    assert [published_at(round_, 1) for round_ in (1, 2, 5)] == [1, 2, 5]


@pytest.mark.parametrize("sampling", ["fixed", "poisson", "shuffled"])
@pytest.mark.parametrize("refresh", [1, 4])
def test_whoever_took_part_since_holds_it(sampling: str, refresh: int) -> None:
    """Counted from the cohorts themselves; whatever the object remembers from before, from any round on."""
    world = build_world({"federated": {"sampling": sampling, "cohort_size": 3}})
    federated, eligible = world.config.federated, world.known.eligible
    kept, holding = Holders(), set[int]()
    for round_ in range(1, 14):
        cohort = draw_cohort(federated, eligible, world.seed, round_)
        holding = set() if published_at(round_, refresh) == round_ else holding
        lacking = len(set(cohort.tolist()) - holding)
        holding |= set(cohort.tolist())
        for holders in (kept, Holders()):
            assert holders.missing(federated, refresh, eligible, cohort, world.seed, round_) == lacking
    if refresh > 1:
        assert kept.missing(federated, refresh, eligible, cohort, world.seed, round_) == lacking
