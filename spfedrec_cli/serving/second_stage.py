"""The second stage on the device: candidates, features of its own purchases, and what each is worth. Numpy alone."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, F64, I32, I64
from spfedrec_cli.second_stage.candidates import families
from spfedrec_cli.second_stage.examples import Catalogue, Moments, examples, moments_before, pairs_of
from spfedrec_cli.second_stage.features import Columns, features_of
from spfedrec_cli.second_stage.forms import FORMS
from spfedrec_cli.second_stage.mixing import explored, mixed
from spfedrec_cli.second_stage.past import Past
from spfedrec_cli.second_stage.personal import Personal, corrected
from spfedrec_cli.second_stage.public import Public, public_at
from spfedrec_cli.second_stage.rows import Rows
from spfedrec_cli.serving import bundle as names
from spfedrec_cli.serving.bundle import Bundle

Forward = Callable[[F32], F64]  # features (p, F) to scores (p,)


@dataclass(frozen=True)
class Stage:
    """What a bundle has of it: `about`, its part of the manifest; what everybody knows of items, now and in the label
    weeks before (`then`); its weights (P,), and the form with them as `forward`."""

    about: dict[str, Any]
    shop: Catalogue
    public: Public
    moments: Moments
    then: Public
    weights: F64
    forward: Forward

    def scores(self, x: F32, rows: Rows) -> F64:
        """(p,) of features (p, F): by the shared weights, or by those that the device corrects for itself."""
        said = self.about
        if not said["personal"]:
            return self.forward(x)
        form, how = FORMS[said["form"]], Personal(said["personal"], said["proximal"], said["loss"])
        lists = examples(rows, np.zeros(1, np.int64), self.moments, self.then, self.shop)
        entering, shared = form.last(self.weights, lists.x, said["hidden"])
        own = corrected(lists, entering, shared, how)
        return np.asarray(form.last(self.weights, x, said["hidden"])[0] @ own[:-1] + own[-1], np.float64)


def stage_of(bundle: Bundle) -> Stage | None:
    """None where the bundle has none."""
    about: dict[str, Any] | None = bundle.about.get("second_stage")
    if about is None:
        return None
    buyers, kin = bundle.array(names.WEEKS).astype(np.int64), None
    if names.KIN in bundle.about["files"]:
        kin = np.asarray(bundle.array(names.KIN), np.int32)
    codes = np.asarray(bundle.array(names.CODES), np.int32)
    columns = Columns(tuple(about["features"]), tuple(about["fields"]), codes)
    shop = Catalogue(buyers.shape[1], columns, bundle.about["repeats"], kin, None if kin is None else families(kin))
    weights = load_file(bundle.folder / names.RANKER)["weights"].astype(np.float64)
    public, moments, then = _public(about, buyers)
    return Stage(about, shop, public, moments, then, weights, _forward(bundle, about, weights))


def _public(about: dict[str, Any], buyers: I64) -> tuple[Public, Moments, Public]:
    weeks, popular = len(buyers) - 1, about["popular"]
    public = public_at(buyers, (weeks,), popular)
    if not about["personal"]:
        return public, Moments(()), public
    if about["day"] is None:
        return public, Moments((), about["label_weeks"]), public
    moments, ends = moments_before(about["day"], about["label_weeks"], about["spacing"], weeks)
    return public, moments, public_at(buyers, ends, popular)


def _forward(bundle: Bundle, about: dict[str, Any], weights: F64) -> Forward:
    if names.RANKER_GRAPH in bundle.about["files"] and find_spec("onnxruntime"):
        import onnxruntime

        file = str(bundle.folder / names.RANKER_GRAPH)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return lambda x: np.asarray(session.run(None, {"features": x})[0], np.float64)
    return lambda x: FORMS[about["form"]].forward(weights, x, about["hidden"])[0]


def rows_from(stage: Stage, items: I64, days: I64 | None) -> Rows:
    """Purchases (m,) of one device, oldest first; without days these are their places. Where an item was bought twice
    on a day, that is one purchase that counts twice."""
    day = np.arange(len(items)) if days is None or not stage.about["dated"] else days
    keys, counts = np.unique(day.astype(np.int64) * stage.shop.n_items + items, return_counts=True)
    values = Ragged.from_lengths(np.array([len(keys)]), keys % stage.shop.n_items)
    return Rows(values, (keys // stage.shop.n_items).astype(np.int32), counts.astype(np.int32))


def ranked(stage: Stage, rows: Rows, retrieved: I64, towers: Callable[[I64], F32]) -> tuple[I64, F64]:
    """Candidates (p,), ascending, and what each is worth. `retrieved`: what the towers retrieve; `towers`: their scores
    of some items."""
    said, newest = stage.about, int(rows.day.max(initial=0))
    moment = newest if said["day"] is None else max(said["day"], newest + 1)
    past, first = Past(rows, np.array([moment]), stage.shop.n_items), np.zeros(1, np.int64)
    pairs = pairs_of(past, stage.public, first, stage.shop, (retrieved,))
    mix = tuple(said["mix"])

    def own() -> F64:
        return stage.scores(features_of(pairs, stage.shop.columns), rows)

    values = mixed((mix[0], mix[1]), own, towers(pairs.item), pairs)
    return pairs.item, explored(values, pairs, said["explore"], said["explore_after"]) if said["explore"] else values


def in_order(items: I64, values: F64, towers: Callable[[], I32 | I64], allowed: np.ndarray[Any, Any], k: int) -> I64:
    """The first k of the allowed candidates, equal ones by place; behind them others as the `towers` rank them."""
    kept = allowed[items]
    items, worth = items[kept], values[kept].astype(np.float32)
    best = items[np.lexsort((items, -worth))][:k]
    if len(best) == k:
        return best
    others = np.asarray(towers(), np.int64)
    return np.concatenate([best, others[~np.isin(others, items)]])[:k]
