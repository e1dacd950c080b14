"""Data that several packages' tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

CHECKOUT = Path(__file__).parents[1]

# A verdict on a commit should not depend on luck; on a developer's machine every run tries something new.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


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
