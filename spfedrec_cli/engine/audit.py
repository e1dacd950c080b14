"""An audit: what attacks guess from what somebody could have seen of a run, held against the truth."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spfedrec_cli import files, run
from spfedrec_cli.audit import cut
from spfedrec_cli.audit.attack import Attack, Guess
from spfedrec_cli.audit.table import ATTACKS
from spfedrec_cli.audit.views import View
from spfedrec_cli.config import Settings, resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.dtypes import F64, Bool
from spfedrec_cli.engine.asked import ask
from spfedrec_cli.engine.checkpoint import load_state
from spfedrec_cli.engine.corrupt import exposed, opened_by
from spfedrec_cli.engine.executed import bytes_in_chains
from spfedrec_cli.engine.further import with_more
from spfedrec_cli.engine.load import load_config, load_dataset, load_world
from spfedrec_cli.engine.misled import misled
from spfedrec_cli.engine.promotion import Promotion, promote
from spfedrec_cli.engine.record import AUDIT
from spfedrec_cli.engine.recording import NOTHING_CROSSED, Reached, Recording, among
from spfedrec_cli.engine.released import released
from spfedrec_cli.engine.seated import seated_by
from spfedrec_cli.engine.settings import check_with
from spfedrec_cli.engine.tables import Tabular, frame
from spfedrec_cli.errors import InputError, listed, nearest
from spfedrec_cli.federated.aggregation.chain.terms import FEWEST
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.judging.metrics import Verdict, epsilon_bound, judge
from spfedrec_cli.judging.truth import Truth
from spfedrec_cli.placement import one_of_torch

if TYPE_CHECKING:
    import pandas as pd

MASKED = 120  # clients whose masked uploads are looked at, where the run itself makes no chains
SECTIONS = ("model", "server", "train", "simulation")  # settings that a run goes on with
OF_ROUNDS = {
    "requests",
    "uploads",
    "masked",
    "opened",
    "seated",
    "sums",
}  # parts of a view that rounds are recorded for
WITHOUT = {
    "requests": "nobody requests anything in this mode",
    "uploads": "no update of a single client crosses under this strategy",
    "opened": "nobody sat between two who work together, in the chains that were recorded",
    "seated": "no secret-sharing chain can be made of this cohort",
    "masked": "no secret-sharing chain can be made of this cohort",
    "sums": "no sum of a round of split training is revealed",
    "popularity": "item popularity is not released in this mode",
    "model": "every client keeps a query tower of its own",
    "known": "nobody bought enough",
    "purchases": "no purchase was held out from this Dataset",
    "customers": "nearly every customer took part, so that there is nobody to tell apart from",
    "planted": "no canaries were planted: train with --canaries 40",
    "misled": "nobody requests anything in this mode, so that the server answers nobody alone",
    "ranking": "this run has no second stage, or its devices nothing of their own to rank by",
    "ranking_sums": "this run has no second stage, or its devices nothing of their own to rank by",
    "renewed": "nobody requests anything in this mode, or no purchase was held out",
    "sales": "no purchase was held out from this Dataset",
    "counted": "nobody requests anything in this mode, or item popularity is no sum",
    "unions": "nobody requests anything in this mode, or no secret-sharing chain can be made of this cohort",
    "before": "name a run of before customers left: --before RUN",
    "customers_then": "name a run of before customers left: --before RUN",
}
NOTHING = "what it looks for does not occur here"


@dataclass(frozen=True)
class Attacked(Verdict):
    """What an attack reached: a verdict, and whose guess it is of. `popularity` is the AUC of item popularity alone. It
    is sure of `decided` claims, and `right` of them are. `epsilon` is the least that canaries leave of differential
    privacy, with a confidence of 95 %."""

    name: str
    party: str
    view: str
    assumption: str
    popularity: float | None = None
    decided: int = 0
    right: int = 0
    epsilon: float | None = None


@dataclass(frozen=True)
class AuditReport(Tabular):
    """`attacks` in the order of their table; `left_out` says why an attack is not among them; `released` what is told
    on purpose. Recorded were `rounds` rounds after `round`, of cohorts of `cohort` out of `clients`.
    `bytes_per_client`: the mean of one client in one round, "up" and "down"; of the training where none is needed.
    `bytes_in_chains`: the same, if chains of federated.chain_length made the sum of the run's whole cohort.
    `exposed`: how many clients of a round sit between two corrupt ones in a chain, on average; `promotion`: what the
    corrupt ones reach where they make purchases up."""

    run: Path
    round: int
    rounds: int
    clients: int
    cohort: int
    attacks: tuple[Attacked, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    released: tuple[str, ...] = ()
    bytes_per_client: dict[str, float] = field(default_factory=dict)
    bytes_in_chains: dict[str, float] = field(default_factory=dict)
    exposed: float = 0.0
    promotion: Promotion | None = None

    def to_frame(self) -> "pd.DataFrame":
        """A row each attack."""
        return frame((asdict(each) for each in self.attacks), "name")


@one_of_torch()
def audit_run(
    folder: Path | str,
    attacks: Sequence[str] = (),
    rounds: int = 3,
    clients: int = 500,
    corrupt: float = 0.05,
    seed: int = 0,
    settings: Sequence[str] = (),
    before: Path | str | None = None,
    dataset: Path | str | None = None,
    tell: Callable[[str], None] = lambda stage: None,
) -> AuditReport:
    """Goes on from the last checkpoint for some rounds by messages, records what crosses, and attacks it.
    Nothing in the run is changed. `settings` ("section.key=value") are followed in these rounds in place of the run's:
    what would be seen if it went on in another mode. `before`: a run from before some of its customers left.

    Raises InputError for an attack that is not in the table, a run without a checkpoint, or settings that do not go
    together or with what was trained.
    """
    if min(rounds, clients) < 1 or not 0 <= corrupt <= 1:
        hint = "give rounds and clients of 1 or more, and corrupt from 0 to 1"
        raise InputError("An audit records rounds, of clients, of whom some share is corrupt", hint=hint)
    chosen = [_attack(name) for name in listed(attacks)] or list(ATTACKS.values())
    folder = run.find(folder)
    opened, world = _opened(folder, dataset, settings)
    reached = Reached(folder, run.usable(folder), among(world, clients, seed))
    tell("Recording")
    recorded = _recorded(reached, rounds, seed) if any(OF_ROUNDS & set(each.needs) for each in chosen) else _Recorded()
    state, tally = load_state(folder, reached.round)
    needs = {need for each in chosen for need in each.needs}
    asked = with_more(ask(opened, world, reached, state, seed), needs, opened, world, reached, state, before, seed)
    view = _seen(asked.view, recorded)
    if recorded.whose is not None:
        chains = recorded.whose, reached.state(), recorded.masked.crossings
        view = replace(view, opened=opened_by(*chains, corrupt, seed) or None, seated=seated_by(*chains) or None)
    if "misled" in needs:
        tell("Misleading")
        view = replace(view, misled=misled(reached, seed) or None)
    found, left_out = list[Attacked](), dict[str, str]()
    for attack in chosen:
        tell(f"Attacking: {attack.name}")
        outcome = attacked(attack, view, asked.truth, seed)
        if isinstance(outcome, str):
            left_out[attack.name] = outcome
        else:
            found.append(outcome)
    eligible = reached.world.known.eligible
    sizes = len(eligible), min(world.config.federated.cohort_size, len(eligible))
    updates = max(1, tally.client_updates)
    of_run = {"up": tally.bytes_up / updates, "down": tally.bytes_down / updates}
    crossed = dict(recorded.as_it_is.bytes_per_client) or of_run
    told = released(world.config, state)
    tell("Promoting")
    lied = None if attacks else promote(replace(reached, world=world), corrupt, seed)
    between = exposed(min(world.config.federated.cohort_size, len(world.known.eligible)), corrupt)
    chained = dict(bytes_in_chains(world, reached.state()))
    return AuditReport(
        folder, reached.round, rounds, *sizes, tuple(found), left_out, told, crossed, chained, between, lied
    )


def keep(report: AuditReport) -> None:
    """Leaves an audit in its run, for a report to tell of."""
    told = {**asdict(report), "run": str(report.run)}
    files.write_json(report.run / AUDIT, told)


def _opened(folder: Path, dataset: Path | str | None, settings: Sequence[str]) -> tuple[Dataset, World]:
    """The run's Dataset, and the world in which it goes on."""
    opened, config = load_dataset(folder, dataset), load_config(folder)
    changed = resolve(file=run.check_config(folder), settings=listed(settings))
    others = [section for section in SECTIONS if getattr(changed, section) != getattr(config, section)]
    fixed = ("client", "private_state"), ("request", "mode"), ("federated", "strategy")
    others += [f"{part}.{key}" for part, key in fixed if _of(changed, part, key) != _of(config, part, key)]
    if others:
        where = f"--set {', '.join(listed(settings))}"
        problem = f"A run goes on with its own {others[0]}"
        raise InputError(problem, where=where, hint="change others of request, federated or client, or train a run")
    return opened, load_world(opened, check_with(changed, opened))


