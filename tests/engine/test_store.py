"""A store: what it gives is what the run gives, without torch, and what is not as it was written is noticed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spfedrec_cli import engine
from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError
from spfedrec_cli.serving import store

SETTINGS = ("model.prior=0.5", "client.private_state=embedding", "train.rounds=2")


@pytest.fixture(scope="module")
def run(shop: Dataset, config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return engine.train(shop, config(*SETTINGS), tmp_path_factory.mktemp("stores") / "run").run


@pytest.fixture(scope="module")
def made(run: Path) -> Path:
    engine.export(run, run.parent / "store", ("store",))
    return run.parent / "store"


@pytest.mark.parametrize("exclude_seen", [None, True, False])
def test_its_lists_are_those_of_the_run(run: Path, shop: Dataset, made: Path, exclude_seen: bool | None) -> None:
    some = [shop.client_ids[client] for client in (0, 7, shop.n_clients - 1)]
    ours = store.recommend(store.opened(made), some, 9, exclude_seen)
    theirs = engine.recommend(run, some, k=9, exclude_seen=exclude_seen)
    for one, other in zip(ours, theirs, strict=True):
        assert one.customer_id == other.customer_id
        assert [item.article_id for item in one.items] == [item.article_id for item in other.items]
        assert [item.score for item in one.items] == pytest.approx([item.score for item in other.items], abs=1e-5)
        assert [item.labels for item in one.items] == [item.labels for item in other.items]
        assert [item.article_id for item in one.history] == [item.article_id for item in other.history]
        assert one.left_out == other.left_out


def test_where_nearly_all_was_bought_the_list_is_short(shop: Dataset, made: Path) -> None:
    opened = store.opened(made)
    client = int(shop.history("train", "validation", "test").lengths.argmax())
    (found,) = store.recommend(opened, [shop.client_ids[client]], shop.n_items, exclude_seen=True)
    assert len(found.items) == shop.n_items - found.left_out < shop.n_items


def test_neither_torch_nor_pandas_is_loaded(shop: Dataset, made: Path) -> None:
    script = (
        "import sys\n"
        "from spfedrec_cli.cli.app import app\n"
        f"app(['recommend', {str(made)!r}, '--customer', {shop.client_ids[3]!r}, '--json'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'numba', 'scipy') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert len(json.loads(told)["customers"][0]["items"]) == 12


def test_an_unknown_customer_and_one_that_is_near(shop: Dataset, made: Path) -> None:
    opened, someone = store.opened(made), shop.client_ids[3]
    near = someone[:-1] + ("0" if someone[-1] != "0" else "1")
    assert near not in shop.client_ids
    with pytest.raises(InputError, match=rf"no customer '{near}'; did you mean"):
        store.recommend(opened, [near])
    with pytest.raises(InputError, match="no customer 'é'"):
        store.recommend(opened, ["é"])
    with pytest.raises(InputError, match="cannot hold 201 items; choose a number from 1 to 200"):
        store.recommend(opened, [someone], 201)


@pytest.mark.parametrize("name", store.FILES)
def test_a_file_that_was_changed_is_noticed(made: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(made, tmp_path / "store")
    file = tmp_path / "store" / name
    data = file.read_bytes()
    file.write_bytes(data[:-1] if name in store.OF_CUSTOMERS else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match=rf"not as it was written .*{name}"):
        store.opened(tmp_path / "store")
    file.unlink()
    with pytest.raises(InputError, match=rf"not as it was written .*{name}"):
        store.opened(tmp_path / "store")


def test_a_store_of_another_version_or_that_was_changed(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "store")
    file = tmp_path / "store" / store.ABOUT
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"repeats": not about["repeats"]}))
    with pytest.raises(InputError, match="changed after it was written"):
        store.opened(tmp_path / "store")
    file.write_text(json.dumps(about | {"layout": 2}))
    with pytest.raises(InputError, match="layout 2, and this version reads 1"):
        store.opened(tmp_path / "store")
    with pytest.raises(InputError, match="is no store"):
        store.opened(tmp_path)


def test_ids_are_kept_whatever_their_signs(tmp_path: Path) -> None:
    known = np.array([id.encode() for id in ("10,5", "Tröja", "訓練", "t ")], np.bytes_)
    np.save(tmp_path / store.CLIENT_IDS, known)
    opened = store.Store(tmp_path, {})
    assert [opened.row_of(id) for id in ("10,5", "Tröja", "訓練", "t ")] == [0, 1, 2, 3]
