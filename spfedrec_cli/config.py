"""The settings of a run: defaults < preset < `--config FILE.toml` < `--set section.key=value`.

Every section is a frozen model and goes alone to the module that it configures. Unknown keys are refused, with the
nearest known one named. The resolved configuration is saved beside what it produced.
"""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spfedrec_cli.errors import InputError, nearest
from spfedrec_cli.threads import cores

Name = str  # of a row of a table that lies above this module: `engine/settings.py` looks it up there


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Section):
    """The two towers."""

    dim: int = Field(32, ge=1, le=1024, description="size d of query and item embeddings")
    query_tower: str = Field("se_mlp", description="architecture of the query tower: se_mlp or linear")
    item_tower: str = Field("se_mlp", description="architecture of the item tower: se_mlp or linear")
    item_fields: bool = Field(True, description="whether the item tower sees the fields of items; false: ids alone")
    field_dim: int = Field(16, ge=1, le=256, description="size of the embedding of one categorical field")
    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        (64,), description="widths of the hidden layers of both towers (se_mlp)"
    )
    se_ratio: int = Field(2, ge=0, le=64, description="reduction ratio r of squeeze-and-excitation (se_mlp); 0: none")
    temperature: float = Field(0.1, gt=0, description="score = cosine / temperature")
    history: Literal["none", "mean", "recency"] = Field("mean", description="how purchases are pooled into the query")
    half_life: float = Field(10.0, gt=0, description="purchases after which a weight has halved (history = recency)")
    id_dropout: float = Field(0.1, ge=0, lt=1, description="share of items a round whose id embedding is left out")
    prior: float = Field(
        0.0, ge=0, description="weight of the prior, the log of an item's public sales, beside cosine / temperature"
    )
    prior_in: Literal["training", "ranking"] = Field(
        "training", description="where the prior counts: in the logits of training and in ranking, or in ranking alone"
    )

    @property
    def trains_with_prior(self) -> bool:
        """Whether the prior stands inside the logits, so that clients have to know it."""
        return self.prior > 0 and self.prior_in == "training"


class ClientConfig(Section):
    """What happens on the device."""

    local_epochs: int = Field(1, ge=1, description="passes over the targets in a round (E)")
    batch_size: int = Field(0, ge=0, description="targets of a local step (B); 0: all of them in one")
    optimizer: Name = Field("sgd", description="sgd, adam: of the local steps; its moments start anew every round")
    lr: float = Field(0.1, gt=0, description="learning rate of a local step")
    momentum: float = Field(0.0, ge=0, lt=1, description="share of the last step that goes on (optimizer = sgd)")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment (optimizer = adam)")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment (optimizer = adam)")
    eps: float = Field(1e-8, gt=0, description="added to the root of the second moment (optimizer = adam)")
    target_share: float = Field(0.5, gt=0, le=1, description="share of a client's purchases that are targets")
    negatives: Literal["request", "public", "both"] = Field(
        "public", description="training negatives: the request's obfuscating items, a public pool, or both"
    )
    pool_size: int = Field(1024, ge=1, description="items in the public pool of a round (negatives = public, both)")
    pool: Literal["uniform", "popularity"] = Field(
        "uniform", description="how the public pool is drawn; popularity: half by public popularity, half evenly"
    )
    loss: Name = Field("softmax", description="softmax, bce, bpr: of a target against the training negatives")
    logq: bool = Field(
        True, description="correct softmax for the probability of a negative (loss = softmax, mode = paper)"
    )
    private_state: Literal["none", "embedding", "tower"] = Field(
        "none", description="what the device keeps between rounds; tower: a query tower of its own"
    )
    private_lr: float = Field(0.1, gt=0, description="learning rate of the private embedding")

    @property
    def uses_own(self) -> bool:
        """Whether a client's own obfuscating items V− are training negatives."""
        return self.negatives != "public"

    @property
    def uses_pool(self) -> bool:
        """Whether the items that are published to everybody are."""
        return self.negatives != "request"

    @property
    def pools_by_popularity(self) -> bool:
        """Whether those are drawn by public popularity, which clients then have to know."""
        return self.uses_pool and self.pool == "popularity"


