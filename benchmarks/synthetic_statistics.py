"""The statistics of the synthetic shop beside those of the H&M data, as a Markdown table, and as a picture.

    python benchmarks/synthetic_statistics.py
    python benchmarks/synthetic_statistics.py --full --plot docs/images/synthetic.svg

--customers N and --items N make a shop of another size, --full one of H&M's. Sales per article are scaled to H&M's
purchases per article, so that shops of any size can be compared.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spfedrec_cli.data.raw import Request
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources import synthetic_tables as tables
from spfedrec_cli.data.sources.synthetic import Shop, make_shop
from spfedrec_cli.dtypes import F64, I64

ROWS = 31_788_324
PLACES = np.append(np.linspace(0, 0.99, 100), [0.995, 0.998, 0.999, 0.9999, 1])


@dataclass(frozen=True)
class Measured:
    """A shop, and what is counted in it once."""

    shop: Shop

    @cached_property
    def moment(self) -> I64:
        """client * DAYS + day of each purchase, ascending."""
        return self.shop.sold.client.astype(np.int64) * facts.DAYS + (self.shop.sold.day - facts.FIRST_DAY)

    @cached_property
    def baskets(self) -> tuple[I64, I64, I64]:
        """Client, day counted from 0, and size of each basket."""
        starts = np.flatnonzero(np.append(True, np.diff(self.moment) != 0))
        return *np.divmod(self.moment[starts], facts.DAYS), np.diff(np.append(starts, len(self.moment)))

    @cached_property
    def purchases(self) -> I64:
        return np.bincount(self.shop.sold.client, minlength=len(self.shop.customer_ids))

    @cached_property
    def per_buyer(self) -> I64:
        return self.purchases[self.purchases > 0]

    @cached_property
    def sales(self) -> F64:
        """Per article, descending, scaled to H&M's mean."""
        sold = np.sort(np.bincount(self.shop.sold.item, minlength=len(self.shop.article_ids)))[::-1]
        return np.asarray(sold * (ROWS / facts.ARTICLES) / sold.mean())

    @cached_property
    def gaps(self) -> I64:
        client, day, _ = self.baskets
        return np.diff(day)[np.diff(client) == 0]

    @cached_property
    def repeated(self) -> tuple[float, float]:
        """Shares of purchases that repeat one of the same day, and that repeat one of an earlier day."""
        n_items = len(self.shop.article_ids)
        key = self.moment // facts.DAYS * n_items + self.shop.sold.item
        key *= facts.DAYS
        key += self.shop.sold.day - facts.FIRST_DAY
        key.sort()
        same_day = np.append(False, key[1:] == key[:-1])
        day = key % facts.DAYS
        key //= facts.DAYS
        first = np.maximum.accumulate(np.where(np.append(True, key[1:] != key[:-1]), np.arange(len(key)), 0))
        return float(same_day.mean()), float((day > day[first]).mean())

    @cached_property
    def weeks(self) -> I64:
        """Purchases in each whole week, scaled to H&M's number."""
        week = (self.shop.sold.day - self.shop.world.entry.first_day) // 7
        return np.bincount(week)[1:] * ROWS / len(week)

    @cached_property
    def last_week(self) -> tuple[float, float]:
        """The share of customers who buy in the last week, and the share of these who never did before."""
        client, day, _ = self.baskets
        last = np.unique(client[day >= facts.DAYS - 7])
        first = day[np.searchsorted(client, last)]
        return len(last) / len(self.purchases), float((first >= facts.DAYS - 7).mean())

    @cached_property
    def customers(self) -> dict[str, float]:
        """The share of missing values in each column of customers.csv."""
        table = tables.customers(self.shop.seed, self.shop.customer_ids)
        return {name: table.column(name).null_count / len(table) for name in table.column_names}

    @cached_property
    def articles(self) -> dict[str, int]:
        """Distinct values of each column of articles.csv; under "missing" the articles without description."""
        table = tables.articles(self.shop.seed, self.shop.world)
        distinct = {name: len(table.column(name).unique()) for name in table.column_names}
        return {**distinct, "missing": table.column("detail_desc").null_count}


def quantiles(values: npt.NDArray[np.generic], *places: float) -> str:
    return ", ".join(f"{value:,.0f}" for value in np.quantile(values, places))


def top(measured: Measured, part: int) -> str:
    return f"{measured.sales[: len(measured.sales) // part].sum() / measured.sales.sum():.1%}"


def missing(column: str) -> Callable[[Measured], str]:
    return lambda measured: f"{measured.customers[column]:.1%}"


def levels(*columns: str) -> Callable[[Measured], str]:
    return lambda measured: ", ".join(f"{measured.articles[column]:,}" for column in columns)


