"""What the aggregation protocol of a round is told before the first update comes."""

import numpy as np

from spfedrec_cli.federated.exchange import Cohort, Published
from spfedrec_cli.federated.messages import Broadcast
from spfedrec_cli.federated.ring import stays_in_shards
from spfedrec_cli.federated.state import World
from spfedrec_cli.federated.sums import Opening
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched


def opening(world: World, published: Published, cohort: Cohort) -> Opening:
    """Of the clients of the cohort that live in this process."""
    federated, shards = world.config.federated, world.shards
    apart = stays_in_shards(federated, len(world.eligible), shards.count)
    codec_query, codec_item = world.codecs()
    return Opening(
        federated=federated,
        seed=world.seed,
        round=published.round,
        clients=cohort.clients,
        groups=shards.of(cohort.clients) if apart else np.zeros_like(cohort.clients),
        group_count=shards.count if apart else 1,
        own=cohort.own,
        hidden=cohort.hidden.items,
        rows=published.rows,
        pool=published.pool,
        width=world.shared_width,
        dim=published.embeddings.shape[1],
        codec_query=codec_query,
        codec_item=codec_item,
        broadcast=lambda: broadcast(world, published),
        device=published.embeddings.device,
    )


def broadcast(world: World, published: Published) -> Broadcast:
    """The message of step 1: θ_u where it is shared, and the public pool."""
    pool = published.rows[published.pool].astype(np.int32)
    embeddings = fetched(published.embeddings).numpy()[published.pool]
    query = fetched(flatten(published.query))[: world.shared_width].numpy()
    return Broadcast(published.round, query, pool, embeddings)
