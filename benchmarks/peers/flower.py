"""Flower's simulation: a ServerApp sends every node a message and adds up the replies; one Ray worker with one CPU.

Messages go out to 200 nodes at a time: Flower's memory of messages is searched for each node, so that a thousand at
once take many times longer. Starting Ray is not counted, nor is the worker's first cohort. The server takes what a
strategy of Flower's would: the moved weights, and item gradients by row, since a dense table in every reply would cost
more than the training.
"""

import os
import sys

os.environ |= {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}

from functools import partial
from typing import Any

import numpy as np
from flower_client import app
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from harness import Train, arguments, measure, tell
from torch_tower import tower
from work import DIM, ITEMS, PARAMETERS, Case, Sums, Work

NODES = 200
RESOURCES: dict[str, Any] = {
    "init_args": {"num_cpus": 1, "num_gpus": 0},
    "client_resources": {"num_cpus": 1, "num_gpus": 0},
}


def prepare(grid: Grid, work: Work, case: Case) -> Train:
    start = np.concatenate([weight.ravel() for weight in work.weights])
    nodes, clients = list(grid.get_node_ids()), len(work.clients)
    arrays = ArrayRecord(tower(work).state_dict())

    def message(client: int) -> Message:
        config = ConfigRecord({"case": case.name, "clients": clients, "seed": work.seed, "client": client})
        content = RecordDict({"arrays": arrays, "config": config})
        return Message(content, message_type=MessageType.TRAIN, dst_node_id=nodes[client % NODES])

    def cohort() -> Sums:
        query, items = np.zeros(PARAMETERS), np.zeros((ITEMS, DIM))
        for first in range(0, clients, NODES):
            sent = [message(client) for client in range(first, min(first + NODES, clients))]
            for reply in grid.send_and_receive(sent):
                if reply.has_error():
                    raise RuntimeError(reply.error.reason)
                moved = [array.ravel() for array in reply.content["arrays"].to_numpy_ndarrays()]
                query += np.concatenate(moved) - start
                items[reply.content["items"]["ids"].numpy()] += reply.content["items"]["rows"].numpy()
        return Sums(query, items)

    return cohort


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
