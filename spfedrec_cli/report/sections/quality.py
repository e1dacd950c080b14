"""How good the lists are: beside baselines, of repeated and of new purchases, and for whom."""

from collections.abc import Iterator, Mapping, Sequence

from spfedrec_cli.report.charts import Dot, dots
from spfedrec_cli.report.drawing import figure
from spfedrec_cli.report.facts import BEST_POSSIBLE, Facts, Measured
from spfedrec_cli.report.inline import WIDTH, inlined
from spfedrec_cli.report.numbers import counted
from spfedrec_cli.report.parts import Cell, Figure, Section, Table
from spfedrec_cli.retrieval.groups import Group
from spfedrec_cli.retrieval.intervals import Interval

SHOWN = ("hit_rate", "recall", "ndcg", "mrr", "map", "coverage")
NAMES = {"ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "hit_rate": "hit rate"}
KINDS = {
    "customer": "by what is known of the customer",
    "purchase": "by whether the purchase is new to the customer",
    "item": "by how well the item sells",
    "activity": "by how many items the customer's history has",
}
PURCHASES = {"repeat": "repeated"}
THIS, SECOND_STAGE = "this run", "its second stage"
ROW = 0.34  # inches


def section(facts: Facts) -> Section | None:
    found = facts.first.measured
    if found is None:
        return None
    k = found.shortest
    figures = [_beside(found, f"ndcg@{k}")]
    apart = [name for name in (f"recall_new@{k}", f"recall_repeat@{k}") if name in found.metrics]
    figures += [_beside(found, name) for name in apart]
    tables = [_table(found, k), *([_apart(found, apart)] if apart else [])]
    more = sorted({int(name.partition("@")[2]) for name in found.metrics})
    return Section(
        "quality",
        "Quality",
        list(_sentences(facts, found, k)),
        tables=tables,
        figures=figures,
        folded=[_all(found, more)],
    )


def groups(facts: Facts) -> Section | None:
    found = facts.first.measured
    if found is None or not found.groups:
        return None
    metric = f"ndcg@{found.shortest}"
    figures = [_of_groups(by, each, metric) for by, each in found.groups.items() if len(each) > 1]
    told = "Groups of few customers have wide intervals; where two overlap, the intervals alone do not tell them apart."
    return Section("groups", "Who is served how well", [told], figures=figures)


def _sentences(facts: Facts, found: Measured, k: int) -> Iterator[str]:
    who = counted(found.clients, "customer")
    yield f"All items were ranked for the {who} who bought something in {facts.shop.test}."
    if found.skipped:
        yield f"{counted(found.skipped, 'customer')} bought nothing then and are left out."
    yield "Intervals of 95 % are bootstrapped over customers. NDCG counts how high a purchase stands; 1 is best."
    if BEST_POSSIBLE in found.beside:
        yield "The shop is made up, so that the best possible recommender is known: it reads the true tastes."


def _each(found: Measured) -> Iterator[tuple[str, Mapping[str, float], Mapping[str, Interval]]]:
    yield THIS, found.metrics, found.intervals
    if found.second_stage:
        yield SECOND_STAGE, found.second_stage, {}
    for name, metrics in found.beside.items():
        yield name, metrics, found.intervals_beside.get(name, {})


def _beside(found: Measured, metric: str) -> Figure:
    measured = [
        Dot(name, metrics[metric], *intervals.get(metric, (metrics[metric],) * 2), strong=name == THIS)
        for name, metrics, intervals in _each(found)
        if metric in metrics
    ]
    return dots_figure(sorted(measured, key=lambda dot: -dot.value), worded(metric), metric)


def dots_figure(every: Sequence[Dot], title: str, name: str) -> Figure:
    """Values with their intervals; `name` is that of no other figure of the page."""
    with figure(WIDTH, 0.9 + ROW * len(every)) as made:
        dots(made.subplots(), every, "", "mean and 95 % interval")
        svg = inlined(made, "".join(letter if letter.isalnum() else "-" for letter in name))
    rows = [(dot.name, dot.value, dot.low, dot.high) for dot in every]
    told = "; ".join(f"{dot.name} {dot.value:.3f} ({dot.low:.3f} to {dot.high:.3f})" for dot in every)
    title = title[0].upper() + title[1:]
    return Figure(title, svg, f"{title}: {told}.", Table(title, ("", "mean", "95 % from", "to"), rows))


def _table(found: Measured, k: int) -> Table:
    metrics = [f"{name}@{k}" for name in SHOWN if f"{name}@{k}" in found.metrics]
    rows: list[tuple[Cell, ...]] = [(name, *(of.get(each) for each in metrics)) for name, of, _ in _each(found)]
    ends = [{name: span[end] for name, span in found.intervals.items()} for end in (0, 1)]
    rows[1:1] = [
        (name, *(of.get(each) for each in metrics)) for name, of in zip(("95 % from", "to"), ends, strict=True)
    ]
    return Table("Beside baselines, under the same rules", ("", *map(worded, metrics)), rows, strong=0)


def _apart(found: Measured, metrics: Sequence[str]) -> Table:
    rows = [(name, *(of.get(each) for each in metrics)) for name, of, _ in _each(found)]
    of = found.groups.get("purchase", {})
    told = ", ".join(
        f"{counted(each.clients, 'customer')} with {PURCHASES.get(name, name)} ones" for name, each in of.items()
    )
    return Table(f"Repeated and new purchases apart: {told}", ("", *map(worded, metrics)), rows, strong=0)


def _all(found: Measured, lengths: Sequence[int]) -> Table:
    named = sorted(found.metrics, key=lambda name: (lengths.index(int(name.partition("@")[2])), name))
    rows = [
        (
            worded(name),
            found.metrics[name],
            *found.intervals.get(name, (None, None)),
            *(of.get(name) for of in found.beside.values()),
        )
        for name in named
    ]
    return Table("Every measure", ("", THIS, "95 % from", "to", *found.beside), rows)


def _of_groups(by: str, each: Mapping[str, Group], metric: str) -> Figure:
    measured = [
        Dot(
            f"{name} ({group.clients:,})",
            group.metrics[metric],
            *group.intervals.get(metric, (group.metrics[metric],) * 2),
        )
        for name, group in each.items()
    ]
    return dots_figure(measured, f"{worded(metric)} {KINDS.get(by, f'by {by}')}", f"groups-{by}")


def worded(metric: str) -> str:
    """NDCG@10 for ndcg@10, "recall@10 of new purchases" for recall_new@10."""
    name, at, k = metric.partition("@")
    if name.startswith("recall_"):
        kind = {"repeat": "repeated"}.get(name.removeprefix("recall_"), name.removeprefix("recall_"))
        return f"recall{at}{k} of {kind} purchases"
    return f"{NAMES.get(name, name.replace('_', ' '))}{at}{k}"