def _of(config: Settings, section: str, key: str) -> object:
    return getattr(getattr(config, section), key)


def _attack(name: str) -> Attack:
    if name not in ATTACKS:
        near = nearest(name, list(ATTACKS))
        hint = f"did you mean {near!r}?" if near else f"choose among {', '.join(map(repr, ATTACKS))}"
        raise InputError(f"There is no attack {name!r}", hint=hint)
    return ATTACKS[name]


@dataclass(frozen=True)
class _Recorded:
    """What crossed as the run has it, and, where clients upload, without masks and in secret-sharing chains."""

    as_it_is: Recording = NOTHING_CROSSED
    plain: Recording = NOTHING_CROSSED
    masked: Recording = NOTHING_CROSSED
    whose: World | None = None  # those whose chains are recorded


def _recorded(reached: Reached, rounds: int, seed: int) -> _Recorded:
    federated = reached.world.config.federated
    if federated.strategy != "split":
        return _Recorded()
    as_it_is = reached.record(rounds)
    plain = as_it_is if cut.uploads(as_it_is.crossings) else reached.record(1, aggregation="sum")
    if federated.aggregation == "ring":
        return _Recorded(as_it_is, plain, as_it_is, reached.following().world)
    few = replace(reached, world=among(reached.world, MASKED, seed))
    if min(federated.cohort_size, len(few.world.known.eligible)) < FEWEST:
        return _Recorded(as_it_is, plain)
    return _Recorded(as_it_is, plain, few.record(1, aggregation="ring"), few.following(aggregation="ring").world)


