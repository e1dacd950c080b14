"""No training negative knows what is held out.

A scorer that learns nothing but counts how often an item was drawn as a training negative of the client, and ranks the
least drawn first, finds held-out items where negatives are drawn around validation and test: there they are the ones
never drawn. Ours are drawn against train alone, so that among items new to the client it finds no more than chance,
k ÷ candidates. The draws are those of a training: its requests and its pools.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from spfedrec_cli.config import Config, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.engine.load import load_world
from spfedrec_cli.federated.sampling.obfuscation import popularity_weights
from spfedrec_cli.federated.server.publishing import draw_pool, training_prior
from spfedrec_cli.federated.simulation.beginning import publish_popularity
from spfedrec_cli.federated.simulation.state import initial_state
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.model.prior import in_logits, ranked_items
from spfedrec_cli.retrieval.evaluate import evaluate, make_task
from spfedrec_cli.retrieval.task import Task, history_splits

K = 10
ROUNDS = 30
Counts = npt.NDArray[np.int64]

OWN = ["client.negatives=request"]
BOTH = ["client.negatives=both", "client.pool_size=8"]
MODES = {
    "uniform, redrawn": [*OWN, "request.negatives=uniform", "request.redraw=true"],
    "uniform, memoised": [*OWN, "request.negatives=uniform"],
    "popularity, redrawn": [*OWN, "request.negatives=popularity", "request.redraw=true"],
    "popularity, memoised": [*OWN, "request.negatives=popularity"],
    "public pool": ["client.negatives=public", "client.pool_size=64"],
    "both, uniform, redrawn": [*BOTH, "request.negatives=uniform", "request.redraw=true"],
    "both, popularity, redrawn": [*BOTH, "request.negatives=popularity", "request.redraw=true"],
    "both, popularity, memoised": [*BOTH, "request.negatives=popularity"],
}


def movielens_like(folder: Path) -> None:
    """Ratings in MovieLens's layout: 250 users with 12 to 40 films each, of 150."""
    draw, lines = np.random.default_rng(5), []
    for user in range(1, 251):
        films = draw.choice(150, int(draw.integers(12, 41)), replace=False, p=_zipf(150)) + 1
        lines += [f"{user}\t{film}\t4\t{880_000_000 + 86_400 * place + user}" for place, film in enumerate(films)]
    folder.mkdir()
    (folder / "u.data").write_text("\n".join(lines) + "\n")


def purchases_csv(file: Path) -> None:
    """250 customers, each on some days of ten weeks, of 150 articles."""
    draw, lines = np.random.default_rng(6), ["who,what,day"]
    for customer in range(250):
        for day in np.sort(draw.choice(70, 12, replace=False)):
            date = np.datetime64("2024-01-01") + int(day)
            lines += [f"c{customer},a{article},{date}" for article in draw.choice(150, 2, replace=False, p=_zipf(150))]
    file.write_text("\n".join(lines) + "\n")


def _zipf(n: int) -> npt.NDArray[np.float64]:
    weights = 1 / np.sqrt(np.arange(1, n + 1))
    return weights / weights.sum()


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory, sample_dataset: Dataset) -> dict[str, Dataset]:
    folder = tmp_path_factory.mktemp("leak")
    movielens_like(folder / "ratings")
    purchases_csv(folder / "table.csv")
    columns = {"columns": {"customer": "who", "item": "what", "time": "day"}}
    prepare("movielens", folder / "ratings", folder / "movielens")
    prepare("synthetic", None, folder / "synthetic", customers=600, items=200)
    for split in ("temporal", "leave-one-out"):
        prepare("table", folder / "table.csv", folder / f"table, {split}", split=split, **columns)
    made = ["movielens", "synthetic", "table, temporal", "table, leave-one-out"]
    return {"sample": sample_dataset, **{name: Dataset.open(folder / name) for name in made}}


def drawn_in_training(world: World, q: npt.NDArray[np.float64], purchased: Ragged) -> Counts:
    """(clients, items): how often each item was a training negative of each client in ROUNDS rounds."""
    counts = np.zeros((len(purchased), world.n_items), np.int64)
    everybody = np.arange(len(purchased))
    for round_ in range(1, ROUNDS + 1):
        pool = draw_pool(world.config, q, round_)
        counts[:, pool] += 1
        if world.config.client.uses_own:
            items = world.kept.memory.recall(
                world.config.request, q, everybody, world.devices.keys(everybody), purchased, round_
            ).items
            counts[items.row_index(), items.values] += 1
    return counts


