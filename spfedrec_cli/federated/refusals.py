"""Which settings a training refuses: by themselves, and with the sizes of a Dataset.

A rule is one function and one row of `RULES` or `SIZED`, or it belongs to a row of another table, which names it
(request modes, aggregation protocols). It takes the settings (and the sizes) alone, and raises InputError with what to
set instead.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor

from spfedrec_cli.config import Settings
from spfedrec_cli.data.decay import UNIT
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.device.cost import Shapes, client_floats, query_tower
from spfedrec_cli.federated.sampling.modes import MODES
from spfedrec_cli.kernels import descent, lists, losses

LARGEST_PRIVATE = 2 << 30  # bytes of private state that a simulation holds for all clients
LARGEST_CLIENT = 2 << 30  # bytes that a simulation of `full` holds for a single client
LARGEST_SLATE = 4 << 20  # bytes of item gradients that every client uploads for all rows of a slate


@dataclass(frozen=True)
class DatasetSizes:
    """What rules ask of a Dataset, and how many `processes` share its clients. `most` gives the distinct training items
    of the client with most; few rules ask it, and to count them takes a while."""

    shapes: Shapes
    clients: int
    eligible: int
    most: Callable[[], int]
    processes: int = 1


def check(config: Settings) -> None:
    """Raises InputError where settings do not go together, whatever the Dataset."""
    for rule in RULES:
        rule(config)


def check_sizes(config: Settings, sizes: DatasetSizes) -> None:
    """Raises InputError where they do not go with a Dataset of these sizes."""
    for rule in SIZED:
        rule(config, sizes)


def refuse_without_negatives(config: Settings) -> None:
    if config.client.negatives == "request" and config.request.rate == 0:
        hint = "set request.rate above 0 or client.negatives=public"
        raise InputError("client.negatives = request has no negatives at request.rate = 0", hint=hint)


def refuse_unknown_popularity(config: Settings) -> None:
    if config.client.pools_by_popularity and config.request.negatives != "popularity":
        raise InputError(
            "client.pool = popularity goes by what only request.negatives = popularity makes known",
            hint="set request.negatives=popularity, or client.pool=uniform",
        )


def refuse_choice_of_nothing(config: Settings) -> None:
    if config.model.prior_choice == "validation" and not config.model.prior:
        raise InputError(
            "model.prior_choice = validation chooses the weight of a prior, and model.prior = 0 means none",
            hint="set model.prior above 0, where the search begins, or model.prior_choice=fixed",
        )


def refuse_decayed_file(config: Settings) -> None:
    if config.decays and config.request.popularity != "sum":
        raise InputError(
            "request.prior_half_life decays what devices sum, and request.popularity names a file instead",
            hint="set request.popularity=sum, or decay the file's counts and set request.prior_half_life=0",
        )


def refuse_negatives_of_nobody(config: Settings) -> None:
    mode = config.request.mode
    if config.client.uses_own and not MODES[mode].asks:
        raise InputError(
            f"client.negatives = {config.client.negatives} has no meaning under request.mode = {mode}, "
            "where nobody requests anything",
            hint="set client.negatives=public: the negatives are the slate's other items",
        )


def refuse_uncompiled(config: Settings) -> None:
    """The compiled loop over clients knows losses and local optimisers by number; `full` and `central` call the rows of
    their tables, as a device does."""
    if config.federated.strategy != "split" or config.train.engine != "simulation":
        return
    chosen = {"client.loss": (config.client.loss, losses), "client.optimizer": (config.client.optimizer, descent)}
    for key, (name, kernel) in chosen.items():
        if name not in kernel.NUMBERS:
            raise InputError(
                f"{key} = {name} has no compiled form, which train.engine = simulation needs",
                hint="set train.engine=reference, which runs it",
            )


def refuse_device(config: Settings) -> None:
    """`auto` is told later, by what the machine has."""
    if config.train.device not in ("cpu", "auto"):
        refuse_placement(config, config.train.device)


def refuse_placement(config: Settings, device: str) -> None:
    """Of a device of this type, which settings or the machine chose."""
    strategy = config.federated.strategy
    if strategy != "split" and device != "cpu":
        raise InputError(f"federated.strategy = {strategy} computes on the CPU only", hint="use --device cpu")


def refuse_own_towers(config: Settings) -> None:
    strategy = config.federated.strategy
    if config.client.private_state == "tower" and strategy != "split":
        raise InputError(
            f"client.private_state = tower has no meaning under federated.strategy = {strategy}, "
            "which trains one query tower for all",
            hint="keep an embedding or nothing, or take strategy = split",
        )


def refuse_aggregation(config: Settings) -> None:
    federated = config.federated
    if federated.aggregation != "sum" and federated.strategy != "split":
        raise InputError(
            f"federated.aggregation = {federated.aggregation} sums what split uploads, not {federated.strategy}",
            hint="set federated.aggregation = sum, or take strategy = split",
        )


def refuse_mode(config: Settings) -> None:
    mode, strategy = config.request.mode, config.federated.strategy
    if not MODES[mode].asks and strategy != "split":
        raise InputError(
            f"request.mode = {mode} has no meaning under federated.strategy = {strategy}, "
            "where nobody requests anything anyhow",
            hint="set request.mode = paper, or take strategy = split",
        )


def refuse_dropout(config: Settings) -> None:
    if config.federated.dropout and config.federated.strategy == "central":
        hint = "set federated.dropout = 0"
        raise InputError("federated.dropout has no meaning under federated.strategy = central", hint=hint)


def refuse_protocol(config: Settings) -> None:
    """What the row of the aggregation protocol refuses."""
    AGGREGATIONS[config.federated.aggregation].check(config)


def refuse_ranking(config: Settings) -> None:
    """Where there is a second stage: what has no federation, no compiled form, or is refused of its cohorts."""
    second = config.second_stage
    if not second.rounds:
        return
    if config.federated.strategy == "central":
        hint = "set second_stage.rounds=0, or take strategy = split"
        raise InputError("A second stage is learned on devices, and federated.strategy = central has none", hint=hint)
    chosen = {"form": (second.form, lists.FORMS), "loss": (second.loss, lists.LOSSES)}
    for key, (name, compiled) in chosen.items():
        if name not in compiled and config.train.engine == "simulation":
            raise InputError(
                f"second_stage.{key} = {name} has no compiled form, which train.engine = simulation needs",
                hint="set train.engine=reference, which runs it",
            )
    try:
        AGGREGATIONS[config.federated.aggregation].check(_with_its_cohorts(config))
    except InputError as error:
        raise _of_second_stage(error) from None


def _with_its_cohorts(config: Settings) -> Settings:
    federated = config.federated.model_copy(update={"cohort_size": config.second_stage.cohort_size})
    return config.model_copy(update={"federated": federated})


def _of_second_stage(error: InputError) -> InputError:
    """The same, of the key that says how large its cohorts are."""
    hint = (error.hint or "").replace("federated.cohort_size", "second_stage.cohort_size")
    return InputError(f"The second stage: {error.problem}", where=error.where, hint=hint)


def refuse_nobody(config: Settings, sizes: DatasetSizes) -> None:
    if not sizes.eligible:
        raise InputError("No client of the Dataset has a training purchase", hint="prepare it with a longer period")


def refuse_many_sales(config: Settings, sizes: DatasetSizes) -> None:
    """Of which the sum might not fit the message that tells it."""
    most = (2**31 - 1) // UNIT
    if config.decays and sizes.eligible > most:
        raise InputError(
            f"The sum of decayed sales holds at most {most:,} clients, and {sizes.eligible:,} would train",
            hint="set request.prior_half_life=0, or prepare fewer customers",
        )


def refuse_long_slates(config: Settings, sizes: DatasetSizes) -> None:
    """Which every client uploads all rows of."""
    mode = config.request.mode
    if MODES[mode].asks:
        return
    items = MODES[mode].size(config.request, sizes.shapes.items[0])
    size, fitting = 4 * items * config.model.dim, LARGEST_SLATE // (4 * config.model.dim)
    shorter = MODES[mode].size(config.request.model_copy(update={"slate_size": fitting}), sizes.shapes.items[0]) < items
    if size > LARGEST_SLATE:
        raise InputError(
            f"request.mode = {mode} would make every client upload the gradients of {items:,} items in every round, "
            f"{size / 2**20:.1f} MiB of at most {LARGEST_SLATE / 2**20:.0f} MiB",
            hint=f"set {f'request.slate_size={fitting}' if shorter else 'request.mode=slate'}",
        )


def refuse_many_candidates(config: Settings, sizes: DatasetSizes) -> None:
    """Under `full` a client runs the item tower over all of its candidates at once."""
    if config.federated.strategy != "full":
        return
    purchases, shapes = sizes.most(), sizes.shapes
    pool = min(config.client.pool_size, shapes.items[0]) * config.client.uses_pool
    own = ceil(config.request.rate * purchases) * config.client.uses_own
    negatives = own + pool

    def size(more: int) -> int:
        return 4 * client_floats(config, shapes, purchases + more)

    if size(negatives) > LARGEST_CLIENT:
        fitting = bisect_right(range(negatives), LARGEST_CLIENT, key=size) - 1
        setting = f"request.rate={floor(100 * fitting / purchases) / 100}"
        if pool:
            alone = f"client.negatives=public and client.pool_size={fitting}"
            setting = f"client.pool_size={fitting - own}" if fitting > own else alone
        raise InputError(
            f"federated.strategy = full would hold {purchases + negatives:,} candidates of a single client, "
            f"{size(negatives) / 2**30:.1f} GiB of at most {LARGEST_CLIENT / 2**30:.0f} GiB",
            hint=f"set {setting}" if fitting > 0 else "prepare without the customers who bought most, or take split",
        )


def refuse_many_towers(config: Settings, sizes: DatasetSizes) -> None:
    if config.client.private_state != "tower":
        return
    tower = query_tower(config, sizes.shapes)
    width = tower.tables + tower.dense
    size = 4 * sizes.clients * width
    if size > LARGEST_PRIVATE:
        raise InputError(
            f"client.private_state = tower would keep {sizes.clients:,} query towers of {width:,} weights, "
            f"{size / 2**30:.1f} GiB of at most {LARGEST_PRIVATE / 2**30:.0f} GiB",
            hint="prepare fewer customers, make model.hidden or model.field_dim smaller, or keep an embedding",
        )


def refuse_sizes_of_protocol(config: Settings, sizes: DatasetSizes) -> None:
    """What the row of the aggregation protocol refuses of a Dataset."""
    row = AGGREGATIONS[config.federated.aggregation]
    row.check_sizes(config, sizes.eligible, sizes.processes)
    if config.second_stage.rounds:
        try:
            row.check_sizes(_with_its_cohorts(config), sizes.eligible, sizes.processes)
        except InputError as error:
            raise _of_second_stage(error) from None


RULES: tuple[Callable[[Settings], None], ...] = (
    refuse_without_negatives,
    refuse_device,
    refuse_own_towers,
    refuse_aggregation,
    refuse_mode,
    refuse_dropout,
    refuse_unknown_popularity,
    refuse_negatives_of_nobody,
    refuse_choice_of_nothing,
    refuse_decayed_file,
    refuse_protocol,
    refuse_ranking,
    refuse_uncompiled,
)
SIZED: tuple[Callable[[Settings, DatasetSizes], None], ...] = (
    refuse_nobody,
    refuse_long_slates,
    refuse_many_candidates,
    refuse_many_towers,
    refuse_many_sales,
    refuse_sizes_of_protocol,
)
