"""Settings that suit a Dataset, for a training without a preset.

They follow from what a server knows: how many clients and items there are, whether items are bought again, whether
purchases have days; and from one counted sum, the public sales of items. docs/log.md says where each number comes from.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.decay import dated
from spfedrec_cli.errors import listed

FEW_SALES, FEW_ITEMS = 85, 5 * 1024  # below both, a public pool teaches more than each client's own obfuscating items
POOL = 1024
LARGE = 50_000  # clients: a validation takes long, and so does a pass


@dataclass(frozen=True)
class Facts:
    """Of train: `clients` who bought, `items` of the catalogue, `sales`, in which a client counts once for an item."""

    clients: int
    items: int
    sales: int
    repeats: bool
    dated: bool

    @property
    def sales_an_item(self) -> float:
        return self.sales / max(1, self.items)


@dataclass(frozen=True)
class Choice:
    """Settings (section.name=value) that go together, and why."""

    settings: tuple[str, ...]
    why: str


def facts_of(dataset: Dataset) -> Facts:
    """Reads the purchases of train."""
    history = dataset.history("train")
    owners = history.row_index().astype(np.int64)
    sales = len(np.unique(owners * dataset.n_items + history.values))
    eligible = len(dataset.clients_with_history())
    return Facts(eligible, dataset.n_items, sales, dataset.repeats, dated(dataset))


def suited(dataset: Dataset, asked: Iterable[str]) -> list[Choice]:
    """What is chosen for the Dataset beside the settings `asked` (section.name=value): a choice that would change one
    of them is left out whole."""
    said = {setting.partition("=")[0].strip() for setting in listed(asked)}
    found = [choice(facts_of(dataset)) for choice in CHOICES]
    return [each for each in found if each is not None and not said & _touched(each)]


def _touched(choice: Choice) -> set[str]:
    """Keys that a choice sets, and those that only mean something with them."""
    keys = {setting.partition("=")[0] for setting in choice.settings}
    return keys | (GO_WITH_NEGATIVES if "client.negatives" in keys else set())


GO_WITH_NEGATIVES = {
    "request.mode",
    "request.negatives",
    "request.popularity",
    "client.loss",
    "client.pool",
    "client.pool_size",
}


def of_cohort(facts: Facts) -> Choice:
    size = 2 ** round(math.log2(8 * math.sqrt(max(1, facts.clients))))
    size = min(2048, max(16, size))
    return Choice(
        (f"federated.cohort_size={size}", "federated.sampling=shuffled"),
        f"{facts.clients:,} clients bought: cohorts of {size:,}, everybody once before anybody again",
    )


def of_negatives(facts: Facts) -> Choice:
    told = f"{facts.items:,} items, each bought by {facts.sales_an_item:,.1f} clients"
    if facts.sales_an_item < FEW_SALES and facts.items <= FEW_ITEMS:
        pool = min(POOL, max(16, facts.items // 2))
        return Choice(
            ("client.negatives=public", f"client.pool_size={pool}"),
            f"{told}: few of both, so clients learn beside a public pool of {pool:,}",
        )
    lift = ("client.negatives=request", "client.logq=false", "request.rate=1.0", "model.temperature=0.15")
    prior = ("model.prior=1.0", "model.prior_in=ranking", "model.prior_choice=validation")
    fading = ("request.prior_half_life=56",) if facts.dated else ()
    return Choice(
        (*lift, *prior, *fading),
        f"{told}: towers learn the lift from each client's own obfuscating items, and a public prior, "
        f"weighed on validation, adds sales back{', those of 56 days ago by half' if fading else ''}",
    )


def of_history(facts: Facts) -> Choice:
    return Choice(
        ("model.history=recency", "model.half_life=20"), "the latest purchases weigh most: half after 20 of them"
    )


def of_rates(facts: Facts) -> Choice:
    return Choice(
        ("server.lr=0.002", "server.item_lr=0.002", "federated.range_item=10"),
        "server rates of .002, and a codec wide enough for them",
    )


def of_length(facts: Facts) -> Choice:
    every, patience = (250, 3) if facts.clients > LARGE else (50, 5)
    return Choice(
        ("train.rounds=2500", f"train.eval_every={every}", f"train.patience={patience}"),
        f"validated every {every} rounds; {patience} validations that bring nothing better end it, or 2,500 rounds",
    )


CHOICES: tuple[Callable[[Facts], Choice | None], ...] = (of_cohort, of_negatives, of_history, of_rates, of_length)
