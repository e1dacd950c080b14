"""The Flower ClientApp: a module of its own, as in Flower's projects, so that Ray's worker imports it by name."""

from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from remote import train_one

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Replies with the tower that one client trained, and with its item gradients."""
    state, ids, rows = train_one(message.content["arrays"].to_torch_state_dict(), **message.content["config"])
    items = ArrayRecord({"ids": Array(ids), "rows": Array(rows.numpy())})
    return Message(RecordDict({"arrays": ArrayRecord(state), "items": items}), reply_to=message)
