"""Evaluation: the model and the baselines, ranked and measured by the same rules."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli import run
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.raw import Progress, Tell, silent
from spfedrec_cli.dtypes import F32, I32, Bool
from spfedrec_cli.engine.beside import BLEND, SECOND_STAGE, Beside, Measure, measure_baselines, measure_blend
from spfedrec_cli.engine.checkpoint import checkpoint_round, load_state
from spfedrec_cli.engine.drawn import UNTOLD, ever_drawn
from spfedrec_cli.engine.load import open_run
from spfedrec_cli.engine.own_lists import own_lists, ranker_of, second_stage_of
from spfedrec_cli.engine.scoring import model_scorer
from spfedrec_cli.engine.tables import Tabular, by_name
from spfedrec_cli.engine.way import Way
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.retrieval.blend import Weights
from spfedrec_cli.retrieval.evaluate import Evaluation, Scorer, checked, history_splits, make_task, measure, rank
from spfedrec_cli.retrieval.evaluate import evaluate as evaluate_scorer
from spfedrec_cli.retrieval.groups import Groups, Parts, across, by_part, groups_of, make_kinds
from spfedrec_cli.retrieval.intervals import Interval, intervals
from spfedrec_cli.retrieval.popularity import buyers, self_information
from spfedrec_cli.retrieval.task import Task
from spfedrec_cli.retrieval.written import CannotWrite, cannot_write, read_entries, write_evaluation

if TYPE_CHECKING:
    import pandas as pd

K = (10, 12)
_PATIENCE = 2.0  # seconds
FEW_HITS = 10  # with fewer, chance decides which of two recommenders is ahead


@dataclass(frozen=True)
class EvaluationReport(Tabular):
    """Means over the clients with ground truth; `skipped` counts those without. `recall_new@k` and `recall_repeat@k`
    are means over those who have ground truth that is new to them, or that they buy again.

    `intervals`: 95 % bootstrap intervals of the run's metrics; `intervals_beside`: of `baselines` and `blends`.
    `blends`: the run ("blend") and each baseline ("ease-blend") blended with the client's own recent purchases, by
    `blend_weights`. `groups`: the run by kinds of clients and purchases; `across`: how it differs from client to
    client. `unavailable`: why a baseline is not there; `baseline_settings`: what was chosen for those that are.
    `origins`: where several test weeks are pooled, for each of them "from", "to", "clients", "metrics", "baselines" and
    the "run" that was trained for it; `clients` are then customer-weeks, of so many `customers`.
    `single_truth`: every client has one item to be found, so that recall is hit rate and MAP is MRR. `notes`: what has
    to be known before the figures are believed. `second_stage`: what devices rank for themselves, where that was asked
    for; its own score and that of the towers count as `second_stage_mix` says.
    """

    run: Path
    split: str
    protocol: str
    candidates: str
    clients: int
    skipped: int
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    checkpoint_round: int
    intervals: dict[str, Interval] = field(default_factory=dict)
    intervals_beside: dict[str, dict[str, Interval]] = field(default_factory=dict)
    blends: dict[str, dict[str, float]] = field(default_factory=dict)
    blend_weights: dict[str, Weights] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)
    across: dict[str, dict[str, float]] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    baseline_settings: dict[str, object] = field(default_factory=dict)
    single_truth: bool = False
    notes: tuple[str, ...] = ()
    customers: int = 0
    origins: tuple[dict[str, Any], ...] = ()
    second_stage: dict[str, float] = field(default_factory=dict)
    second_stage_mix: tuple[float, ...] = ()

    @property
    def beside(self) -> dict[str, dict[str, float]]:
        """The measures of all that stands beside the run, by name."""
        second = {SECOND_STAGE: self.second_stage} if self.second_stage else {}
        return {**second, **self.baselines, **self.blends}

    def to_frame(self) -> "pd.DataFrame":
        """A row each recommender ("this run", then what stands beside it), a column each metric."""
        return by_name({"this run": self.metrics, **self.beside}, "recommender")


@dataclass(frozen=True)
class Evaluated:
    """A report, and the values of every client behind it: of the run, of what stands beside it by name, and of the
    run's groups."""

    report: EvaluationReport
    run: Evaluation
    others: Mapping[str, Evaluation]
    parts: Parts

    def of(self, recommender: str) -> Evaluation:
        """The run's own where no name is given."""
        return self.others[recommender] if recommender else self.run


