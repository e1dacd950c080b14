"""Recommendations from an exported store, for which torch is not loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli.cli.output import Output, counted
from spfedrec_cli.cli.ranked import as_json, tables, who
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.serving.lists import Given


def recommend_from(
    out: Output, folder: Path, customers: Sequence[str], k: int | None, exclude_seen: bool | None
) -> None:
    """Shows the lists of these customers."""
    from spfedrec_cli.serving import store

    opened = store.opened(folder)
    made = store.recommend(opened, customers, k, exclude_seen)
    out.result({"customers": [as_json(one) for one in made]}, *(part for one in made for part in tables(one)))
    for one in made:
        explain(out, one, k)
    if opened.about["second_stage"]:
        out.say("Ranked by the towers alone: a store has no second stage, which the run has")


def refuse(given: Mapping[str, object]) -> None:
    """Raises InputError for what a store does not know."""
    for option, value in given.items():
        if value not in (None, False, []):
            hint = "leave it out, or name the run"
            if option == "--history":
                hint = "`spfedrec device` ranks for a history, from a bundle; or name the run"
            raise InputError(f"A store has no {option}: it serves its own customers", hint=hint)


def explain(out: Output, one: "Given", k: int | None) -> None:
    """What might surprise: nothing to go by, or fewer articles than were asked for."""
    from spfedrec_cli.serving.first import LENGTH

    if not one.history:
        out.say(f"Nothing is known that {who(one)} bought: ranked by everything else that the model knows")
    if len(one.items) < (k or LENGTH) and (one.left_out or one.kept is not None):
        kept = f"{counted(one.kept, 'article')} fit what was asked" if one.kept is not None else ""
        bought = f"{counted(one.left_out, 'article')} bought before and left out" if one.left_out else ""
        told = "; ".join(part for part in (kept, bought) if part)
        out.say(f"{counted(len(one.items), 'article')} for {who(one)}: {told}")