class RequestConfig(Section):
    """What a client asks the server for, or what the server publishes so that nobody asks."""

    mode: Name = Field(
        "paper", description="paper: own items hidden among others; slate, catalogue: nobody asks, items are published"
    )
    rate: float = Field(0.25, ge=0, description="obfuscating items for each purchased item (P)")
    negatives: Literal["popularity", "uniform"] = Field("popularity", description="how obfuscating items are drawn")
    redraw: bool = Field(False, description="draw obfuscating items anew every round (an intersection reveals them)")
    slate_size: int = Field(1024, ge=2, description="items published in a round, about (mode = slate)")
    refresh: int = Field(10, ge=1, description="rounds between int8 embeddings of all items (mode = slate)")
    popularity: str = Field(
        "sum", min_length=1, description="item popularity: sum, one secure sum; or a CSV or Parquet file of item, count"
    )
    prior_half_life: float = Field(
        0.0, ge=0, description="days in which a sale loses half of its weight in the prior; 0: all sales weigh alike"
    )


class FederatedConfig(Section):
    """Who takes part and how updates are summed."""

    strategy: Name = Field(
        "split",
        description="split: the item tower stays on the server; full: FedAvg of both towers; central: no federation",
    )
    cohort_size: int = Field(256, ge=1, description="clients of a round (expected number under poisson sampling)")
    sampling: Literal["fixed", "poisson", "shuffled"] = Field(
        "fixed", description="cohorts of a fixed or a Poisson size; shuffled: everybody once before anybody again"
    )
    aggregation: Name = Field(
        "sum", description="sum: the ideal functionality of secure aggregation; ring: secret-sharing chains, executed"
    )
    chain_length: int = Field(10, ge=3, description="clients of a chain, at least (aggregation = ring)")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of clients that fall silent in a round, in a phase drawn evenly"
    )
    range_query: float = Field(0.3, gt=0, description="largest coordinate of a tower's update (codec)")
    range_item: float = Field(2.0, gt=0, description="largest coordinate of an item gradient (codec)")


class ServerConfig(Section):
    """How the server uses the sums."""

    optimizer: Name = Field(
        "fedadam",
        description="fedadam, fedyogi, fedadagrad, fedavg: for the query tower; for both under strategy = full",
    )
    lr: float = Field(0.001, gt=0, description="server learning rate (eta)")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment, of both optimisers")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment, of both optimisers")
    tau: float = Field(1e-5, gt=0, description="adaptivity; relative to client.lr, so to the gradient")
    item_optimizer: Name = Field("adam", description="adam, adagrad, sgd: lazy and row-wise, for the item tower")
    item_lr: float = Field(0.001, gt=0, description="learning rate of the item tower")
    schedule: Name = Field(
        "constant", description="of both rates: constant; or linear, they fall evenly, to nothing after train.rounds"
    )