def evaluate(
    folder: Path | str,
    split: str = "test",
    ks: Sequence[int] | None = None,
    baselines: bool | Sequence[str] = False,
    protocol: str = "full",
    candidates: str = "all",
    checkpoint: str = "best",
    blend: bool = False,
    dataset: Path | str | None = None,
    tell: Tell = silent,
    second_stage: bool = False,
) -> EvaluationReport:
    """Rank for every client with ground truth in `split` and write the measures into the run, a path or a name.

    `ks`: lengths of the list; left out, K, or all there is to rank where that is less. `baselines`: True for all that
    can be had within minutes, or names of BASELINES; "all" names every one. `blend`: the run, and each of them, blended
    with the client's own recent purchases too. `second_stage`: the run's lists by it too. `dataset`: where the run's
    Dataset is now, if it is not found by itself. InputError for a name that is unknown or says nothing about the
    Dataset, where the run has no second stage, and where that or the blend would be measured on validation, on which it
    is fitted, or nothing is bought again. A run that cannot be written to is measured all the same, with a note.
    """
    way = Way(split, ks, baselines, protocol, candidates, checkpoint, blend, second_stage)
    return measured(run.find(folder), way, dataset, tell).report


def measured(folder: Path, way: Way, dataset: Path | str | None = None, tell: Tell = silent) -> Evaluated:
    """The same, with the values of every client."""
    tell(Progress(f"opening {folder}"))
    opened, world = open_run(folder, dataset)
    entries_of(folder)  # damaged, it is refused before the work
    task = make_task(opened, way.split, way.protocol, way.candidates)
    cutoffs = lengths(way.ks, task)
    state, _ = load_state(folder, checkpoint_round(folder, way.checkpoint))
    ranker = ranker_of(opened, world.config, second_stage_of(folder, world.config)) if way.second_stage else None
    bought = buyers(opened)
    surprise = self_information(bought, len(opened.clients_with_history("train")))
    ours = partial(model_scorer, opened, world, state)

    trained = ever_drawn(world, opened.n_clients, state.round)
    kinds = make_kinds(opened, task, bought, trained)
    again = kinds.again if opened.repeats else None

    ranking = rank(_followed(ours(way.split), "the run", task, tell), task, cutoffs[-1])
    found = measure(ranking, task, cutoffs, surprise, again)
    parts = by_part(ranking, task, found.per_client, cutoffs, kinds)

    def measure_as(name: str, scorer: Scorer) -> Evaluation:
        return evaluate_scorer(_followed(scorer, name, task, tell), task, cutoffs, surprise, again)

    beside = _beside(way, opened, ours, measure_as, tell)
    if ranker is not None:
        scorer = own_lists(ranker, opened, ours(way.split), *history_splits(way.split))
        beside.second_stage[SECOND_STAGE] = measure_as(SECOND_STAGE, scorer)
    others = beside.every
    report = EvaluationReport(
        run=folder,
        split=way.split,
        protocol=way.protocol,
        candidates=way.candidates,
        clients=len(task.clients),
        skipped=task.skipped,
        metrics=found.metrics,
        baselines={name: other.metrics for name, other in beside.baselines.items()},
        checkpoint_round=state.round,
        intervals=intervals(found.per_client),
        intervals_beside={name: intervals(other.per_client) for name, other in others.items()},
        blends={name: other.metrics for name, other in beside.blends.items()},
        blend_weights=beside.weights,
        groups=groups_of(parts),
        across=across(found.per_client),
        unavailable=beside.unavailable,
        baseline_settings=beside.settings,
        single_truth=bool((task.truth.lengths == 1).all()),
        customers=len(task.clients),
        second_stage=beside.second_stage[SECOND_STAGE].metrics if beside.second_stage else {},
        second_stage_mix=() if ranker is None else ranker.mix,
        notes=(
            *few_hits([found, *others.values()], cutoffs[0]),
            *_out_of_reach(task),
            *_untold(trained, state.round),
        ),
    )
    return Evaluated(_kept(report, found, others), found, others, parts)


