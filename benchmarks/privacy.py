"""Quality, bytes and what attacks reach, mode by mode: the frontier of docs/privacy.md.

    python benchmarks/privacy.py [--data FOLDER] [--work FOLDER] [--only SHOP]… [--first] [--write]

MovieLens 100K, the made-up shop of `make demo`, Complete Journey and real H&M histories, by their presets. Of each mode
one training, in which 40 canaries are planted, is evaluated and audited, as it goes on with the ideal sum and with
secret-sharing chains; of some modes further seeds are trained and evaluated. What was trained or audited before, in
runs/privacy, is not done again. FOLDER is that of `results.py`; shops whose data are not there are left out. `--only`
names some of them. `--first` looks at the first mode of each alone. `--write` puts the tables into docs/privacy.md, and
beside them further attacks on the first mode of all shops that have been audited so far.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from measure import figure, mean_and_deviation, table, write_section
from modes import MODES, RING, SUM, Mode
from results import CHECKOUT, NEEDED, Plan
from shops import grocery

from spfedrec_cli import engine, files
from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

DOCUMENT = CHECKOUT / "docs" / "privacy.md"
CANARIES = "simulation.canaries=40"
ON_REQUESTS = ("popularity", "coherence", "shadow classifier")
SLATE = next(mode for mode in MODES if mode.settings == ("request.mode=slate",))
OF_POOL = "client.negatives=public"  # where nobody requests anything
FEWER = (MODES[0], replace(SLATE, settings=(*SLATE.settings, OF_POOL)))
UNDATED = ("request.prior_half_life=0",)  # canaries have no date
HEAD = [
    "`request.mode`",
    "summed by",
    "NDCG@10",
    "kB up",
    "kB down",
    "server, by requests",
    "one masked upload",
    "one plain update",
    "half known: model",
    "half known: and sum",
    "only buyer",
    "canaries",
    "ε at least",
]


FURTHER = (
    ("public parameters", SUM, ""),
    ("shadow updates", SUM, ""),
    ("zero rows", SUM, ""),
    ("single-requester rows", SUM, ", sum of 150"),
    ("single-requester rows", RING, ", chains of 10"),
    ("counted popularity", SUM, ", of all"),
    ("counted popularity", RING, ", chains of 1,000"),
    ("refreshed popularity", SUM, ""),
    ("unions of requests", RING, ", chains of 10"),
    ("misled clients", SUM, ", sum of ten"),
    ("colluding neighbours", RING, ", 5 %"),
    ("membership of a purchase", SUM, ""),
)
PRECISE = ("unions of requests", "refreshed popularity")  # which name what they claim
NAMES = {  # of each shop, and of its Dataset
    "hm": ("H&M histories", "hm"),
    "ml-100k": ("MovieLens 100K", "ml-100k"),
    "grocery": ("Complete Journey", "grocery"),
    "shop": ("made-up shop", "demo-5000"),
}


@dataclass(frozen=True)
class Shop:
    """A Dataset, the preset that it is trained by, and what is changed in it; the modes that are looked at, and of how
    many seeds the first one and `slate` are."""

    dataset: Path
    preset: str
    settings: tuple[str, ...] = ()
    modes: tuple[Mode, ...] = MODES
    seeds: int = 1

    def seeds_of(self, mode: Mode) -> int:
        return self.seeds if mode in (MODES[0], SLATE) else 1


@dataclass(frozen=True)
class Work:
    """Where runs go, and how many customers and rounds an audit records."""

    runs: Path
    clients: int = 150
    rounds: int = 1

    def trained(self, name: str, shop: Shop, mode: Mode, seed: int = 0) -> Path:
        """A run, trained to its end before or now."""
        folder = self.runs / _of_seed(name, seed)
        if (folder / "run.json").is_file():
            return engine.resume(folder).run
        fixed = (CANARIES, "train.workers=1", f"train.seed={seed}")
        config = resolve(shop.preset, settings=(*shop.settings, *mode.settings, *fixed))
        return engine.train(Dataset.open(shop.dataset), config, folder).run

    def quality(self, name: str, shop: Shop, mode: Mode, seed: int = 0) -> float:
        """NDCG@10 on the test split."""
        kept = self.runs / f"{_of_seed(name, seed)}.json"
        if not kept.is_file():
            report = engine.evaluate(self.trained(name, shop, mode, seed))
            files.write_json(kept, {"ndcg@10": report.metrics["ndcg@10"]})
        return float(json.loads(kept.read_text())["ndcg@10"])

    def audited(self, name: str, shop: Shop, mode: Mode, aggregation: str) -> dict[str, Any]:
        """What an audit says of the same training as it goes on with this aggregation."""
        kept = self.runs / f"{name}-{aggregation.partition('=')[2]}.json"
        if not kept.is_file():
            run = self.trained(name, shop, mode)
            report = engine.audit_run(run, clients=self.clients, rounds=self.rounds, settings=[aggregation])
            files.write_json(kept, {**asdict(report), "run": name})
        told: dict[str, Any] = json.loads(kept.read_text())
        return told

    def kept(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Of each shop whose first mode was audited both ways, by aggregation."""
        found = {}
        for shop, (_, dataset) in NAMES.items():
            both = {
                way: self.runs / f"{_of_mode(dataset, MODES[0])}-{way.partition('=')[2]}.json" for way in (SUM, RING)
            }
            if all(file.is_file() for file in both.values()):
                found[shop] = {way: json.loads(file.read_text()) for way, file in both.items()}
        return found


def _of_seed(name: str, seed: int) -> str:
    return f"{name}-seed-{seed}" if seed else name


