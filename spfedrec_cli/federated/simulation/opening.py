"""What the aggregation protocol of a round is told before the first update comes."""

import numpy as np

from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.federated.aggregation.chain.ring import stays_in_shards
from spfedrec_cli.federated.aggregation.protocol import Opening, Sizes
from spfedrec_cli.federated.server.catalogue import published_at
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.messages import Broadcast, Message, PublishedCatalogue, PublishedSlate
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched


def opening(world: World, published: Published, cohort: Cohort) -> Opening:
    """Of the clients of the cohort that live in this process. Where there is a slate, nobody requests anything."""
    federated, shards = world.config.federated, world.shards
    apart = stays_in_shards(federated, len(world.known.eligible), shards.count)
    codec_query, codec_item = world.known.codecs()
    return Opening(
        federated=federated,
        seed=world.seed,
        round=published.round,
        clients=cohort.clients,
        groups=shards.of(cohort.clients) if apart else np.zeros_like(cohort.clients),
        group_count=shards.count if apart else 1,
        own=cohort.own if published.slate is None else _nothing(len(cohort)),
        hidden=cohort.hidden.items if published.slate is None else _nothing(len(cohort)),
        rows=published.summed,
        pool=published.pool,
        width=world.known.shared_width,
        dim=published.embeddings.shape[1],
        codec_query=codec_query,
        codec_item=codec_item,
        told=lambda: told(world, published),
    )


def _nothing(clients: int) -> Ragged:
    return Ragged.from_lengths(np.zeros(clients, np.int64), np.empty(0, np.int32))


def told(world: World, published: Published) -> tuple[Message, ...]:
    """What all clients of a round are told alike: the broadcast; and where nobody requests, the slate and the catalogue
    that they keep."""
    first = broadcast(world, published)
    if published.slate is None:
        return (first,)
    every = catalogue(world, published)
    return (first, slate(published)) if every is None else (first, slate(published), every)


def broadcast(world: World, published: Published) -> Broadcast:
    """The message of step 1: θ_u where it is shared, and the public pool, where that is not a slate."""
    places = published.pool if published.slate is None else published.pool[:0]
    pool, embeddings = published.rows[places].astype(np.int32), published.embeddings.numpy()[places]
    query = flatten(published.query)[: world.known.shared_width].numpy()
    return Broadcast(published.round, query, pool, embeddings)


def slate(published: Published) -> PublishedSlate:
    """The slate with its embeddings. There has to be one."""
    assert published.slate is not None
    embeddings = published.embeddings.numpy()[published.pool]
    return PublishedSlate(published.round, published.slate.items.astype(np.int32), embeddings)


def catalogue(world: World, published: Published) -> PublishedCatalogue | None:
    """The catalogue that clients keep, as they downloaded it, whenever that was; or nothing."""
    kept = published.catalogue
    if kept is None:
        return None
    since = published_at(published.round, world.config.request.refresh)
    return PublishedCatalogue(since, fetched(kept.steps).numpy(), fetched(kept.codes).numpy().view(np.uint8))


def message_sizes(world: World, published: Published, cohort: Cohort) -> Sizes:
    """What would cross before an update does, without building it: the bytes of `messages.serialise`."""
    width, dim, pool = world.known.shared_width, published.embeddings.shape[1], len(published.pool)
    if published.slate is not None:
        same = {
            messages.Broadcast: messages.size([width, 0, 0]),
            messages.PublishedSlate: messages.size([pool, pool * dim]),
        }
        return {kind: np.full(len(cohort), size) for kind, size in same.items()}
    asked = cohort.own.lengths + cohort.hidden.items.lengths
    return {
        messages.Broadcast: np.full(len(cohort), messages.size([width, pool, pool * dim])),
        messages.Request: messages.size([asked]),
        messages.Embeddings: messages.size([asked * dim]),
    }
