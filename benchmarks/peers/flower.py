"""Flower's simulation: a ServerApp sends every node a message and adds up the replies; one Ray worker with one CPU.

Messages go out to 200 nodes at a time: Flower's memory of messages is searched for each node, so that a thousand at
once take many times longer. Starting Ray is not counted, nor is the worker's first cohort.
"""

import os
import sys

os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}

from collections.abc import Iterator
from functools import partial
from typing import Any

from flower_client import app
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from harness import Train, arguments, measure, tell
from remote import Reply, added, config_of
from torch_tower import tower
from work import Case, Work

NODES = 200
RESOURCES: dict[str, Any] = {
    "init_args": {"num_cpus": 1, "num_gpus": 0},
    "client_resources": {"num_cpus": 1, "num_gpus": 0},
}


def prepare(grid: Grid, work: Work, case: Case) -> Train:
    nodes, arrays = list(grid.get_node_ids()), ArrayRecord(tower(work).state_dict())

    def message(client: int) -> Message:
        content = RecordDict({"arrays": arrays, "config": ConfigRecord(config_of(work, case, client))})
        return Message(content, message_type=MessageType.TRAIN, dst_node_id=nodes[client % NODES])

    def replies() -> Iterator[Reply]:
        for first in range(0, len(work.clients), NODES):
            sent = [message(client) for client in range(first, min(first + NODES, len(work.clients)))]
            yield from map(_reply, grid.send_and_receive(sent))

    return lambda: added(work, replies())


def _reply(message: Message) -> Reply:
    """Raises RuntimeError where the client failed."""
    if message.has_error():
        raise RuntimeError(message.error.reason)
    items = message.content["items"]
    return message.content["arrays"].to_numpy_ndarrays(), items["ids"].numpy(), items["rows"].numpy()


def main() -> None:
    asked, found, server = arguments(), {}, ServerApp()

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        found.update(measure(partial(prepare, grid), asked))

    run_simulation(server, app, num_supernodes=NODES, backend_config=RESOURCES)
    if not found:
        sys.exit("The ServerApp did not come to its end; what it said stands above")
    tell("flower", ["flwr", "ray", "torch", "numpy"], found)


if __name__ == "__main__":
    main()