def lengths(ks: Sequence[int] | None, task: Task) -> list[int]:
    """Of the lists, ascending: `ks`, or where none are said K, as far as there is so much to rank. InputError where
    what was said cannot be."""
    return checked([min(k, task.most_candidates) for k in K] if ks is None else listed(ks), task)


def _beside(way: Way, dataset: Dataset, ours: Callable[[str], Scorer], measure_as: Measure, tell: Tell) -> Beside:
    """The baselines and blends that are asked for, by the rules of the run."""
    beside = Beside()
    if way.blend:
        tell(Progress(f"measuring {BLEND}"))
        measure_blend(beside, BLEND, dataset, way.split, ours("validation"), ours(way.split), measure_as)
    measure_baselines(beside, dataset, way, measure_as, tell)
    return beside


def _followed(scorer: Scorer, name: str, task: Task, tell: Tell) -> Scorer:
    """The scorer, telling how many clients of the task it has scored."""
    done = 0

    def score(clients: I32) -> F32:
        nonlocal done
        tell(Progress(f"measuring {name}", done, len(task.clients), unit="clients"))
        done += len(clients)
        return scorer(clients)

    return score


def few_hits(every: Sequence[Evaluation], k: int) -> tuple[str, ...]:
    """A note where hardly anybody was served anything, by whatever recommender."""
    clients = len(every[0].clients)
    most = max(round(found.metrics[f"hit_rate@{k}"] * clients) for found in every)
    if most >= FEW_HITS:
        return ()
    of = "the only client" if clients == 1 else f"{clients:,} clients"
    told = f"Of {of} ranked, at most {most} found a purchase in the first {k}: too few to tell recommenders apart"
    return (f"{told}. Prepare more customers, or a longer history.",)


def _out_of_reach(task: Task) -> tuple[str, ...]:
    """A note where something was bought again, though what was bought is not ranked."""
    if not (again := task.out_of_reach):
        return ()
    of = f"Of {len(task.truth.values):,} purchases to be found, {again:,} repeat an earlier one"
    return (f"{of}: counted as missed, for what was bought is not ranked. `prepare --repeats` would rank it.",)


def _untold(trained: Bool | None, rounds: int) -> tuple[str, ...]:
    return () if trained is not None else (UNTOLD.format(rounds=rounds),)


@contextmanager
def written_alone(folder: Path) -> Iterator[None]:
    """Another evaluation is waited for, a training is not."""
    with ExitStack() as stack:
        try:
            stack.enter_context(run.writing(folder, _PATIENCE))
        except OSError as error:
            raise cannot_write(folder, error) from None
        yield


def entries_of(folder: Path) -> dict[str, Any]:
    """What was evaluated of this run before. InputError where it is damaged, or of another run."""
    entries, own = read_entries(folder), run.about(folder)["id"]
    if any(entry.get("run_id") != own for entry in entries.values()):
        problem, hint = "The report of evaluations is that of another run", "move it away and evaluate again"
        raise InputError(problem, where=str(folder), hint=hint)
    return entries


def _kept(report: EvaluationReport, found: Evaluation, others: Mapping[str, Evaluation]) -> EvaluationReport:
    """Writes the evaluation into the run; where that is impossible, the report says so."""
    try:
        told = {**asdict(report), "run": str(report.run), **run.origin(report.run, report.checkpoint_round)}
        with written_alone(report.run):
            write_evaluation(report.run, found, told, others)
    except (CannotWrite, run.Locked) as error:
        return replace(report, notes=(*report.notes, f"These results are not kept: {error.sentence()}"))
    return report
