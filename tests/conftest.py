"""Data that several packages' tests share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

CHECKOUT = Path(__file__).parents[1]

# A verdict on a commit should not depend on luck; on a developer's machine every run tries something new.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def _nothing_draws_unseeded() -> Iterator[None]:
    """Neither test nor package draws from a generator that a process shares: it depends on what ran before."""
    torch = sys.modules.get("torch")  # a part of the tests runs where it is not installed

    def shared() -> list[bytes | int]:
        _, key, position, *_ = np.random.get_state()
        return [key.tobytes(), position, torch.get_rng_state().numpy().tobytes() if torch else 0]

    before = shared()
    yield
    untouched = shared() == before
    assert untouched, "drawn without a seed: give torch a generator (worlds.seeded), numpy a default_rng(0)"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with hm/ and ml-100k/: SPFEDREC_REAL_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (folder / "hm").is_dir():
        pytest.skip(f"no real data in {folder}; set SPFEDREC_REAL_DATA to a folder with hm/ and ml-100k/")
    return folder


@pytest.fixture(scope="session")
def sample_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The 138 purchases that ship."""
    made = prepare("sample", None, tmp_path_factory.mktemp("datasets") / "sample")
    return Dataset.open(made.dataset)


@pytest.fixture(scope="session")
def synthetic_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A made-up shop of 300 customers and 200 items."""
    folder = tmp_path_factory.mktemp("datasets") / "synthetic"
    made = prepare("synthetic", None, folder, customers=300, items=200)
    return Dataset.open(made.dataset)
