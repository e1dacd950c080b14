"""What a whole cohort is told, and what its aggregation protocol is told before the first update."""

import numpy as np
from torch import Tensor

from spfedrec_cli.config import FederatedConfig, digest
from spfedrec_cli.data.ragged import Ragged
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.federated.aggregation.chain.ring import stays_in_shards
from spfedrec_cli.federated.aggregation.protocol import Opening
from spfedrec_cli.federated.sampling.cohort import Phase
from spfedrec_cli.federated.server.catalogue import Catalogue, published_at
from spfedrec_cli.federated.server.known import Known
from spfedrec_cli.federated.simulation.round import Cohort, Published
from spfedrec_cli.federated.simulation.world import World
from spfedrec_cli.federated.wire import messages
from spfedrec_cli.federated.wire.channel import Channel
from spfedrec_cli.federated.wire.fixed_point import Codec
from spfedrec_cli.federated.wire.messages import Broadcast, PublishedCatalogue, PublishedSlate
from spfedrec_cli.model.towers import flatten
from spfedrec_cli.placement import fetched, placed


def opening(world: World, published: Published, cohort: Cohort, channel: Channel) -> Opening:
    """Of the clients of the cohort that live in this process. Where there is a slate, nobody requests anything."""
    federated, shards = world.config.federated, world.shards
    apart = stays_in_shards(federated, len(world.known.eligible), shards.count)
    codec_query, codec_item = world.known.codecs()
    on_slate, dim = published.slate is not None, published.embeddings.shape[1]
    own, hidden = (_nothing(len(cohort)),) * 2 if on_slate else (cohort.own, cohort.hidden.items)
    rows = own.lengths + hidden.lengths + len(published.pool)
    return Opening(
        federated=federated,
        seed=world.seed,
        round=published.round,
        clients=cohort.clients,
        groups=shards.of(cohort.clients) if apart else np.zeros_like(cohort.clients),
        group_count=shards.count if apart else 1,
        silent=cohort.silent,
        own=own,
        hidden=hidden,
        rows=published.summed,
        pool=published.pool,
        width=world.known.shared_width,
        dim=dim,
        codec_query=codec_query,
        codec_item=codec_item,
        channel=channel,
        secrets=world.devices.secrets(),
        update=messages.ClientUpdate,
        update_sizes=messages.size([world.known.shared_width, rows * dim]),
        told=lambda: (*published.told, *_kept(world, published)),
        settings=digest(world.config),
    )


def opening_of_vectors(
    world: World,
    federated: FederatedConfig,
    round_: int,
    clients: I64,
    width: int,
    codec: Codec,
    kind: type[messages.Message],
    channel: Channel,
) -> Opening:
    """Where every client has one vector (width,) that stands where a tower's update would, and nothing of items. Nobody
    is told anything or falls silent, unless the caller says so."""
    shards, nothing = world.shards, _nothing(len(clients))
    apart = stays_in_shards(federated, len(world.known.eligible), shards.count)
    return Opening(
        federated=federated,
        seed=world.seed,
        round=round_,
        clients=clients,
        groups=shards.of(clients) if apart else np.zeros_like(clients),
        group_count=shards.count if apart else 1,
        silent=np.full(len(clients), int(Phase.NEVER)),
        own=nothing,
        hidden=nothing,
        rows=np.empty(0, np.int64),
        pool=np.empty(0, np.int64),
        width=width,
        dim=1,
        codec_query=codec,
        codec_item=codec,
        channel=channel,
        secrets=world.devices.secrets(),
        update=kind,
        update_sizes=np.full(len(clients), messages.size([width])),
        told=lambda: (),
        settings=digest(world.config),
    )


def _nothing(clients: int) -> Ragged:
    return Ragged.from_lengths(np.zeros(clients, np.int64), np.empty(0, np.int32))


def _kept(world: World, published: Published) -> tuple[PublishedCatalogue, ...]:
    """The catalogue that clients of the round keep, if any."""
    every = catalogue_message(published.catalogue, published.round, world.config.request.refresh)
    return () if every is None else (every,)


def broadcast(known: Known, published: Published) -> Broadcast:
    """The message of step 1: θ_u where it is shared, and the public pool, where that is not a slate."""
    places = published.pool if published.slate is None else published.pool[:0]
    pool, embeddings = published.rows[places].astype(np.int32), _rows(published.embeddings, places)
    query = fetched(flatten(published.query)[: known.shared_width]).numpy()
    return Broadcast(published.round, query, pool, embeddings)


def slate_message(published: Published) -> PublishedSlate:
    """The slate with its embeddings. There has to be one."""
    assert published.slate is not None
    embeddings = _rows(published.embeddings, published.pool)
    return PublishedSlate(published.round, published.slate.items.astype(np.int32), embeddings)


def catalogue_message(catalogue: Catalogue | None, round_: int, refresh: int) -> PublishedCatalogue | None:
    """The catalogue that clients keep in a round, as they downloaded it, whenever that was; or nothing."""
    if catalogue is None:
        return None
    since = published_at(round_, refresh)
    return PublishedCatalogue(since, fetched(catalogue.steps).numpy(), fetched(catalogue.codes).numpy().view(np.uint8))


def _rows(embeddings: Tensor, places: I64) -> F32:
    return fetched(embeddings.index_select(0, placed(places, embeddings.device))).numpy()


def account_requests(published: Published, cohort: Cohort, channel: Channel) -> None:
    """The requests of a cohort and their answers, without building them: the bytes of `messages.serialise`."""
    if published.slate is not None:
        return
    asked, dim = cohort.own.lengths + cohort.hidden.items.lengths, published.embeddings.shape[1]
    channel.account(messages.Request, messages.size([asked]))
    channel.account(messages.Embeddings, messages.size([asked * dim]))
