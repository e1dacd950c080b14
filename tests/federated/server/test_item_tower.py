"""The item tower forward and back: by hand as by autograd, the same bits by any number of threads."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import Aging, features, seeded

from spfedrec_cli.config import ModelConfig
from spfedrec_cli.federated.processes import ALONE, Team
from spfedrec_cli.federated.server import item_tower
from spfedrec_cli.federated.server.item_tower import ByAutograd, Parts, Served, pulled, serve
from spfedrec_cli.model import towers
from spfedrec_cli.model.features import Features
from spfedrec_cli.rng import uniform

FIELDS = {"id": 60, "type": 5, "colour": 4, "brand": 30}


def shape(**model: Any) -> ModelConfig:
    return ModelConfig(**{"dim": 4, "field_dim": 3, "hidden": (5,), "se_ratio": 2, **model})


def tower(fields: int = 4, seed: int = 0, **model: Any) -> tuple[towers.Weights, Features]:
    """One whose weights are all different from zero, and the items that it is for."""
    catalogue = features(np.random.default_rng(seed), 60, dict(list(FIELDS.items())[:fields]))
    weights = towers.init_item_tower(shape(**model), catalogue, seed)
    draw = seeded(seed)
    return {name: w + 0.3 * torch.randn(w.shape, generator=draw) for name, w in weights.items()}, catalogue


def gradients(
    weights: towers.Weights,
    catalogue: Features,
    rows: np.ndarray,
    wanted: torch.Tensor,
    model: ModelConfig | None = None,
    **how: Any,
) -> tuple[Served, dict[str, torch.Tensor]]:
    """Each weight's, tables in full."""
    served = serve(model or shape(), weights, catalogue, rows, 0.4, 0, 1, **how)
    found = {}
    for name, (touched, grad) in pulled(weights, served, wanted).items():
        found[name] = grad if touched is None else torch.zeros_like(weights[name]).index_add_(0, touched, grad)
    return served, found


@given(
    architecture=st.sampled_from(list(item_tower.BY_HAND)),
    fields=st.integers(1, 4),
    hidden=st.sampled_from([(), (5,), (7, 3)]),
    se_ratio=st.sampled_from([0, 1, 2]),
    count=st.integers(1, 60),
    part=st.sampled_from([7, 16, 100]),
    size=st.sampled_from([1.0, 1e-4]),  # some vectors too short to be stretched
    seed=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_by_hand_as_by_autograd(
    architecture: str,
    fields: int,
    hidden: tuple[int, ...],
    se_ratio: int,
    count: int,
    part: int,
    size: float,
    seed: int,
) -> None:
    model = {"item_tower": architecture, "hidden": hidden, "se_ratio": se_ratio}
    weights, catalogue = tower(fields, seed, **model)
    last = list(weights)[-1].removesuffix(".bias")
    weights |= {f"{last}.{kind}": size * weights[f"{last}.{kind}"] for kind in ("weight", "bias")}
    rows = np.sort(np.random.default_rng(seed).choice(60, count, replace=False))
    wanted = torch.randn(count, 4, generator=seeded(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_tower, "PART", part)
        (by_hand, ours), (by_autograd, theirs) = (
            forced(patch, architecture, form, lambda: gradients(weights, catalogue, rows, wanted, shape(**model)))
            for form in (item_tower.BY_HAND[architecture], ByAutograd)
        )
    torch.testing.assert_close(by_hand.embeddings, by_autograd.embeddings)
    assert set(ours) == set(weights)
    for name, grad in theirs.items():
        torch.testing.assert_close(ours[name], grad, rtol=1e-4, atol=1e-5 * float(grad.abs().max()))


def forced(patch: pytest.MonkeyPatch, architecture: str, form: Any, run: Any) -> Any:
    patch.setitem(item_tower.BY_HAND, architecture, form)
    return run()


def test_the_gradient_is_that_of_the_whole_model() -> None:
    """Through a loss of all served rows at once, differentiated end to end."""
    weights, catalogue = tower()
    rows, wanted = np.array([2, 5, 41]), torch.randn(3, 4, generator=seeded())
    whole = {name: w.clone().requires_grad_() for name, w in weights.items()}
    keep = torch.from_numpy(uniform(0, "id_dropout", rows, 1) >= 0.4).float()
    loss = (towers.item_tower(shape(), whole, catalogue.codes[rows], keep) * wanted).sum()
    grads = dict(zip(whole, torch.autograd.grad(loss, list(whole.values())), strict=True))
    for name, grad in gradients(weights, catalogue, rows, wanted)[1].items():
        torch.testing.assert_close(grad, grads[name])


def test_a_part_touches_its_rows_once_and_knows_where_they_are() -> None:
    weights, catalogue = tower()
    codes = catalogue.codes.numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_tower, "PART", 16)
        parts = Parts.of(codes, weights)
        assert len(parts) == 4
        for part in range(4):
            rows, here = parts.rows(part), codes[parts.cut(part)]
            before = np.cumsum([0, *(len(some) for some in rows)])
            for field, some in enumerate(rows):
                assert sorted(some.tolist()) == sorted(set(here[:, field].tolist()))
                places = parts.places[parts.cut(part), field] - before[field]
                assert (some.numpy()[places] == here[:, field]).all()


@pytest.mark.parametrize("threads", [2, 4])
def test_the_same_bits_by_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_tower, "PART", 7)
    weights, catalogue = tower()
    rows, wanted = np.arange(60), torch.randn(60, 4, generator=seeded())
    (alone, one), (together, many) = (
        gradients(weights, catalogue, rows, wanted, threads=number) for number in (1, threads)
    )
    assert torch.equal(alone.embeddings, together.embeddings)
    for name, grad in one.items():
        assert torch.equal(grad, many[name])


