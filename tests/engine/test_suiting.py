"""Settings that are chosen for a Dataset, where no preset is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

import spfedrec_cli as spfedrec
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.settings import check
from spfedrec_cli.engine.suiting import CHOICES, FEW_SALES, Facts, facts_of, of_cohort, of_negatives, suited

Make = Callable[..., Facts]


@pytest.fixture
def facts() -> Make:
    def make(clients: int = 6_000, items: int = 3_500, sales: int = 560_000, dated: bool = True) -> Facts:
        return Facts(clients, items, sales, repeats=True, dated=dated)

    return make


@pytest.mark.parametrize("clients, cohort", [(5, 16), (943, 256), (6_038, 512), (20_000, 1_024), (1_352_512, 2_048)])
def test_cohorts_grow_with_the_root_of_the_clients(facts: Make, clients: int, cohort: int) -> None:
    assert f"federated.cohort_size={cohort}" in of_cohort(facts(clients=clients)).settings


@pytest.mark.parametrize(
    "items, sales, negatives",
    [
        (1_682, 58, "public"),  # MovieLens 100K
        (5_000, 68, "public"),  # the made-up shop
        (4_619, 101, "request"),  # Online Retail II
        (3_533, 159, "request"),  # likes of MovieLens 1M
        (92_334, 9, "request"),  # Complete Journey
        (105_542, 0, "request"),  # H&M's histories
        (20_000, 199, "request"),
    ],
)
def test_the_shops_that_were_tried_get_what_was_best_there(facts: Make, items: int, sales: int, negatives: str) -> None:
    assert f"client.negatives={negatives}" in of_negatives(facts(items=items, sales=items * sales)).settings


def test_many_sales_an_item_teach_the_lift_and_few_want_a_pool(facts: Make) -> None:
    many, few = (of_negatives(facts(items=100, sales=100 * each)) for each in (FEW_SALES, FEW_SALES - 1))
    assert {"client.negatives=request", "client.logq=false", "model.prior_choice=validation"} <= set(many.settings)
    assert "client.negatives=public" in few.settings
    assert f"100 items, each bought by {FEW_SALES}.0 clients" in many.why


def test_a_client_counts_once_for_an_item(shop: Dataset) -> None:
    frame = shop.frame("train")
    found = facts_of(shop)
    assert found.sales == len(frame[["customer_id", "article_id"]].drop_duplicates())
    assert (found.clients, found.items) == (frame["customer_id"].nunique(), shop.n_items)


def test_nothing_later_than_train_is_read(shop: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    purchases = Dataset.purchases
    monkeypatch.setattr(Dataset, "purchases", lambda self, split: read.append(split) or purchases(self, split))
    suited(Dataset.open(shop.path), [])
    assert set(read) <= {"train"}


@pytest.mark.parametrize("sales, dated", [(100_000, True), (5_000_000, True), (5_000_000, False)])
def test_what_is_chosen_goes_together(facts: Make, sales: int, dated: bool) -> None:
    chosen = [choice(facts(sales=sales, dated=dated)) for choice in CHOICES]
    settings = [each for choice in chosen if choice for each in choice.settings]
    check(resolve(settings=settings))
    assert len({each.partition("=")[0] for each in settings}) == len(settings)


@pytest.mark.parametrize(
    "asked, left_out",
    [
        ("federated.cohort_size=9", "federated.sampling"),
        ("request.mode=slate", "client.negatives"),
        ("client.negatives=request", "client.pool_size"),
        ("train.rounds=3", "train.patience"),
        ("model.history=none", "model.half_life"),
    ],
)
def test_a_choice_never_changes_what_was_asked_for(shop: Dataset, asked: str, left_out: str) -> None:
    settings = [each for choice in suited(shop, [asked]) for each in choice.settings]
    assert left_out not in {each.partition("=")[0] for each in settings}
    check(resolve(settings=[*settings, asked]))


def test_a_training_follows_it(shop: Dataset, tmp_path: Path) -> None:
    asked = ["train.rounds=2", "train.eval_every=1"]
    settings = [each for choice in spfedrec.suited(shop, asked) for each in choice.settings]
    config = spfedrec.resolve(settings=[*settings, *asked])
    assert spfedrec.train(shop, config, tmp_path / "run").rounds == 2
