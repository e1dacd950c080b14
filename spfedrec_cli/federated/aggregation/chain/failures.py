"""What goes wrong in a chain: a message that is not taken, or a chain that ends without output."""

from spfedrec_cli.errors import SpfedrecError


class Refused(SpfedrecError):
    """A message is not taken; the chain stands as if it had not come."""


class Aborted(SpfedrecError):
    """The chain ends without output. `missing` names the clients that did not send what was awaited."""

    def __init__(self, problem: str, *, where: str, missing: tuple[int, ...] = ()) -> None:
        self.missing = missing
        super().__init__(problem, where=where, hint="nothing of this chain is used")


def silent(awaited: str, clients: tuple[int, ...], where: str) -> Aborted:
    return Aborted(f"No {awaited} came from {_names(clients)}", where=where, missing=clients)


def not_cancelled(where: str) -> Aborted:
    return Aborted("The masks do not cancel: a message was changed on its way", where=where)


def _names(clients: tuple[int, ...]) -> str:
    """One client, or the first few of several: client 4; clients 4, 7 and 9; clients 1, 2, 3 and 17 more."""
    if len(clients) == 1:
        return f"client {clients[0]}"
    *shown, last = [str(client) for client in clients]
    if len(clients) > 4:
        shown, last = shown[:3], f"{len(clients) - 3} more"
    return f"clients {', '.join(shown)} and {last}"