STATISTICS: list[tuple[str, str, Callable[[Measured], str]]] = [
    ("purchases", f"{ROWS:,}", lambda m: f"{len(m.moment):,}"),
    ("customers", "1,371,980", lambda m: f"{len(m.purchases):,}"),
    ("never bought", "0.7%", lambda m: f"{(m.purchases == 0).mean():.1%}"),
    ("purchases per buyer: mean", "23.3", lambda m: f"{m.per_buyer.mean():.1f}"),
    ("its p25, p50, p75, p90, p99", "3, 9, 26, 60, 187", lambda m: quantiles(m.per_buyer, 0.25, 0.5, 0.75, 0.9, 0.99)),
    ("its largest", "1,895", lambda m: f"{m.per_buyer.max():,}"),
    ("basket (customer and day): mean", "3.6", lambda m: f"{m.baskets[2].mean():.1f}"),
    ("its p50, p90", "2, 8", lambda m: quantiles(m.baskets[2], 0.5, 0.9)),
    ("days between baskets: p50, p90", "22, 125", lambda m: quantiles(m.gaps, 0.5, 0.9)),
    ("repeats exactly (folded into one row)", "9.4%", lambda m: f"{m.repeated[0]:.1%}"),
    ("the same article on a later day", "3.8%", lambda m: f"{m.repeated[1]:.1%}"),
    ("purchases a week, scaled", "303,000", lambda m: f"{m.weeks.mean():,.0f}"),
    ("articles", "105,542", lambda m: f"{len(m.sales):,}"),
    ("sales per article, scaled: p50, p90, p99", "65, 793, 3,185", lambda m: quantiles(m.sales, 0.5, 0.9, 0.99)),
    ("its largest", "50,287", lambda m: f"{m.sales.max():,.0f}"),
    ("the top 1% of articles hold", "18.6%", lambda m: top(m, 100)),
    ("the top 10% hold", "about 60%", lambda m: top(m, 10)),
    ("never sold", "0.9%", lambda m: f"{(m.sales == 0).mean():.1%}"),
    ("last week: customers who buy", "5.0%", lambda m: f"{m.last_week[0]:.1%}"),
    ("of these, never seen before", "8.1%", lambda m: f"{m.last_week[1]:.1%}"),
    ("bought online (channel 2)", "70.4%", lambda m: f"{(m.shop.sold.channel == 2).mean():.1%}"),
    ("missing: FN", "65.2%", missing("FN")),
    ("missing: Active", "66.2%", missing("Active")),
    ("missing: age", "1.2%", missing("age")),
    ("missing: club_member_status", "0.4%", missing("club_member_status")),
    ("missing: fashion_news_frequency", "1.2%", missing("fashion_news_frequency")),
    ("missing: detail_desc, articles", "416", levels("missing")),
    (
        "distinct: product code, department, product type",
        "47,224, 299, 132",
        levels("product_code", "department_no", "product_type_no"),
    ),
    (
        "distinct: section, colour group, graphical appearance",
        "57, 50, 30",
        levels("section_no", "colour_group_code", "graphical_appearance_no"),
    ),
    (
        "distinct: garment group, product group, index, index group",
        "21, 19, 10, 5",
        levels("garment_group_no", "product_group_name", "index_code", "index_group_no"),
    ),
]


def table(measured: Measured) -> str:
    rows = [f"| {name} | {stated} | {of(measured)} |" for name, stated, of in STATISTICS]
    return "\n".join(["| statistic | H&M | synthetic |", "|---|---|---|", *rows]) + "\n"


def plot(measured: Measured, path: Path) -> None:
    """Quantiles of the shop as lines, those stated of H&M as points; the same shop draws the same file."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "spfedrec", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    figure, ((buyers, articles), (baskets, weeks)) = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    stated = {0.25: 3, 0.5: 9, 0.75: 26, 0.9: 60, 0.99: 187, 1: facts.MOST_PURCHASES}
    _curve(buyers, "purchases per buyer", measured.per_buyer, stated)
    _curve(articles, "sales per article, scaled", measured.sales, {0.5: 65, 0.9: 793, 0.99: 3185, 1: 50_287})
    _curve(baskets, "purchases per basket", measured.baskets[2], {0.5: 2, 0.9: 8})
    weeks.plot(np.arange(len(measured.weeks)), measured.weeks / 1000, color="tab:blue")
    weeks.axhline(303, color="tab:orange", linestyle="--")
    weeks.set(title="purchases a week, thousands (scaled)", xlabel="week from 26 September 2018", ylim=(0, None))
    figure.legend(handles=[*buyers.get_lines()], labels=["synthetic", "H&M"], loc="outside lower center", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _curve(axes, title: str, values: npt.NDArray[np.generic], stated: dict[float, int]) -> None:
    """Over -log10(1 - quantile), so that the tail is seen; the largest value stands at 1 / n."""
    rest = 1 / len(values)
    axes.plot(_nines(PLACES, rest), np.maximum(np.quantile(values, PLACES), 0.5), color="tab:blue")
    axes.plot(_nines(np.array(list(stated)), rest), list(stated.values()), "o", color="tab:orange")
    axes.set(title=title, yscale="log", xlabel="quantile")
    axes.set_xticks([0, 1, 2, 3, 4], ["0", "90 %", "99 %", "99.9 %", "99.99 %"])


def _nines(places: F64, rest: float) -> F64:
    return -np.log10(np.maximum(1 - places, rest))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    size = (facts.CUSTOMERS, facts.ARTICLES) if given.full else (given.customers, given.items)
    measured = Measured(make_shop(Request((), given.seed, *size)))
    sys.stdout.write(table(measured))
    if given.plot:
        plot(measured, given.plot)


if __name__ == "__main__":
    main()
