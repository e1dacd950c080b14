"""The verdict: how good, how private, at what cost, and what to beware of."""

from collections.abc import Iterator

from spfedrec_cli.report.facts import MONTH, Facts, Measured, Told
from spfedrec_cli.report.numbers import counted, share, size
from spfedrec_cli.report.parts import Point, Section
from spfedrec_cli.report.sections.privacy import in_short

FEW = 100  # clients; with fewer, an interval says little


def section(facts: Facts) -> Section:
    run = facts.first
    points = [*_quality(facts), _privacy(run, facts), *_cost(run), *_beware(facts)]
    return Section("verdict", "The verdict", points=points)


def _quality(facts: Facts) -> Iterator[Point]:
    found = facts.first.measured
    if found is None:
        yield Point("Quality", "It was not measured: there is no ground truth in the test split.")
        return
    k = found.shortest
    hits = found.metrics[f"hit_rate@{k}"]
    told = f"{_some(hits, found.clients)} customers find something that they bought in {facts.shop.test}"
    told = f"{told} among their first {k} items"
    yield Point("Quality", f"{told} (NDCG@{k} {_with_interval(found, f'ndcg@{k}')}, {found.clients:,} customers).")
    if facts.best is not None:
        yield _beside(facts, k)
    if f"recall_new@{k}" in found.metrics and f"recall_repeat@{k}" in found.metrics:
        new, again = (found.metrics[f"recall_{kind}@{k}"] for kind in ("new", "repeat"))
        text = f"Of purchases new to a customer {share(new)} are in the first {k}, of repeated ones {share(again)}."
        yield Point("New and repeated", text)


def _beside(facts: Facts, k: int) -> Point:
    """Whether the best baseline is ahead, behind, or not to be told apart."""
    assert facts.best is not None
    found, metric = facts.first.measured, f"ndcg@{k}"
    assert found is not None
    difference, p = facts.best.differences[metric], facts.best.p_holm[metric]
    reached = found.beside[facts.best.name][metric]
    span = f"difference {difference.mean:+.3f}, 95 % from {difference.low:+.3f} to {difference.high:+.3f}, p = {p:.2g}"
    rival = f"{facts.best.name}, the best of {counted(len(found.rivals), 'baseline')} (NDCG@{k} {reached:.3f})"
    if p >= 0.05:
        return Point("Beside others", f"It is statistically indistinguishable from {rival}: {span}.")
    ahead = difference.mean > 0
    verb = "It is better than" if ahead else "It is worse than"
    return Point("Beside others", f"{verb} {rival}: {span}.", "good" if ahead else "bad")


def _privacy(run: Told, facts: Facts) -> Point:
    text, tone = in_short(run, facts.shop)
    return Point("Privacy", text, tone)


def _cost(run: Told) -> Iterator[Point]:
    if not run.messages:
        return
    up, down = size(run.bytes_of_a_round("up")), size(run.bytes_of_a_round("down"))
    month = size(run.bytes_of_a_month)
    yield Point("Cost", f"A client sends {up} and receives {down} in a round: {month} in a month of {MONTH} rounds.")


def _beware(facts: Facts) -> Iterator[Point]:
    """What a reader has to know before the figures are believed."""
    for note in _notes(facts):
        yield Point("Beware", note, "bad")


def _notes(facts: Facts) -> Iterator[str]:
    run, found = facts.first, facts.first.measured
    reached, planned = len(run.rounds), run.config.train.rounds
    if reached < planned:
        yield f"The training has {reached:,} of {planned:,} rounds."
    if found is not None and found.clients < FEW:
        yield f"Only {counted(found.clients, 'customer')} could be ranked for: chance decides much here."
    if found is not None and not found.beside:
        yield "No baseline was measured beside it: run `spfedrec evaluate RUN --baselines`, then the report again."
    yield from found.notes if found is not None else ()
    yield from dict.fromkeys(line["warning"] for line in run.rounds if line.get("warning"))
    yield from facts.notes


def _with_interval(found: Measured, metric: str) -> str:
    low, high = found.intervals.get(metric, (None, None))
    value = f"{found.metrics[metric]:.3f}"
    return value if low is None else f"{value}, 95 % from {low:.3f} to {high:.3f}"


def _some(part: float, clients: int) -> str:
    """Of 100, or of 1,000 where they are few; of as many as there are where those are fewer."""
    of = min(clients, 100 if part >= 0.05 else 1000)
    return f"{of * part:.0f} of {of:,}"