class TrainConfig(Section):
    """How long, how often, where."""

    rounds: int = Field(100, ge=1, description="rounds of the whole training")
    seed: int = Field(0, ge=0, description="of every random number: the same seed gives the same bits")
    checkpoint_every: int = Field(50, ge=1, description="rounds between checkpoints")
    eval_every: int = Field(20, ge=1, description="rounds between validations")
    eval_clients: int = Field(
        10_000, ge=0, description="clients, drawn by the seed, whom a validation ranks for at most; 0: all"
    )
    monitor: str = Field(
        "ndcg@10", pattern=r"^[a-z_]+@[1-9][0-9]*$", description="validation metric that chooses the best"
    )
    workers: int = Field(1, ge=1, le=64, description="processes side by side; the bits stay the same")
    threads: int = Field(
        0, ge=0, le=256, description="of each process; 0: one for each core that is left to it. The bits stay the same"
    )
    shards: int = Field(4, ge=1, le=1024, description="parts that clients are dealt into, for up to as many workers")
    patience: int = Field(0, ge=0, description="stop after so many validations in a row without a better one; 0: never")
    engine: Name = Field(
        "simulation", description="simulation: compiled, many clients at once; reference: one client at a time"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "cpu",
        description="where the server computes (clients: the CPU); auto: cuda where there is a GPU for it, else cpu",
    )

    @property
    def threads_here(self) -> int:
        """Threads of each process on this machine."""
        return self.threads or max(1, cores() // self.workers)


class SimulationConfig(Section):
    """What nobody knows but the simulator: no message, digest or broadcast holds any of it."""

    root: str = Field("0", description="where a simulation derives the secrets of all devices from")


class Settings(Section):
    """What everybody knows of a training."""

    @property
    def decays(self) -> bool:
        """Whether the prior is of sales that are decayed by their age, in a sum of their own."""
        return self.model.prior > 0 and self.request.prior_half_life > 0

    model: ModelConfig = ModelConfig()
    client: ClientConfig = ClientConfig()
    request: RequestConfig = RequestConfig()
    federated: FederatedConfig = FederatedConfig()
    server: ServerConfig = ServerConfig()
    train: TrainConfig = TrainConfig()


class Config(Settings):
    """All settings of a run."""

    simulation: SimulationConfig = SimulationConfig()

    def known_to_all(self) -> Settings:
        """Without what only the simulator knows."""
        return Settings(**{section: getattr(self, section) for section in Settings.model_fields})


def presets() -> dict[str, str]:
    """Names of the shipped presets, each with its opening comment."""
    files = sorted(_presets().iterdir(), key=lambda file: file.name)
    return {f.name[:-5]: f.read_text().split("\n", 1)[0].lstrip("# ") for f in files if f.name.endswith(".toml")}


def resolve(preset: str | None = None, file: Path | str | None = None, settings: Iterable[str] = ()) -> Config:
    """The configuration after all layers. Names of rows of tables, and what goes together, are checked by
    `engine.settings`, when a training begins.

    Raises InputError for an unknown preset or key, a file that is not TOML, and a value that does not fit.
    """
    layers: dict[str, Any] = {}
    if preset is not None:
        _merge(layers, _preset(preset), f"preset {preset}")
    if file is not None:
        _merge(layers, _toml(Path(file)), str(file))
    for setting in settings:
        _merge(layers, _setting(setting), f"--set {setting}")
    return validate(layers)


def validate(values: Mapping[str, Any]) -> Config:
    """A Config of nested `values`; raises InputError naming the key, the value and what would fit."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise unknown_key(key) from None
        message = first["msg"].removeprefix("Input ")
        raise InputError(f"The setting {key} = {first['input']!r} does not fit: it {message}", hint=HELP) from None


HELP = "see `spfedrec config show` for every key with its meaning"


def keys() -> list[str]:
    """Every key as section.name."""
    return [f"{section}.{key}" for section, model in _sections().items() for key in model.model_fields]


def unknown_key(key: str) -> InputError:
    """The error for a key that does not exist, with the nearest one that does."""
    tail = key.rsplit(".", 1)[-1]
    tails = {known.rsplit(".", 1)[-1]: known for known in keys()}
    near = nearest(key, keys(), 0.75) or tails.get(nearest(tail, list(tails), 0.7) or "")
    near = near or nearest(key, keys())
    return InputError(f"There is no setting {key}", hint=f"did you mean {near}?" if near else HELP)


def _unknown_section(section: str, source: str) -> InputError:
    near = nearest(section, list(Config.model_fields))
    hint = f"did you mean {near}?" if near else f"the sections are {', '.join(Config.model_fields)}"
    return InputError(f"There is no section {section}", where=source, hint=hint)


def to_toml(config: Config) -> str:
    """The whole configuration as TOML."""
    return tomli_w.dumps(config.model_dump(mode="json"))


def describe() -> list[tuple[str, str, str]]:
    """(key, default, meaning) of every setting."""
    return [
        (f"{section}.{key}", str(field.default), field.description or "")
        for section, model in _sections().items()
        for key, field in model.model_fields.items()
    ]


def _sections() -> dict[str, type[BaseModel]]:
    return {name: type(field.default) for name, field in Config.model_fields.items()}


def _merge(into: dict[str, Any], layer: Mapping[str, Any], source: str) -> None:
    for section, values in layer.items():
        if section not in Config.model_fields:
            raise _unknown_section(section, source)
        if not isinstance(values, Mapping):
            raise InputError(
                f"{section} is a section, not a value", where=source, hint=f"write [{section}] and its keys"
            )
        into.setdefault(section, {}).update(values)


def _preset(name: str) -> dict[str, Any]:
    known = presets()
    if name not in known:
        near = nearest(name, list(known))
        hint = f"did you mean {near}?" if near else f"the presets are {', '.join(known)}"
        raise InputError(f"There is no preset {name!r}", hint=hint)
    return tomllib.loads((_presets() / f"{name}.toml").read_text())


def _presets() -> Traversable:
    return resources.files("spfedrec_cli") / "presets"


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("The configuration file does not exist", where=str(file), hint="check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"The configuration file is not TOML: {error}", where=str(file), hint="mend that place"
        ) from None
    except OSError as error:
        raise InputError("The configuration file cannot be read", where=str(file), hint=str(error.strerror)) from None


def _setting(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and section and name):
        raise InputError(f"--set takes section.key=value, not {text!r}", hint="for example --set train.rounds=50")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {name: parsed}}
