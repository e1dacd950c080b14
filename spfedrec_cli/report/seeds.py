"""Runs that are one training from several seeds."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from spfedrec_cli.report.facts import Told

ELSEWHERE = {"train": {"seed", "workers", "threads", "keep", "checkpoint_every"}}  # what changes nothing of a result


@dataclass(frozen=True)
class Together:
    """Runs that differ in their seed alone, under one name."""

    name: str
    runs: Sequence[Told]


def together(runs: Sequence[Told]) -> list[Together]:
    """In the order in which the first of each comes."""
    found: dict[str, list[Told]] = {}
    for run in runs:
        found.setdefault(json.dumps(run.config.model_dump(mode="json", exclude=ELSEWHERE), sort_keys=True), []).append(
            run
        )
    return [Together(_name(each), each) for each in found.values()]


def _name(runs: Sequence[Told]) -> str:
    """What their names begin with, and how many they are."""
    if len(runs) == 1:
        return runs[0].name
    names = [run.name for run in runs]
    alike = [len(set(letters)) == 1 for letters in zip(*names, strict=False)]
    shared = names[0][: (*alike, False).index(False)]
    shared = re.sub(r"[-_ ]*(seed[-_ ]*)?$", "", shared) or names[0]
    return f"{shared}, {len(runs)} seeds"
