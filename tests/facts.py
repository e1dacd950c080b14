"""What a report is made of, without a run: eight clients of a shop, two rounds, and figures that can be told apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spfedrec_cli.config import resolve
from spfedrec_cli.report.facts import Customer, Facts, Map, Measured, Message, Shop, Told
from spfedrec_cli.report.parts import FOUND, Entry
from spfedrec_cli.retrieval.groups import Group
from spfedrec_cli.retrieval.intervals import Difference, Paired

METRICS = {"ndcg@10": 0.5, "hit_rate@10": 0.75, "recall_new@10": 0.25, "recall_repeat@10": 0.875}
HOSTILE = '</svg></script><script>alert("1")</script><img src=x onerror=alert(2)> url(#p) id="a" $x_1$'


def spans(metrics: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    return {name: (value - 0.125, value + 0.125) for name, value in metrics.items()}


def measured(**changes: Any) -> Measured:
    """Beside one baseline that is worse, and one that knows the truth."""
    beside = {name: {each: value / 2 for each, value in METRICS.items()} for name in ("ease", "best_possible")}
    values: dict[str, Any] = {
        "clients": 200,
        "skipped": 40,
        "round": 2,
        "metrics": METRICS,
        "intervals": spans(METRICS),
        "beside": beside,
        "intervals_beside": {name: spans(found) for name, found in beside.items()},
        "groups": {"purchase": {"new": Group(120, {"ndcg@10": 0.25}, {}), "repeat": Group(80, {"ndcg@10": 0.75}, {})}},
    }
    return Measured(**{**values, **changes})


def rounds(count: int = 2) -> list[dict[str, Any]]:
    """Each of 4 clients; every one is validated."""
    line = {"clients": 4, "aborted": 0, "without_target": 1, "warning": None}
    return [{**line, "round": n, "loss": 4 / n, "validation": {"ndcg@10": n / count}} for n in range(1, count + 1)]


def message(kind: str, direction: str, count: int, size: int) -> Message:
    return Message(kind, direction, f"what {kind} tells", count, count * size, size)


def told(*settings: str, **changes: Any) -> Told:
    """A client gets 1,000 bytes in a round, and sends 59 in a request of ten items and 500 in its update."""
    messages = [message("popularity", "up", 8, 99), message("broadcast", "down", 8, 1000)]
    messages += [message("request", "up", 8, 59), message("update", "up", 8, 500)]
    values: dict[str, Any] = {
        "name": "first",
        "path": "runs/first",
        "version": "0.1.0",
        "started": "2026-01-01T00:00:00+00:00",
        "preset": "sample",
        "config": resolve(settings=["train.rounds=2", *settings]),
        "environment": {"python": "3.11"},
        "rounds": rounds(),
        "messages": messages,
        "measured": measured(),
    }
    return Told(**{**values, **changes})


def versus(name: str, mean: float, p: float) -> Paired:
    difference = Difference(mean, mean - 0.125, mean + 0.125, p)
    return Paired(name, {"hit_rate@10": difference, "ndcg@10": difference}, {"hit_rate@10": p, "ndcg@10": p})


def facts(*runs: Told, **changes: Any) -> Facts:
    """Of one run that is ahead of its best baseline, in a shop where items are bought again."""
    near = {"Dress": (3, 0.75, 0.25), "Sock": (2, 0.5, 0.125)}
    places = np.array([[0.0, 1], [1, 0], [1, 1], [0, 0], [2, 1]])
    entries = [Entry("Strap top", "Vest top, Black", (FOUND, "bought before")), Entry("Socks")]
    values: dict[str, Any] = {
        "shop": Shop("shop", 8, 5, 40, 8, True, "the test week", 0.8),
        "best": versus("ease", 0.25, 0.01),
        "map": Map("product_type", places, ["Dress", "Dress", "Sock", "Sock", "Dress"], 0.5, 5, near),
        "customers": [Customer("0001", "NDCG@10 0.50", entries[1:], entries)],
    }
    return Facts(runs or (told(),), **{**values, **changes})