def row(mode: Mode, aggregation: str, ndcg: Sequence[float], audit: Mapping[str, Any]) -> list[str]:
    """Of one mode: AUC, each with its interval."""
    found = {each["name"]: each for each in audit["attacks"]}
    best = max((found[name] for name in ON_REQUESTS if name in found), key=lambda each: each["auc"], default=None)
    masked = found.get("masked collinearity") if aggregation == RING else None
    names = ("collinearity", "half known, model", "half known, sum", "only buyer", "canaries")
    epsilon = found["canaries"]["epsilon"] if "canaries" in found else None
    kilobytes = [f"{audit['bytes_per_client'][way] / 1000:,.0f}" for way in ("up", "down")]
    attacks = [_auc(each) for each in (best, masked, *(found.get(name) for name in names))]
    ways = {SUM: "`sum`", RING: "`ring`"}
    return [
        mode.name,
        ways[aggregation],
        mean_and_deviation(ndcg) if len(ndcg) > 1 else figure(ndcg[0]),
        *kilobytes,
        *attacks,
        "" if epsilon is None else f"{epsilon:.1f}",
    ]


def _auc(attack: Mapping[str, Any] | None) -> str:
    if attack is None:
        return ""
    return f"{attack['auc']:.2f} ({attack['low']:.2f} to {attack['high']:.2f})"


def _of_mode(dataset: str, mode: Mode) -> str:
    return f"{dataset}-{'-'.join(part.partition('=')[2] for part in mode.settings)}"


def frontier(shop: Shop, work: Work) -> str:
    rows = []
    for mode in shop.modes:
        name = _of_mode(shop.dataset.name, mode)
        ndcg = [work.quality(name, shop, mode, seed) for seed in range(shop.seeds_of(mode))]
        for aggregation in (SUM, RING):
            audit = work.audited(name, shop, mode, aggregation)
            rows.append(row(mode, aggregation, ndcg, audit))
            sys.stderr.write(f"{name}, {aggregation}: done\n")
    return table(HEAD, rows)


def further(audits: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Of shops by name, and what was audited of each by aggregation: what FURTHER attacks reach, and who promotes."""
    rows = [
        [f"`{name}`{where}", *(_reached(each[aggregation], name) for each in audits.values())]
        for name, aggregation, where in FURTHER
    ]
    promoted = [_promoted(each[SUM]["promotion"]) for each in audits.values()]
    rows.append(
        [
            "promotion by 5 %: a seldom item in the others' first ten, without, with it, and with made-up updates",
            *promoted,
        ]
    )
    return table(["attack", *(NAMES[name][0] for name in audits)], rows)


def _reached(audit: Mapping[str, Any], name: str) -> str:
    attack = next((each for each in audit["attacks"] if each["name"] == name), None)
    if attack is None:
        return ""
    sure = f"; sure of {attack['decided']:,} of {attack['claims']:,}, {attack['right']:,} rightly"
    precise = f"; precision {attack['precision']:.2f}, by chance {attack['chance']:.2f}" if name in PRECISE else ""
    return _auc(attack) + (sure if attack["decided"] else "") + precise


def _promoted(found: Mapping[str, Any] | None) -> str:
    shares = [] if found is None else [found[way] for way in ("honest", "promoted", "crafted")]
    return ", ".join(f"{share:.1%}" for share in shares if share is not None)


def made_up(plan: Plan) -> Path:
    """The shop of `make demo`."""
    return plan.prepared("demo-5000", lambda to: prepare("synthetic", None, to, customers=5000, items=1000))


def groceries(plan: Plan) -> Path:
    """Complete Journey, from its package."""
    return plan.prepared("grocery", lambda to: grocery(plan.data, to))


def histories(plan: Plan) -> Path:
    """Real H&M histories, split by the last weeks."""
    return plan.prepared("hm", lambda to: prepare("hm", plan.data / NEEDED["hm"], to))


SHOPS: dict[str, tuple[str | None, Callable[[Plan], Shop]]] = {
    "ml-100k": (
        NEEDED["ml-100k"],
        lambda plan: Shop(plan.movielens(), "ml-100k", ("request.slate_size=512",), seeds=3),
    ),
    "shop": (None, lambda plan: Shop(made_up(plan), "synthetic", ("train.rounds=100", "request.slate_size=256"))),
    "grocery": (None, lambda plan: Shop(groceries(plan), "grocery", UNDATED, FEWER)),
    "hm": (NEEDED["hm"], lambda plan: Shop(histories(plan), "hm-small", UNDATED, FEWER)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    real = os.environ.get("SPFEDREC_REAL_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=real)
    parser.add_argument("--work", type=Path, default=CHECKOUT / "runs" / "privacy")
    parser.add_argument("--only", action="append", choices=list(SHOPS))
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    plan, work = Plan(Path(asked.data), asked.work, CHECKOUT, 1, 1, False), Work(asked.work / "runs")
    for name, (needed, shop) in SHOPS.items():
        if asked.only and name not in asked.only:
            continue
        if needed is not None and not (plan.data / needed).is_dir():
            sys.stderr.write(f"{name} left out: no {needed} in {plan.data}; give --data\n")
            continue
        whole = shop(plan)
        text = frontier(replace(whole, modes=whole.modes[:1], seeds=1) if asked.first else whole, work)
        sys.stdout.write(f"{text}\n\n")
        if asked.write and not asked.first:
            write_section(DOCUMENT, name, text)
    text = further(work.kept())
    sys.stdout.write(f"{text}\n")
    if asked.write:
        write_section(DOCUMENT, "further", text)


if __name__ == "__main__":
    main()