def test_every_part_is_somebody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two processes fill in together is what one does; the sum of what crosses is stood in for."""
    monkeypatch.setattr(item_tower, "PART", 7)
    weights, catalogue = tower()
    rows = np.arange(60)
    monkeypatch.setattr(Team, "merge", lambda self, values: values)
    halves = [serve(shape(), weights, catalogue, rows, 0.4, 0, 1, Team(rank, 2)) for rank in range(2)]
    assert sorted([*halves[0].passed, *halves[1].passed]) == list(range(9))
    whole = serve(shape(), weights, catalogue, rows, 0.4, 0, 1, ALONE)
    assert torch.equal(halves[0].embeddings + halves[1].embeddings, whole.embeddings)


def test_nothing_takes_part() -> None:
    weights, catalogue = tower()
    served, grads = gradients(weights, catalogue, np.empty(0, np.int64), torch.zeros(0, 4))
    assert served.embeddings.shape == (0, 4)
    assert all(not grad.any() for grad in grads.values())


def test_served_rows_are_the_rows_of_the_whole_tower() -> None:
    weights, catalogue = tower()
    weights["field.id"] += torch.randn(60, 3, generator=seeded())
    served = serve(shape(), weights, catalogue, np.array([1, 4, 7]), 0.0, 0, 1)
    torch.testing.assert_close(served.embeddings, towers.item_tower(shape(), weights, catalogue.codes)[[1, 4, 7]])


def test_id_dropout_leaves_out_its_share() -> None:
    catalogue = features(np.random.default_rng(0), 2000, {"id": 2000, "type": 1})
    weights = towers.init_item_tower(shape(), catalogue, 0)
    bare = towers.item_tower(shape(), weights, catalogue.codes)[0]
    weights["field.id"] += 1.0
    served = serve(shape(), weights, catalogue, np.arange(2000), 0.3, 0, 1).embeddings
    without = torch.isclose(served, bare, atol=1e-6).all(1)
    assert float(without.float().mean()) == pytest.approx(0.3, abs=0.05)


def test_id_dropout_is_drawn_anew_every_round() -> None:
    weights, catalogue = tower()
    weights["field.id"] += 1.0
    served = [serve(shape(), weights, catalogue, np.arange(60), 0.5, 0, round_).embeddings for round_ in (1, 2)]
    assert not torch.equal(served[0], served[1])


def test_embeddings_are_of_the_items_as_they_are_in_the_round() -> None:
    weights, now = tower(3)
    aging, rows = Aging(now.names, now.cardinalities, now.codes), np.arange(60)
    served = [serve(shape(), weights, aging, rows, 0.0, 0, round_).embeddings for round_ in (1, 2)]
    for round_, embeddings in enumerate(served, 1):
        codes = now.codes.clone()
        codes[:, 2] = round_
        torch.testing.assert_close(embeddings, towers.item_tower(shape(), weights, codes))
    assert not torch.equal(*served)
    assert now.at(7) is now


def test_gradients_go_to_the_rows_of_the_round() -> None:
    weights, now = tower(3)
    aging = Aging(now.names, now.cardinalities, now.codes)
    served = serve(shape(), weights, aging, np.arange(60), 0.0, 0, 2)
    touched, _ = pulled(weights, served, torch.randn(60, 4, generator=seeded()))["field.colour"]
    assert touched is not None
    assert touched.tolist() == [2]