def _seen(view: View, recorded: _Recorded) -> View:
    """The same with what crossed: all that anybody could have. Each attack is given its part."""
    return replace(
        view,
        requests=cut.requests(recorded.as_it_is.crossings) or None,
        uploads=cut.uploads(recorded.plain.crossings) or None,
        masked=cut.masked(recorded.masked.crossings) or None,
        sums=cut.sums(recorded.as_it_is.crossings) or cut.sums(recorded.plain.crossings) or None,
    )


def attacked(attack: Attack, view: View, truth: Truth, seed: int = 0) -> Attacked | str:
    """What an attack reaches on a view, or why it cannot be made or judged."""
    lacking = view.lacks(attack.needs)
    if lacking:
        return WITHOUT[lacking[0]]
    guess = attack.guess(view.only(attack.needs))
    true = truth.of(attack.claim, guess.subjects, guess.items)
    kept = truth.compared(attack.claim, guess.subjects, guess.items, true, seed)
    compared, true = guess.take(kept), true[kept]
    verdict = judge(compared.subjects, compared.scores, true, compared.named, seed)
    if verdict is None:
        return NOTHING
    sure = np.zeros(len(true), np.bool_) if compared.decided is None else compared.decided
    return Attacked(
        **asdict(verdict),
        name=attack.name,
        party=attack.party,
        view=attack.view,
        assumption=attack.assumption,
        popularity=_of_popularity(view.popularity, compared, true, seed),
        decided=int(sure.sum()),
        right=int(((compared.scores > 0) == true)[sure].sum()),
        epsilon=_epsilon(attack, compared, truth),
    )


def _of_popularity(buyers: F64 | None, guess: Guess, true: Bool, seed: int) -> float | None:
    """The AUC of the same claims by item popularity."""
    if buyers is None or guess.items.min() < 0:
        return None
    alone = judge(guess.subjects, buyers[guess.items], true, seed=seed)
    return None if alone is None else alone.auc


def _epsilon(attack: Attack, guess: Guess, truth: Truth) -> float | None:
    if attack.claim != "planted" or guess.named is None:
        return None
    return epsilon_bound(*truth.coins(guess.subjects, guess.items, guess.named))
