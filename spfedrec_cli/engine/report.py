"""The report: what runs came to, as one page that needs no other file and no network."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import spfedrec_cli
from spfedrec_cli import files, run
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.raw import Progress, Tell, silent
from spfedrec_cli.engine import shown
from spfedrec_cli.engine.compare import compare
from spfedrec_cli.engine.load import load_dataset
from spfedrec_cli.engine.ranker import opened
from spfedrec_cli.engine.record import beside, ensure_evaluated, told
from spfedrec_cli.errors import InputError, listed
from spfedrec_cli.extras import needs
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.report.facts import Facts, Shop, Told
from spfedrec_cli.report.page import rendered
from spfedrec_cli.report.parts import Page, Section
from spfedrec_cli.report.sections import sections
from spfedrec_cli.retrieval.intervals import Paired

CUSTOMERS = 3
SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Reported:
    """The page's file, and the verdict as it says it: pairs of a matter and a sentence."""

    output: Path
    size: int
    verdict: tuple[tuple[str, str], ...]


def write_report(
    folders: Sequence[Path | str],
    output: Path | str,
    field: str | None = None,
    customers: int = CUSTOMERS,
    dataset: Path | str | None = None,
    force: bool = False,
    tell: Tell = silent,
) -> Reported:
    """Write a page on the first of the runs, with the others beside it.

    A run that was not evaluated on the test split is evaluated first, the first one with baselines. `field` of items
    colours their map; so many `customers` are shown with what they bought. `dataset`: where it is now, if it is not
    found by itself. Raises InputError where the output exists and is not to be replaced (`force`), runs are of
    different Datasets, the field is unknown, or an extra is not installed.
    """
    output = Path(output)
    check_page(output, force)
    every = list(dict.fromkeys(run.find(folder) for folder in listed(folders)))
    if not every:
        raise InputError("There is nothing to report on", hint="name a run")
    data = load_dataset(every[0], dataset)
    shown.check_field(data, field)
    for place, folder in enumerate(every):
        if _has_truth(data):
            ensure_evaluated(folder, place == 0, dataset, tell)
    tell(Progress("drawing the page"))
    facts = _facts(every, data, field, customers, dataset)
    written = sections(facts)
    files.write_text(output, rendered(_page(facts, written), spfedrec_cli.__version__))
    verdict = tuple((point.name, point.text) for point in written[0].points)
    return Reported(output, output.stat().st_size, verdict)


def check_page(output: Path, force: bool) -> None:
    """Raises InputError where a page cannot be written there, before anything is computed."""
    needs("A report", "report", "jinja2", "matplotlib")
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"The name {output.name!r} is not that of a page", hint="end it in .html")
    if output.is_dir():
        raise InputError("The page's place is a folder", where=str(output), hint="name a file")
    if not output.parent.is_dir():
        raise InputError("The page's folder does not exist", where=str(output.parent), hint="make it first")
    if output.exists() and not force:
        raise InputError(
            "The page exists already", where=str(output), hint="name another file, or replace it by --force"
        )


def _has_truth(dataset: Dataset) -> bool:
    return bool(np.any(dataset.truth("test").lengths))


def _facts(
    folders: Sequence[Path], data: Dataset, field: str | None, customers: int, dataset: Path | str | None
) -> Facts:
    every = [told(folder) for folder in folders]
    model = opened(folders[0], "best", dataset)
    return Facts(
        runs=every,
        shop=_shop(data, every[0]),
        best=_best(folders[0], every[0]),
        versus=_versus(folders, every, dataset),
        map=shown.item_map(model, field),
        customers=shown.customers(model, folders[0], customers),
    )


def _shop(data: Dataset, first: Told) -> Shop:
    counts, split = data.manifest.counts, data.manifest.split
    bought = data.history("train").lengths
    test = (
        f"the test week ({split.test_from} to {split.end})"
        if split.test_from
        else "the test split (the last purchase of each)"
    )
    return Shop(
        name=data.name,
        clients=data.n_clients,
        items=data.n_items,
        purchases=counts.purchases,
        trained=int((bought > 0).sum()),
        repeats=data.repeats,
        test=test,
        hidden=_true_share(bought, first),
    )


def _true_share(bought: np.ndarray[tuple[int], np.dtype[np.int64]], first: Told) -> float | None:
    """Of all items in the requests of all clients, those that were bought."""
    request = first.config.request
    if first.config.federated.strategy != "split" or not mode_of(request).asks:
        return None
    asked = bought + np.ceil(request.rate * bought)
    return float(bought.sum() / max(asked.sum(), 1))


def _best(folder: Path, first: Told) -> Paired | None:
    """The baseline with the highest NDCG, against the run."""
    found = first.measured
    if found is None or not found.rivals:
        return None
    metric = f"ndcg@{found.shortest}"
    name = max(found.rivals, key=lambda rival: found.beside[rival][metric])
    differences = beside(folder, name, metric)
    return Paired(name, differences, {each: difference.p for each, difference in differences.items()})


def _versus(folders: Sequence[Path], every: Sequence[Told], dataset: Path | str | None) -> list[Paired]:
    if len(folders) < 2 or every[0].measured is None:
        return []
    made = compare(folders, ks=[every[0].measured.shortest], dataset=dataset)
    names = {str(folder): one.name for folder, one in zip(folders, every, strict=True)}
    return [replace(pair, name=names[pair.name]) for pair in made.pairs]


def _page(facts: Facts, written: Sequence[Section]) -> Page:
    first, shop = facts.first, facts.shop
    others = f" and {len(facts.runs) - 1} more" if len(facts.runs) > 1 else ""
    about = [
        ("Dataset", shop.name),
        ("Customers", f"{shop.clients:,}, of whom {shop.trained:,} train"),
        ("Items", f"{shop.items:,}"),
        ("Purchases", f"{shop.purchases:,}"),
        ("Rounds", f"{len(first.rounds):,} of {first.config.train.rounds:,}"),
        ("Preset", first.preset or "none"),
        ("Seed", str(first.config.train.seed)),
        ("Started", first.started.replace("T", " ").replace("+00:00", " UTC")),
    ]
    return Page(f"{first.name}{others}", "Report of a simulated federated training", about, written)
