"""A run as a report tells of it: what its files hold, and its evaluation on the test split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spfedrec_cli import files, run
from spfedrec_cli.data.raw import Tell
from spfedrec_cli.engine.checkpoint import checkpoint_round
from spfedrec_cli.engine.evaluate import entries_of, evaluate
from spfedrec_cli.engine.load import load_config
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.wire.messages import IN_ORDER
from spfedrec_cli.report.facts import Measured, Message, Told
from spfedrec_cli.retrieval.groups import Group
from spfedrec_cli.retrieval.intervals import Difference, differences
from spfedrec_cli.retrieval.written import file_name, read_clients

ENTRY = "test/full/all"
AUDIT = "audit.json"  # in the run: its last whole audit, by its own settings


def told(folder: Path) -> Told:
    """What the files of a run say. Raises InputError where one is damaged, or nothing was trained yet."""
    about, rounds = run.about(folder), run.records(folder / "metrics.jsonl")
    if not run.rounds(folder):
        hint = f"go on with `spfedrec train --resume {folder}`"
        raise InputError(
            "The run has no checkpoint yet, so that there is nothing to tell", where=str(folder), hint=hint
        )
    return Told(
        name=folder.resolve().name,
        path=str(folder),
        version=str(about.get("version", "")),
        started=str(about.get("started", "")),
        preset=about.get("preset"),
        config=load_config(folder),
        environment=_environment(folder),
        rounds=rounds,
        messages=_messages(folder),
        measured=_measured(entry) if (entry := current(folder)) else None,
        audit=_audit(folder),
    )


def current(folder: Path) -> dict[str, Any] | None:
    """The evaluation of the best checkpoint on the test split, None where there is none."""
    entry = entries_of(folder).get(ENTRY)
    best = checkpoint_round(folder, "best")
    return entry if entry and run.origin(folder, best).items() <= entry.items() else None


def ensure_evaluated(folder: Path, baselines: bool, dataset: Path | str | None, tell: Tell) -> None:
    """Evaluates a run that was not; one that has no ground truth stays as it is."""
    if current(folder) is None:
        evaluate(folder, baselines=baselines, dataset=dataset, tell=tell)


def beside(folder: Path, rival: str, metric: str) -> dict[str, Difference]:
    """The run less one of the baselines measured beside it, by this metric, paired by client."""
    entry = entries_of(folder)[ENTRY]
    ours, theirs = (read_clients(folder / file_name("test", "full", "all", name), entry)[1] for name in ("", rival))
    return differences({metric: ours[metric]}, theirs)


def _environment(folder: Path) -> dict[str, Any]:
    try:
        return files.read_json(folder / "environment.json")
    except (OSError, InputError):
        return {}


def _messages(folder: Path) -> list[Message]:
    """In the order of the protocol."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in run.records(folder / "ledger.jsonl"):
        found.setdefault(entry["kind"], []).append(entry)
    return [
        Message(
            kind=kind.kind,
            direction=kind.direction,
            meaning=kind.meaning,
            count=sum(entry["count"] for entry in found[kind.kind]),
            bytes=sum(entry["bytes"] for entry in found[kind.kind]),
            largest=max(entry["largest"] for entry in found[kind.kind]),
        )
        for kind in IN_ORDER
        if kind.kind in found
    ]


def _audit(folder: Path) -> list[dict[str, Any]] | None:
    """The attacks that an audit of the run made. Raises InputError where its file is something else."""
    file = folder / AUDIT
    try:
        attacks = files.read_json(file).get("attacks")
    except FileNotFoundError:
        return None
    if not isinstance(attacks, list) or not all(isinstance(each, dict) for each in attacks):
        raise InputError("The file is no audit of a run", where=str(file), hint="move it away, or audit again")
    return attacks


def _measured(entry: Mapping[str, Any]) -> Measured:
    groups = {by: {name: _group(each) for name, each in found.items()} for by, found in entry.get("groups", {}).items()}
    return Measured(
        clients=entry.get("clients", 0),
        skipped=entry.get("skipped", 0),
        round=entry["checkpoint_round"],
        metrics=entry["metrics"],
        intervals=_spans(entry.get("intervals", {})),
        beside={**entry.get("baselines", {}), **entry.get("blends", {})},
        intervals_beside={name: _spans(found) for name, found in entry.get("intervals_beside", {}).items()},
        groups=groups,
        single_truth=entry.get("single_truth", False),
        notes=entry.get("notes", ()),
        second_stage=entry.get("second_stage", {}),
    )


def _group(each: Mapping[str, Any]) -> Group:
    return Group(each["clients"], each["metrics"], _spans(each["intervals"]))


def _spans(found: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {name: (low, high) for name, (low, high) in found.items()}
