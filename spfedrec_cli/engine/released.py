"""What a run tells on purpose, and to whom: nothing that an audit could find out."""

from spfedrec_cli.config import Settings
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.server.publishing import keeps_catalogue
from spfedrec_cli.federated.simulation.state import State


def released(config: Settings, state: State) -> tuple[str, ...]:
    """A line for each thing."""
    split = config.federated.strategy == "split"
    told = ["to the server and every client: who takes part in which round, and all settings"]
    if config.federated.strategy == "central":
        return ("to whoever trains: every purchase",)
    if state.popularity is not None:
        whose = "as one exact sum over all clients" if config.request.popularity == "sum" else "from a file"
        told.append(f"to the server: how many clients bought each item, {whose}")
    if config.client.private_state != "tower":
        told.append("to every client of a round: the query tower")
    if not split:
        told.append("to every client of a round: the item tower")
    if split and keeps_catalogue(config):
        told.append(f"to every client: the embeddings of all items, every {config.request.refresh} rounds")
    if split and not mode_of(config.request).asks:
        told.append("to every client of a round: the embeddings of its slate")
    told.append(f"to the server: the sum of each {AGGREGATIONS[config.federated.aggregation].over}")
    told.append("to whoever is given the model: its towers and all item embeddings, without noise")
    return tuple(told)
