"""The Flower ClientApp: a module of its own, as in Flower's projects, so that Ray's worker imports it by name."""

from functools import lru_cache

import torch
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from torch_tower import QueryTower, embeddings, train
from work import CASES, Work, make

torch.set_num_threads(1)
app = ClientApp()


@lru_cache(maxsize=2)
def work_of(clients: int, seed: int) -> Work:
    """Everybody's data, made once in each worker."""
    return make(clients, seed)


@app.train()
def train_one(message: Message, context: Context) -> Message:
    """Loads the global tower, trains it on one client's data, and replies with it and with the item gradients."""
    config = message.content["config"]
    work = work_of(config["clients"], config["seed"])
    client = work.clients[config["client"]]
    tower = QueryTower()
    tower.load_state_dict(message.content["arrays"].to_torch_state_dict())
    case = next(case for case in CASES if case.name == config["case"])
    of_items = train(tower, torch.from_numpy(client.features), *embeddings(work, client), case)
    items = ArrayRecord({"ids": Array(client.items), "rows": Array(of_items.numpy())})
    return Message(RecordDict({"arrays": ArrayRecord(tower.state_dict()), "items": items}), reply_to=message)