def new_items_task(dataset: Dataset, split: str, drawable: npt.NDArray[np.bool_]) -> Task:
    """The items ranked that are new to the client, even where `repeats` is true, and could have been drawn.

    What nobody bought in train is never a popularity-matched negative of anybody, held out or not.
    """
    task = make_task(dataset, split)
    seen = dataset.history(*history_splits(split)).take(task.clients)
    owned = seen.row_index() * dataset.n_items + seen.values
    kept = drawable[task.truth.values]
    kept &= ~np.isin(task.truth.row_index() * dataset.n_items + task.truth.values, owned)
    lengths = np.bincount(task.truth.row_index()[kept], minlength=len(task.clients))
    truth = Ragged.from_lengths(lengths, task.truth.values[kept])
    rows = np.flatnonzero(lengths).astype(np.int32)
    return replace(task, truth=truth, seen=seen, candidates=drawable).take(rows)


def recall_and_chance(counts: Counts, task: Task, common: bool) -> tuple[float, float, float]:
    """Recall of the least drawn, of all ground truth together; its mean by chance, and its variance.

    Each member of the ground truth is found with chance k ÷ candidates: binomial. Where one draw is `common` to all
    clients, they share their luck: k items at random hold a share of all ground truth that varies as a sample does.
    """
    assert task.seen is not None
    assert task.candidates is not None
    seen = np.bincount(task.seen.row_index(), weights=task.candidates[task.seen.values], minlength=len(task.clients))
    candidates = task.candidates.sum() - seen
    k = int(min(K, candidates.min()))
    scores = -counts.astype(np.float32)
    found = evaluate(lambda clients: scores[clients], task, [k]).per_client[f"recall@{k}"]
    sizes, chance = task.truth.lengths, k / candidates
    variance = (sizes * chance * (1 - chance)).sum() / sizes.sum() ** 2
    if common:
        share = np.bincount(task.truth.values, minlength=task.n_items)[task.candidates] / sizes.sum()
        variance += k * (1 - k / len(share)) * share.var(ddof=1)
    reached, expected = ((values * sizes).sum() / sizes.sum() for values in (found, chance))
    return float(reached), float(expected), float(variance)


def distribution(config: Config, world: World) -> npt.NDArray[np.float64]:
    return popularity_weights(config.request, np.bincount(world.devices.purchased.values, minlength=world.n_items))


# How often a training is drawn: of five customers, one alone would say nothing.
SEEDS = {"sample": 40, "movielens": 1, "synthetic": 1, "table, temporal": 1, "table, leave-one-out": 1}


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", SEEDS)
def test_counting_negatives_finds_no_more_than_chance(
    source: str, mode: str, split: str, datasets: dict[str, Dataset]
) -> None:
    dataset, trials = datasets[source], []
    for seed in range(SEEDS[source]):
        config = resolve(settings=["request.rate=1.0", f"train.seed={seed}", *MODES[mode]])
        world = load_world(dataset, config)
        q = distribution(config, world)
        task = new_items_task(dataset, split, q > 0 if config.client.uses_own else np.ones(dataset.n_items, np.bool_))
        if not len(task.clients):
            pytest.skip("nothing that is held out could have been drawn")
        counts = drawn_in_training(world, q, world.devices.purchased)
        trials.append(recall_and_chance(counts, task, common=config.client.uses_pool))
    reached, chance, variance = np.mean(trials, axis=0)
    bound = chance + 4 * np.sqrt(variance / len(trials))
    assert bound < 0.5  # else nothing could be seen
    assert reached <= bound


@pytest.mark.parametrize("kind", [OWN, BOTH], ids=["request", "both"])
@pytest.mark.parametrize("source", SEEDS)
def test_a_planted_leak_is_seen(source: str, kind: list[str], datasets: dict[str, Dataset]) -> None:
    """Negatives drawn around all that the client ever bought, which is what several papers' code does."""
    dataset = datasets[source]
    config = resolve(settings=[*kind, "request.rate=8.0", "request.negatives=uniform", "request.redraw=true"])
    world, ever = load_world(dataset, config), dataset.history("train", "validation", "test")
    task = new_items_task(dataset, "test", np.ones(dataset.n_items, np.bool_))
    reached, chance, _ = recall_and_chance(
        drawn_in_training(world, distribution(config, world), ever), task, common=False
    )
    assert reached >= 0.9 > 3 * chance


@pytest.mark.parametrize("source", SEEDS)
def test_the_prior_is_of_train_alone(source: str, datasets: dict[str, Dataset]) -> None:
    """What scores have while training and in ranking. The sum of all purchases would be another one."""
    dataset = datasets[source]
    world = load_world(dataset, resolve(settings=["model.prior=0.7"]))
    server = publish_popularity(initial_state(world), world, world.channel(1)).server
    known, leaking = (
        in_logits(world.config.model, np.bincount(dataset.history(*splits).values, minlength=dataset.n_items))
        for splits in (("train",), ("train", "validation", "test"))
    )
    np.testing.assert_array_equal(training_prior(server, world.known), known)
    ranked = ranked_items(world.config.model, torch.zeros(dataset.n_items, 2), server.popularity)
    np.testing.assert_allclose(ranked[:, -1], known * world.config.model.temperature, rtol=1e-6)
    assert not np.array_equal(known, leaking)
