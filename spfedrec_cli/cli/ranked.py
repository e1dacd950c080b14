"""Recommendations as tables and as JSON."""

from typing import TYPE_CHECKING, Any

from rich.console import Group

from spfedrec_cli.cli.output import Cell, table

if TYPE_CHECKING:
    from spfedrec_cli.serving.lists import Given, Ranked

LABELS = ("name", "type", "colour")


def as_json(one: "Given") -> dict[str, Any]:
    items = [
        {"article_id": item.article_id, "score": item.score, **_labels(item.labels), **_why(item)} for item in one.items
    ]
    history = [{"article_id": item.article_id, **_labels(item.labels)} for item in one.history]
    return {"customer_id": one.customer_id, "history": history, "items": items}


def _labels(labels: dict[str, str]) -> dict[str, str | None]:
    """name, type and colour, null where the source has none."""
    return {label: labels.get(label) for label in LABELS}


def _why(item: "Ranked") -> dict[str, Any]:
    if item.why is None:
        return {}
    purchases = [{"article_id": id, "pull": pull} for id, pull in item.why.purchases]
    parts = {"prior": item.why.prior, "profile": item.why.profile, "history": item.why.history}
    return {"why": {**parts, "purchases": purchases}}


def who(one: "Given") -> str:
    return f"customer {one.customer_id}" if one.customer_id is not None else "this history"


def tables(one: "Given") -> list[Group]:
    """The past, the list, and why each stands there, where that was asked."""
    shown = [label for label in LABELS if any(label in item.labels for item in (*one.items, *one.history))]
    bought = [(item.article_id, *(item.labels.get(label, "") for label in shown)) for item in one.history]
    ranked: list[tuple[Cell, ...]] = [
        (place, item.article_id, *(item.labels.get(label, "") for label in shown), item.score)
        for place, item in enumerate(one.items, 1)
    ]
    past = [table(f"Last purchases of {who(one)}, newest first", ["article", *shown], bought)] if bought else []
    reasons = [_reasons(one)] if any(item.why for item in one.items) else []
    return [*past, table(f"Recommended to {who(one)}", ["", "article", *shown, "score"], ranked), *reasons]


def _reasons(one: "Given") -> Group:
    """What the score is the sum of, and the purchases that pull the article up most."""
    rows: list[tuple[Cell, ...]] = []
    for item in one.items:
        assert item.why is not None
        pulls = ", ".join(f"{id} {pull:+.4f}" for id, pull in item.why.purchases)
        rows.append((item.article_id, item.score, item.why.prior, item.why.profile, item.why.history, pulls))
    head = ["article", "score", "= prior", "+ profile", "+ history", "pulled up by, if each alone were missing"]
    return table("Why", head, rows)
