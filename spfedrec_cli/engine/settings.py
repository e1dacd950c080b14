"""Whether a training may begin with these settings: `train`, `rehearse` and `spfedrec config validate` ask here.

Names of rows are looked up in their tables, which lie above `config`: a row that a notebook adds to one is accepted.
Then come the rules of `federated.refusals`.
"""

from collections.abc import Iterable, Mapping

from spfedrec_cli.config import HELP, Config
from spfedrec_cli.data.dataset import OPEN_IT, Dataset
from spfedrec_cli.data.decay import dated
from spfedrec_cli.engine.load import given_popularity
from spfedrec_cli.engine.second_stage import check_second_stage
from spfedrec_cli.engine.validation import following_catalogue
from spfedrec_cli.errors import InputError, expected, nearest
from spfedrec_cli.federated import refusals
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device.cost import Shapes
from spfedrec_cli.federated.device.optimizers import LOCAL_OPTIMIZERS
from spfedrec_cli.federated.sampling.modes import MODES
from spfedrec_cli.federated.server.optimizers import ITEM_OPTIMIZERS, SCHEDULES, SERVER_OPTIMIZERS
from spfedrec_cli.federated.simulation import making
from spfedrec_cli.federated.strategies.full import FULL_ENGINES
from spfedrec_cli.federated.strategies.split import ENGINES
from spfedrec_cli.federated.strategies.table import STRATEGIES
from spfedrec_cli.model.loss import LOSSES
from spfedrec_cli.retrieval.metrics import METRICS
from spfedrec_cli.second_stage import losses as second_losses
from spfedrec_cli.second_stage.forms import FORMS

TABLES: dict[str, Mapping[str, object]] = {
    "client.optimizer": LOCAL_OPTIMIZERS,
    "client.loss": LOSSES,
    "request.mode": MODES,
    "federated.strategy": STRATEGIES,
    "federated.aggregation": AGGREGATIONS,
    "server.optimizer": SERVER_OPTIMIZERS,
    "server.item_optimizer": ITEM_OPTIMIZERS,
    "server.schedule": SCHEDULES,
    "train.engine": ENGINES,
    "second_stage.form": FORMS,
    "second_stage.loss": second_losses.LOSSES,
}


def check(config: Config) -> None:
    """Raises InputError for a name that no table has, and where settings do not go together, whatever the Dataset."""
    expected(config, Config, "make it: spfedrec.resolve('sample', settings=['train.rounds=50'])")
    for key, table in TABLES.items():
        check_name(key, named(config, key), table)
    metric, _, k = config.train.monitor.partition("@")
    if metric not in METRICS:
        near = nearest(metric, list(METRICS)) or next(iter(METRICS))
        raise InputError(f"There is no metric {metric!r} for train.monitor", hint=f"did you mean {near}@{k}?")
    check_engine(config)
    making.check(config)


def check_with(config: Config, dataset: Dataset) -> Config:
    """The same, and against the Dataset; returns the settings as a training on it follows them.

    Raises InputError also where the Dataset is too small or too large for them, leaves nobody to validate on, has no
    days that they need, or is not the one of the file of item popularity.
    """
    check(config)
    expected(dataset, Dataset, OPEN_IT)
    followed = following_catalogue(config, dataset)
    given_popularity(dataset, config)
    if config.decays and not dated(dataset):
        problem = "request.prior_half_life decays sales by days, and the Dataset knows only an order of purchases"
        raise InputError(problem, where=str(dataset.path), hint="set request.prior_half_life=0")
    check_second_stage(config, dataset)
    refusals.check_sizes(config, sizes_of(dataset, config))
    return followed


def check_name(key: str, name: str, known: Iterable[str]) -> None:
    """Raises InputError where no row has this name."""
    names = list(known)
    if name not in names:
        near = nearest(name, names)
        told = _either([repr(each) for each in names])
        raise InputError(
            f"The setting {key} = {name!r} does not fit: it should be {told}",
            hint=f"did you mean {near}?" if near else HELP,
        )


def check_engine(config: Config) -> None:
    """An engine has a form for each strategy."""
    if config.federated.strategy == "full":
        check_name("train.engine", config.train.engine, FULL_ENGINES)


def named(config: Config, key: str) -> str:
    """The value of section.name."""
    section, _, name = key.partition(".")
    return str(getattr(getattr(config, section), name))


def sizes_of(dataset: Dataset, config: Config) -> refusals.DatasetSizes:
    """What rules ask of a Dataset, of which only what they need is read."""
    fields = dataset.item_fields if config.model.item_fields else ()
    items = (dataset.n_items, *(field.cardinality for field in fields))
    shapes = Shapes(items, tuple(field.cardinality for field in dataset.client_fields))
    eligible = len(dataset.clients_with_history())
    return refusals.DatasetSizes(shapes, dataset.n_clients, eligible, lambda: _most(dataset), config.train.workers)


def _most(dataset: Dataset) -> int:
    return int(dataset.history("train").lengths.max(initial=0))


def _either(names: list[str]) -> str:
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
