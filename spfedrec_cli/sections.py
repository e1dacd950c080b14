"""The sections of settings: frozen models with types, bounds, defaults and what each means."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from spfedrec_cli.threads import cores

Name = str  # of a row of a table that lies above this module: `engine/settings.py` looks it up there


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_number(cls, value: object, about: ValidationInfo) -> object:
        """`true` is not taken for 1."""
        if isinstance(value, bool) and cls.model_fields[str(about.field_name)].annotation in (int, float):
            raise ValueError("should be a number")
        return value


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
    temperature: float = Field(0.1, ge=1e-4, le=1e4, description="score = cosine / temperature")
    history: Literal["none", "mean", "recency"] = Field("mean", description="how purchases are pooled into the query")
    half_life: float = Field(
        10.0, ge=1e-3, le=1e6, description="purchases after which a weight has halved (history = recency)"
    )
    id_dropout: float = Field(0.1, ge=0, lt=1, description="share of items a round whose id embedding is left out")
    prior: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="weight of the prior, the log of an item's public sales, beside cosine / temperature",
    )
    prior_in: Literal["training", "ranking"] = Field(
        "training", description="where the prior counts: in the logits of training and in ranking, or in ranking alone"
    )
    prior_choice: Literal["fixed", "validation"] = Field(
        "fixed", description="weight in ranking: model.prior, or from there on what each validation finds best"
    )

    @property
    def trains_with_prior(self) -> bool:
        """Whether the prior stands inside the logits, so that clients have to know it."""
        return self.prior > 0 and self.prior_in == "training"


class ClientConfig(Section):
    """What happens on the device."""

    local_epochs: int = Field(1, ge=1, le=1000, description="passes over the targets in a round (E)")
    batch_size: int = Field(0, ge=0, le=1_000_000, description="targets of a local step (B); 0: all of them in one")
    optimizer: Name = Field("sgd", description="sgd, adam: of the local steps; its moments start anew every round")
    lr: float = Field(0.1, ge=1e-30, le=1000, description="learning rate of a local step")
    momentum: float = Field(0.0, ge=0, lt=1, description="share of the last step that goes on (optimizer = sgd)")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment (optimizer = adam)")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment (optimizer = adam)")
    eps: float = Field(1e-8, ge=1e-30, le=1, description="added to the root of the second moment (optimizer = adam)")
    target_share: float = Field(0.5, gt=0, le=1, description="share of a client's purchases that are targets")
    negatives: Literal["request", "public", "both"] = Field(
        "public", description="training negatives: the request's obfuscating items, a public pool, or both"
    )
    pool_size: int = Field(
        1024, ge=1, le=100_000_000, description="items in the public pool of a round (negatives = public, both)"
    )
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
    private_lr: float = Field(0.1, gt=0, le=1000, description="learning rate of the private embedding")

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
    rate: float = Field(0.25, ge=0, le=10_000, description="obfuscating items for each purchased item (P)")
    negatives: Literal["popularity", "uniform"] = Field("popularity", description="how obfuscating items are drawn")
    redraw: bool = Field(False, description="draw obfuscating items anew every round (an intersection reveals them)")
    slate_size: int = Field(1024, ge=2, le=100_000_000, description="items published in a round, about (mode = slate)")
    refresh: int = Field(
        10, ge=1, le=100_000_000, description="rounds between int8 embeddings of all items (mode = slate)"
    )
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
    cohort_size: int = Field(
        256, ge=1, le=1_000_000_000, description="clients of a round (expected number under poisson sampling)"
    )
    sampling: Literal["fixed", "poisson", "shuffled"] = Field(
        "fixed", description="cohorts of a fixed or a Poisson size; shuffled: everybody once before anybody again"
    )
    aggregation: Name = Field(
        "sum", description="sum: the ideal functionality of secure aggregation; ring: secret-sharing chains, executed"
    )
    chain_length: int = Field(
        10, ge=3, le=1_000_000_000, description="clients of a chain, at least (aggregation = ring)"
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of clients that fall silent in a round, in a phase drawn evenly"
    )
    range_query: float = Field(0.3, ge=1e-9, le=1e9, description="largest coordinate of a tower's update (codec)")
    range_item: float = Field(2.0, ge=1e-9, le=1e9, description="largest coordinate of an item gradient (codec)")


class ServerConfig(Section):
    """How the server uses the sums."""

    optimizer: Name = Field(
        "fedadam",
        description="fedadam, fedyogi, fedadagrad, fedavg: for the query tower; for both under strategy = full",
    )
    lr: float = Field(0.001, gt=0, le=1000, description="server learning rate (eta)")
    beta1: float = Field(0.9, ge=0, le=0.999999, description="decay of the first moment, of both optimisers")
    beta2: float = Field(0.999, ge=0, le=0.999999, description="decay of the second moment, of both optimisers")
    tau: float = Field(1e-5, ge=1e-15, le=1000, description="adaptivity; relative to client.lr, so to the gradient")
    item_optimizer: Name = Field("adam", description="adam, adagrad, sgd: lazy and row-wise, for the item tower")
    item_lr: float = Field(0.001, gt=0, le=1000, description="learning rate of the item tower")
    schedule: Name = Field(
        "constant", description="of both rates: constant; or linear, they fall evenly, to nothing after train.rounds"
    )


class TrainConfig(Section):
    """How long, how often, where."""

    rounds: int = Field(100, ge=1, le=100_000_000, description="rounds of the whole training")
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="of every public draw: the same seed (and root) gives the same bits"
    )
    checkpoint_every: int = Field(50, ge=1, le=100_000_000, description="rounds between checkpoints")
    keep: int = Field(2, ge=1, description="checkpoints that are kept, the last so many; the best one stays too")
    eval_every: int = Field(20, ge=1, le=100_000_000, description="rounds between validations")
    eval_clients: int = Field(
        10_000,
        ge=0,
        le=1_000_000_000,
        description="clients, drawn by the seed, whom a validation ranks for at most; 0: all",
    )
    monitor: str = Field(
        "ndcg@10", pattern=r"^[a-z][a-z0-9_]*@[1-9][0-9]*$", description="validation metric that chooses the best"
    )
    workers: int = Field(1, ge=1, le=64, description="processes side by side; the bits stay the same")
    threads: int = Field(
        0, ge=0, le=256, description="of each process; 0: one for each core that is left to it. The bits stay the same"
    )
    shards: int = Field(4, ge=1, le=1024, description="parts that clients are dealt into, for up to as many workers")
    patience: int = Field(
        0, ge=0, le=100_000_000, description="stop after so many validations in a row without a better one; 0: never"
    )
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


class SecondStageConfig(Section):
    """How devices learn to rank for themselves, after the towers."""

    rounds: int = Field(0, ge=0, le=100_000_000, description="rounds of the second stage, after the towers; 0: none")
    form: Name = Field("network", description="linear, network: of the features of customer and item")
    hidden: int = Field(32, ge=1, le=1024, description="hidden units (form = network)")
    loss: Name = Field("softmax", description="softmax, bce, bpr: of what was bought against the other candidates")
    label_weeks: int = Field(8, ge=1, le=520, description="weeks before validation that are learned from")
    spacing: int = Field(1, ge=1, le=52, description="from one label week to the next, in weeks")
    popular: int = Field(100, ge=0, le=100_000, description="candidates that are popular now")
    retrieved: int = Field(
        100, ge=0, le=100_000, description="candidates that the towers retrieve, when lists are made"
    )
    explore: float = Field(
        0.0, ge=0, lt=1, description="share of a list's places that go to what is new to the customer; 0: as it comes"
    )
    explore_after: int = Field(
        0, ge=0, le=100_000, description="first places of a list that stay as they are, whatever explore is"
    )
    siblings: str = Field(
        "", max_length=200, description="field of items whose siblings of own items are candidates; id:N: first N signs"
    )
    without: tuple[str, ...] = Field((), description="features that are left out")
    personal: int = Field(
        0, ge=0, le=100_000, description="steps by which a device corrects the last layer for itself; 0: it does not"
    )
    proximal: float = Field(
        0.1, ge=0, le=1e6, description="how strongly that correction is held to the shared weights (personal)"
    )
    cohort_size: int = Field(256, ge=1, le=1_000_000_000, description="clients of a round of the second stage")
    lr: float = Field(0.05, gt=0, le=1000, description="server learning rate of the second stage (fedadam)")
    average: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the rounds, the last ones, whose weights are averaged; 0: the last weights",
    )
    clip: float = Field(
        1.0, ge=1e-6, le=1e6, description="longest gradient (L2) that a client sends; the codec's range"
    )


class SimulationConfig(Section):
    """What nobody knows but the simulator: no message, digest or broadcast holds any of it."""

    root: str = Field(
        "0", min_length=1, max_length=1000, description="where a simulation derives the secrets of all devices from"
    )
    canaries: int = Field(
        0, ge=0, le=1_000_000, description="pairs of items planted before training, for `spfedrec audit` to look for"
    )


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
    second_stage: SecondStageConfig = SecondStageConfig()


class Config(Settings):
    """All settings of a run."""

    simulation: SimulationConfig = SimulationConfig()

    def known_to_all(self) -> Settings:
        """Without what only the simulator knows."""
        return Settings(**{section: getattr(self, section) for section in Settings.model_fields})
