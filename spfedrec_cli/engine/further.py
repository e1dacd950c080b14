"""What some attacks take beside the towers' rounds: a round of the second stage, a later sum of popularity, an earlier
model."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.engine.asked import Asked
from spfedrec_cli.engine.companies import counted, unions
from spfedrec_cli.engine.ranked_round import ranked_round
from spfedrec_cli.engine.recording import Reached
from spfedrec_cli.engine.releases import releases
from spfedrec_cli.engine.renewed import renewed
from spfedrec_cli.federated.simulation.state import State
from spfedrec_cli.federated.simulation.world import World


def with_more(
    asked: Asked,
    needs: Collection[str],
    dataset: Dataset,
    world: World,
    reached: Reached,
    state: State,
    before: Path | str | None,
    seed: int,
) -> Asked:
    """The same with those of these parts that are needed and can be had, and the truth of them."""
    if {"ranking", "ranking_sums"} & set(needs):
        ranked = ranked_round(dataset, reached, state)
        if ranked is not None:
            view = replace(asked.view, ranking=ranked.plain, ranking_sums=ranked.summed)
            asked = Asked(view, replace(asked.truth, again=ranked.again))
    if "renewed" in needs:
        later = renewed(dataset.bought("validation"), reached.world, reached.round)
        if later is not None:
            view = replace(asked.view, renewed=later.requests, sales=later.sales)
            asked = Asked(view, replace(asked.truth, between=later.between))
    if "counted" in needs:
        asked = replace(asked, view=replace(asked.view, counted=counted(world, reached, state) or None))
    if "unions" in needs:
        asked = replace(asked, view=replace(asked.view, unions=unions(reached, state) or None))
    if before is not None and "before" in needs:
        both = releases(before, dataset, seed)
        view = replace(asked.view, before=both.before, customers_then=both.asked)
        asked = Asked(view, replace(asked.truth, left=both.left))
    return asked
