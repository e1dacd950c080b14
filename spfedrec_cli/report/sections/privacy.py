"""What each party saw, with the figures of the run."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spfedrec_cli.federated.aggregation.table import AGGREGATIONS
from spfedrec_cli.federated.sampling.modes import mode_of
from spfedrec_cli.federated.server.publishing import needs_popularity
from spfedrec_cli.federated.wire.messages import Request, serialise
from spfedrec_cli.report import attacks
from spfedrec_cli.report.facts import Facts, Shop, Told
from spfedrec_cli.report.numbers import counted, share
from spfedrec_cli.report.parts import Cell, Section, Table

HEAD = ("who", "what it saw", "in this run", "what stands against it")
NOBODY_MEASURED = "This run was not audited: `spfedrec audit` measures what an attacker would guess from all this."
AUC = "An attack with an AUC of .5 guesses no better than a coin; with 1 it is always right."
_EMPTY = len(serialise(Request(0, np.empty(0, np.int32))))  # bytes of a request
_ITEM = 4  # and of each item in it


def section(facts: Facts) -> Section:
    run = facts.first
    tables = [Table("Who saw what", HEAD, list(_rows(run, facts.shop)))]
    if run.audit:
        told = zip(attacks.rows(run.audit), run.audit, strict=True)
        found = [(*row, str(each.get("assumption", ""))) for row, each in told]
        title = "The audit: what attacks guessed of this run"
        tables.append(Table(title, (*attacks.HEAD, attacks.SURE, "it takes for granted"), found))
    said = AUC if run.audit else NOBODY_MEASURED
    return Section("privacy", "What the server saw", [in_short(run, facts.shop)[0], said], tables=tables)


def in_short(run: Told, shop: Shop) -> tuple[str, str]:
    """A sentence, and whether it is good or bad news."""
    federated = run.config.federated
    if federated.strategy == "central":
        return "Whoever trained had every purchase of every client: this run is not federated.", "bad"
    if federated.strategy == "full":
        return f"The server saw sums over clients and no request. {_noise(run)}", ""
    if mode_of(run.config.request).asks:
        requests = (
            f"The server saw which items each client requested, and {share(shop.hidden or 0)} of those are purchases."
        )
        return f"{requests} {_noise(run)}", "bad"
    return f"Nobody requested items; the server saw who takes part, and sums over clients. {_noise(run)}", ""


def _noise(run: Told) -> str:
    return "Noise was added as set." if _privacy(run) else "No noise was added to any sum."


def _privacy(run: Told) -> Mapping[str, Any]:
    """The settings of differential privacy, empty where it is off or not there."""
    found: Mapping[str, Any] = run.config.model_dump().get("privacy") or {}
    return found if found.get("noise_multiplier") else {}


def _rows(run: Told, shop: Shop) -> Iterator[tuple[Cell, ...]]:
    federated = run.config.federated
    if federated.strategy == "central":
        yield "whoever trains", "all purchases", f"{shop.clients:,} clients", "nothing"
        return
    took_part = f"{counted(len(run.rounds), 'round')}, {run.updates:,} client updates"
    yield "server", "which client takes part, and when", took_part, "nothing"
    if federated.strategy == "split":
        yield _requests(run, shop)
    yield _sums(run)
    if run.config.request.popularity == "sum" and (needs_popularity(run.config) or run.config.decays):
        over = AGGREGATIONS[federated.aggregation].over
        alone = "a sum alone, exact" if over == "cohort" else f"the sum of each {over} alone, exact"
        yield "aggregator", "how often each item was bought", f"once, of {shop.trained:,} clients", alone
    elif run.config.request.popularity != "sum":
        yield "server", "how often each item was bought", "from a file", "nobody's purchases were summed"
    yield "all of them", *_noise_row(run)
    private = {"none": "nothing", "embedding": "an embedding of its own", "tower": "a query tower of its own"}
    kept = private[run.config.client.private_state]
    yield "nobody", "purchases, targets, own fields", f"the device also keeps {kept}", "they never leave the device"


def _requests(run: Told, shop: Shop) -> tuple[Cell, ...]:
    request = run.config.request
    if not mode_of(request).asks:
        idle = sum(line.get("without_target", 0) for line in run.rounds)
        zeros = f"{share(idle / run.updates)} of updates are zeros: no target in the slate" if run.updates else ""
        return "server", "requests", "none", f"items are published to all ({request.mode}); {zeros}"
    sent = next((each for each in run.messages if each.kind == "request"), None)
    if sent is None:
        return "server", "requests", "none were sent", ""
    items = (sent.bytes / sent.count - _EMPTY) / _ITEM
    told = f"{sent.count:,} lists of {items:.1f} items on the mean; {share(shop.hidden or 0)} of them are purchases"
    drawn = "drawn anew each round, so that two rounds tell them apart" if request.redraw else "the same in every round"
    return "server", "each client's own request", told, f"{request.rate:g} obfuscating items a purchase, {drawn}"


def _sums(run: Told) -> tuple[Cell, ...]:
    federated, rounds = run.config.federated, len(run.rounds)
    a_round = run.updates / rounds if rounds else 0
    aborted = sum(line["aborted"] for line in run.rounds)
    lost = f"; {aborted:,} without a sum" if aborted else ""
    protocol = AGGREGATIONS[federated.aggregation]
    length = protocol.members(federated, a_round)
    over = f"{counted(rounds, 'sum')} over {a_round:,.0f} clients each{lost}"
    if protocol.over != "cohort":
        over = f"sums over about {length:,.0f} clients each, {max(a_round / length, 1):,.0f} of them a round{lost}"
    return "aggregator", "sums of what devices learned", over, protocol.against


def _noise_row(run: Told) -> tuple[str, str, str]:
    found = _privacy(run)
    if not found:
        return "the values as they are", "no noise", "no differential privacy"
    return "noisy values", ", ".join(f"{key} = {value}" for key, value in found.items()), "differential privacy"
