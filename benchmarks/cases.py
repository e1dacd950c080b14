"""What `results.py` trains: each case is a preset and what is changed in it. A case is left out where this version
refuses its settings."""

from collections.abc import Iterable
from dataclasses import dataclass

from spfedrec_cli.config import Config, resolve
from spfedrec_cli.engine.settings import check
from spfedrec_cli.errors import InputError


@dataclass(frozen=True)
class Case:
    """One row of a table. `seeds`: so many of the plan's, where a training takes long."""

    name: str
    preset: str
    settings: tuple[str, ...] = ()
    seeds: int = 100

    def config(self, seed: int, quick: bool = False) -> Config:
        """Its settings. Raises InputError where there is no such setting."""
        short = ("train.rounds=20", "train.eval_every=10") if quick else ()
        return resolve(self.preset, settings=(*self.settings, *short, f"train.seed={seed}", "train.workers=1"))


def possible(cases: Iterable[Case]) -> list[Case]:
    """Those that a training accepts."""
    return [case for case in cases if _accepted(case)]


def _accepted(case: Case) -> bool:
    try:
        check(case.config(0))
    except InputError:
        return False
    return True


# What was best for `central` of the settings that were tried for it by itself, on validation (docs/log.md).
CENTRAL: dict[str, tuple[str, ...]] = {"ml-100k": (), "synthetic": ()}

# On a made-up shop or a real one: its negatives want logQ, and a prior inside the logits.
SLATE = (
    *("request.mode=slate", "client.negatives=public", "client.logq=true"),
    *("model.prior_in=training", "model.prior=0.3"),
)

WAY = ["requests; training negatives"]  # the head of what `way` says


def way(case: Case) -> str:
    """What a row says of how it was trained: request mode, P, training negatives."""
    config = case.config(0)
    request, client = config.request, config.client
    if request.mode != "paper":
        of = f" of {request.slate_size:,}" if request.mode == "slate" else ""
        return f"none, {request.mode}{of}; its other items"
    law = " by popularity" if client.pool == "popularity" else ""
    kinds = ["of the request"] * client.uses_own + [f"a public pool of {client.pool_size:,}{law}"] * client.uses_pool
    negatives = " and ".join(kinds)
    if config.federated.strategy != "split":
        device = {"full": "both towers on the device", "central": "no device"}[config.federated.strategy]
        return f"none, {device}; {negatives}"
    return f"paper, P = {request.rate:g}{', redrawn' if request.redraw else ''}; {negatives}"


def main_rows(preset: str) -> list[Case]:
    """One way after another, everything else as the preset has it."""
    lift = ("client.negatives=request", "client.logq=false", "client.target_share=0.5", "request.rate=3.0")
    lift += ("model.prior=0.5", "model.prior_in=ranking", "model.prior_choice=validation")
    few_items = ("server.lr=0.001", "server.item_lr=0.001", "train.rounds=300") if preset == "ml-100k" else ()
    central = ("federated.strategy=central", *CENTRAL[preset])
    rows = [
        Case("SpFedRec (`split`)", preset),
        Case("SpFedRec, lift and prior", preset, (*lift, *few_items), 5 if preset == "ml-100k" else 2),
        Case("SpFedRec, slate", preset, ("request.mode=slate",), 2),
        Case("SpFedRec, catalogue", preset, ("request.mode=catalogue",), 2),
        Case("the same model, not federated (`central`)", preset, central),
    ]
    # The made-up shop's 614,400 client updates of `full` would take half an hour.
    whole = Case("FedAvg of both towers (`full`)", preset, ("federated.strategy=full",), 1)
    return [*rows, whole] if preset == "ml-100k" else rows


def ablations(preset: str) -> list[Case]:
    """One setting changed at a time."""
    changes = [
        ("as the preset has it", ()),
        ("without squeeze-and-excitation", ("model.se_ratio=0",)),
        ("squeeze-and-excitation, r = 1", ("model.se_ratio=1",)),
        ("no history", ("model.history=none",)),
        ("history by plain mean", ("model.history=mean",)),
        ("every purchase a target", ("client.target_share=1.0",)),
        ("a tenth of the purchases targets", ("client.target_share=0.1",)),
        ("private embedding", ("client.private_state=embedding",)),
        ("temperature .05", ("model.temperature=0.05",)),
        ("temperature .3", ("model.temperature=0.3",)),
        ("loss bce", ("client.loss=bce",)),
        ("loss bpr", ("client.loss=bpr",)),
        ("both kinds of negatives", ("client.negatives=both", "request.rate=1", "request.redraw=true")),
        ("two local epochs", ("client.local_epochs=2",)),
    ]
    return [Case(name, preset, settings) for name, settings in changes]


def costs(preset: str) -> dict[str, list[Case]]:
    """Quality against what a client sends and receives, line by line."""
    request = ("client.negatives=request", "request.redraw=true")
    return {
        "P, negatives of the request": [
            Case(f"P = {rate:g}", preset, (*request, f"request.rate={rate}")) for rate in (0.25, 1.0, 3.0)
        ],
        "the same without logQ": [
            Case("P = 1, without logQ", preset, (*request, "request.rate=1", "client.logq=false"))
        ],
        "d, public negatives": [Case(f"d = {size}", preset, (f"model.dim={size}",)) for size in (8, 16, 32, 64)],
        "public pool": [
            Case(f"pool of {size:,}", preset, (f"client.pool_size={size}",)) for size in (64, 256, 1024, 1600)
        ],
    }
