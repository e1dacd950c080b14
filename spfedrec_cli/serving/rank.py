"""One person's list, made on the device from a bundle."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.second_stage.rows import Rows
from spfedrec_cli.serving.bundle import Bundle
from spfedrec_cli.serving.first import best, length
from spfedrec_cli.serving.second_stage import Stage, in_order, ranked, rows_from, stage_of
from spfedrec_cli.serving.tower import tower_of

TOWERS, SECOND_STAGE = "towers", "second stage"
BLOCK = 1 << 14  # items decoded at once
NEAR, LEAST = 4, 64  # so many times the list, and so many items at least, are scored again in twelve bits
EMBEDDING = 4  # bytes of a float in a request to a service


@dataclass(frozen=True)
class Listed:
    """Best first: id, score, name, type, colour of each; `seconds` to load, and to rank once loaded, by `engine`.
    `ranked_by`: towers, or second stage."""

    items: list[tuple[str, float, str | None, str | None, str | None]]
    engine: str
    load_seconds: float
    rank_seconds: float
    ranked_by: str = TOWERS


def rank(
    bundle: Bundle,
    history: Sequence[str],
    k: int | None = None,
    fields: Mapping[str, str] | None = None,
    exclude_seen: bool | None = None,
    days: Sequence[int] | None = None,
) -> Listed:
    """The k best items (12, or as many as there are) for who bought `history`, oldest first, and is what `fields` say.

    `exclude_seen`: None leaves out what was bought where bought items do not stay ranked (`repeats`). `days`: when each
    was bought, since 1970; with them the second stage ranks, where the bundle has one. Raises InputError for an empty
    history, for articles, fields and values that the bundle does not know, and for more items than there are.
    """
    began = time.perf_counter()
    if not history:
        raise InputError("The history is empty", hint="name what was bought with --history A,B")
    tower, engine = tower_of(bundle)
    stage = stage_of(bundle)
    bought = bundle.items(list(history))
    past = _latest(bought)
    n_items = len(bundle.quantised)
    places = length(k, n_items)
    codes = _codes(bundle, fields or {})
    excluded = not bundle.about["repeats"] if exclude_seen is None else exclude_seen
    seen = past if excluded else past[:0]
    loaded = time.perf_counter()
    query = tower(codes, _pooled(bundle, past))[0]
    if stage is None or (days is None and stage.about["dated"]):
        listed, scores = _by_towers(bundle, query, places, seen)
    else:
        given = None if days is None else np.array(days, np.int64)
        listed, scores = _by_second_stage(bundle, stage, rows_from(stage, bought, given), query, places, seen)
    ranked_at = time.perf_counter()
    items = [_line(bundle, int(item), float(score)) for item, score in zip(listed, scores, strict=True)]
    by = TOWERS if stage is None or (days is None and stage.about["dated"]) else SECOND_STAGE
    return Listed(items, engine, loaded - began, ranked_at - loaded, by)


def _latest(bought: I64) -> I64:
    """Distinct items in the order of their last place."""
    return np.array(list(dict.fromkeys(bought.tolist()[::-1]))[::-1], np.int64)


def _by_towers(bundle: Bundle, query: F32, places: int, seen: I64) -> tuple[I64, F32]:
    scores = _scores(bundle, query)
    near = best(scores, min(max(places * NEAR, LEAST), len(scores)), seen)
    exact = _exact(bundle, query, near)
    order = np.lexsort((near, -exact))[:places]
    return near[order], exact[order]


def _by_second_stage(bundle: Bundle, stage: Stage, rows: Rows, query: F32, places: int, seen: I64) -> tuple[I64, F32]:
    """The device's own ranking; scores of what stands behind its candidates are minus infinity."""
    scores = _scores(bundle, query)
    own = np.unique(rows.items.values).astype(np.int64) if not bundle.about["repeats"] else seen[:0]
    wanted = min(stage.about["retrieved"], len(scores))
    near = best(scores, min(max(wanted * 2, LEAST), len(scores)), own) if wanted else seen[:0]
    retrieved = near[np.lexsort((near, -_exact(bundle, query, near)))][:wanted]
    items, values = ranked(stage, rows, retrieved, lambda some: _exact(bundle, query, some))
    allowed = np.ones(len(scores), np.bool_)
    allowed[seen] = False
    chosen = in_order(items, values, lambda: best(scores, len(scores), seen), allowed, places)
    place = np.minimum(np.searchsorted(items, chosen), len(items) - 1)
    return chosen, np.where(items[place] == chosen, values[place], -np.inf).astype(np.float32)


def _exact(bundle: Bundle, query: F32, places: I64) -> F32:
    """(m,) of some items, in twelve bits."""
    return _with_prior(bundle, bundle.exact(places) @ query, places)


def _line(bundle: Bundle, item: int, score: float) -> tuple[str, float, str | None, str | None, str | None]:
    id, name, kind, colour = bundle.item(item)
    return str(id), score, name, kind, colour


def _codes(bundle: Bundle, fields: Mapping[str, str]) -> I64:
    """(1, fields); 0 where nothing is said."""
    known = {entry["name"]: entry["values"] for entry in bundle.about["fields"]}
    for name, value in fields.items():
        among, word = (known, name) if name not in known else (known[name], value)
        if word not in among:
            near = nearest(word, list(among))
            hint = f"did you mean {near}?" if near else f"there are {', '.join(list(among)[:8]) or 'none'}"
            what = f"no field {name!r}" if name not in known else f"no {name} {value!r}"
            raise InputError(f"The bundle knows {what} of a customer", hint=hint)
    return np.array(
        [[values.index(fields[name]) + 1 if name in fields else 0 for name, values in known.items()]], np.int64
    )


def _pooled(bundle: Bundle, past: I64) -> F32:
    """(1, d): the mean of what was bought, weighted as the run weights it."""
    model: dict[str, Any] = bundle.about["model"]
    vectors = bundle.exact(past)
    if model["history"] == "none":
        return np.zeros((1, vectors.shape[1]), np.float32)
    newer = np.arange(len(past))[::-1]
    weights = np.exp2(-newer / model["half_life"]) if model["history"] == "recency" else np.ones(len(past))
    return np.asarray((weights / weights.sum()).astype(np.float32)[None] @ vectors, np.float32)


def _scores(bundle: Bundle, query: F32) -> F32:
    """(n_items,), as the run's `recommend` gives them, but for what eight bits lose."""
    scores = np.empty(len(bundle.quantised), np.float32)
    for start in range(0, len(scores), BLOCK):
        part = slice(start, start + BLOCK)
        scores[part] = (bundle.quantised[part].astype(np.float32) @ query) * bundle.scales[part]
    return _with_prior(bundle, scores, np.arange(len(scores)))


def _with_prior(bundle: Bundle, scores: F32, places: I64) -> F32:
    return scores if bundle.prior is None else np.asarray(scores + bundle.prior[places], np.float32)


def bytes_of_a_service(bundle: Bundle, k: int) -> tuple[int, int]:
    """What a service would be sent and send back for one list: a query embedding up; ids and scores down."""
    dim = bundle.quantised.shape[1]
    width = max(len(str(bundle.item(0)[0])), 1)
    return EMBEDDING * dim, k * (width + EMBEDDING)
