"""Real shops and likes in one table each: ours in three ways, and all baselines that can be had."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cases import SLATE, WAY, Case, possible, way
from measure import figure, mean_and_deviation, table
from trials import COST, KS, Found, cost

from spfedrec_cli import engine
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.raw import Reading

METRICS = {
    "HR@10": "hit_rate@10",
    "recall@10": "recall@10",
    "NDCG@10": "ndcg@10",
    "MAP@12": "map@12",
    "recall@10, new": "recall_new@10",
    "recall@10, repeated": "recall_repeat@10",
}
FACTORISED = ("ease", "ials")
RULES = ("repeat_last", "repeat_often")
BESIDE = {
    "the better of EASE and iALS": FACTORISED,
    "iALS": ("ials",),
    "the better rule": RULES,
    "the best possible": ("best_possible",),
}
BLENDED = {"blend": "SpFedRec + blend, seed 0", "popularity_7_days-blend": "popularity_7_days + blend"}


def likes(data: Path, to: Path) -> None:
    """MovieLens 1M, ratings of 4 and 5; of likes in one second the order of the file decides which is the last."""
    columns = {"customer": "user_id", "item": "movie_id", "time": "timestamp"}
    reading = Reading(time_format="epoch-s")
    prepare(
        "table", data / "ml-1m" / "ml-1m-likes.parquet", to, columns=columns, split="leave-one-out", reading=reading
    )


def retail(data: Path, to: Path) -> None:
    """Online Retail II: known customers, a price, a quantity above 0, articles by codes of five digits."""
    columns = {
        "customer": "Customer ID",
        "item": "StockCode",
        "time": "InvoiceDate",
        "price": "Price",
        "quantity": "Quantity",
        "name": "Description",
    }
    reading = Reading(where=("StockCode~^[0-9]{5}", "Price>0"), returns="drop", drop_missing=True)
    years = [data / "online-retail-ii" / f"{years}.parquet" for years in ("2009-2010", "2010-2011")]
    prepare("table", years, to, columns=columns, reading=reading)


def grocery(data: Path, to: Path) -> None:
    """Complete Journey, from its package."""
    prepare("completejourney", None, to)


def of_200_000(data: Path, to: Path) -> None:
    """A made-up shop of 200,000 customers and 20,000 items."""
    prepare("synthetic", None, to, customers=200_000, items=20_000)


@dataclass(frozen=True)
class Shop:
    """Its preset, the folder of data that it needs, how it is prepared, how many seeds, and whether anything is bought
    again."""

    preset: str
    needed: str | None
    make: Callable[[Path, Path], None]
    seeds: int
    repeats: bool

    @property
    def metrics(self) -> dict[str, str]:
        """By the head of a column; what is new and what is bought again stand apart where anything is."""
        return {head: name for head, name in METRICS.items() if self.repeats or "," not in head}


SHOPS = {
    "ml-1m": Shop("ml-1m", "ml-1m", likes, 3, repeats=False),
    "retail": Shop("retail", "online-retail-ii", retail, 3, repeats=True),
    "grocery": Shop("grocery", None, grocery, 3, repeats=True),
    "shop-200k": Shop("hm-full", None, of_200_000, 3, repeats=True),
}


def cases_of(shop: Shop) -> list[Case]:
    """The preset, a slate, and no federation."""
    return possible(
        [
            Case("SpFedRec (`split`)", shop.preset),
            Case("SpFedRec, slate", shop.preset, (*SLATE, "request.slate_size=512"), 1),
            Case("the same model, not federated (`central`)", shop.preset, ("federated.strategy=central",)),
        ]
    )


def told(shop: Shop, found: Sequence[Sequence[Found]]) -> list[str]:
    """The section of a shop, whose cases came to what was `found`, one a seed."""
    cases, first = cases_of(shop), Path(found[0][0].run)
    beside = engine.evaluate(first, ks=KS, baselines=True, blend=shop.repeats)
    rows = [_trained(case, each, shop) for case, each in zip(cases, found, strict=True)]
    blended = {name: beside.blends[key] for key, name in BLENDED.items() if key in beside.blends}
    rows += [_plain(name, metrics, shop) for name, metrics in (*blended.items(), *beside.baselines.items())]
    ours, central = (statistics.fmean(each.metrics["full"]["ndcg@10"] for each in found[place]) for place in (0, 2))
    ratios = [f"{ours / central:.2f} (the same model not federated)"]
    for name, rivals in BESIDE.items():
        known = [beside.baselines[each]["ndcg@10"] for each in rivals if each in beside.baselines]
        ratios += [f"{ours / max(known):.2f} ({name})"] if known else []
    over = f"Mean ± standard deviation over {len(found[0])} seeds" if len(found[0]) > 1 else "One seed"
    head = f"{beside.clients:,} clients have a test purchase. {over}."
    return [
        f"{head} NDCG@10 of SpFedRec ÷ that of others: {', '.join(ratios)}.",
        table(["", *WAY, *shop.metrics, *COST], rows),
        _differences(str(first), [name for name in (*FACTORISED, *RULES) if name in beside.baselines]),
    ]


def _trained(case: Case, found: Sequence[Found], shop: Shop) -> list[str]:
    reached = [mean_and_deviation([each.metrics["full"][name] for each in found]) for name in shop.metrics.values()]
    return [case.name + ("; 1 seed" if len(found) == 1 else ""), way(case), *reached, *cost(found)]


def _plain(name: str, metrics: dict[str, float], shop: Shop) -> list[str]:
    reached = [figure(metrics[metric]) if metric in metrics else "" for metric in shop.metrics.values()]
    return [name, *[""] * len(WAY), *reached, *[""] * len(COST)]


def _differences(run: str, rivals: Sequence[str]) -> str:
    """Of seed 0, client by client."""
    compared = engine.compare([run, *(f"{run}:{each}" for each in rivals)], metrics=["ndcg@10"])
    rows = [
        [
            pair.name.rpartition(":")[2],
            f"{difference.mean:+.4f}",
            f"{difference.low:+.4f} to {difference.high:+.4f}",
            f"{pair.p_holm['ndcg@10']:.2f}",
        ]
        for pair in compared.pairs
        for difference in [pair.differences["ndcg@10"]]
    ]
    return table(["NDCG@10 of SpFedRec less", "difference", "95 % interval", "p, corrected by Holm"], rows)
