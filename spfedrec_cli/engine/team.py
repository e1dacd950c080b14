"""How the processes of a training find one another: `train.workers` on this machine, or whatever torchrun has started.

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:PORT \\
        -m spfedrec_cli train DATASET …

Every process of torchrun runs the same command, on the same Dataset. Workers of this machine are started by the one
that the user started, and end with it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import IO

import torch
from torch import distributed
from torch.distributed import HashStore, Store, TCPStore  # type: ignore[attr-defined]

from spfedrec_cli.config import Config
from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.errors import InputError
from spfedrec_cli.federated.processes import ALONE, PATIENCE, Team, TeamLost
from spfedrec_cli.placement import CPU, chosen, repeatable
from spfedrec_cli.run import is_one_of_several

_HERE = "127.0.0.1"
MEETING = timedelta(minutes=5)
_LOCAL = {"linux": "lo", "darwin": "lo0"}  # the network that never leaves the machine
launch = subprocess.Popen
_ALONE_HINT = "see what it said; train.workers = 1 needs no others"
_POLL = 0.02
_GRACE = 20  # seconds that workers have to end by themselves


@contextmanager
def gathered(dataset: Dataset, config: Config, task: str) -> Iterator[Team]:
    """All processes of a training, or whatever else `task` names in `worker.py`.

    Raises InputError where the processes of torchrun were given different Datasets or settings, and where this machine
    has no such device.
    """
    device = device_of(config.train.device)
    if is_one_of_several():
        torch.set_num_threads(1)
        with joined(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), device) as team:
            _check_alike(team, dataset, config)
            yield team
    else:
        known = {"dataset": str(dataset.path.resolve()), "fingerprint": dataset.fingerprint}
        about = {"task": task, **known, "config": config.model_dump(mode="json")}
        with processes(config.train.workers, about) as team:
            yield team


def device_of(name: str, team: Team = ALONE) -> torch.device:
    """Where this process computes. Workers of one machine share its GPUs; under torchrun each has one to itself, as
    NCCL asks. Raises InputError where there is none."""
    if not is_one_of_several():
        return repeatable(chosen(name, team.rank))
    device = chosen(name, int(os.environ.get("LOCAL_RANK", "0")))
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.type == "cuda" and beside > torch.cuda.device_count():
        hint = f"give --nproc-per-node {torch.cuda.device_count()}"
        raise InputError(f"torchrun started {beside} processes here, more than there are GPUs", hint=hint)
    return repeatable(device)


@contextmanager
def processes(size: int, about: Mapping[str, object]) -> Iterator[Team]:
    """This process and size − 1 that it starts; `about` is what `worker.py` has to know."""
    torch.set_num_threads(1)  # float sums of several threads would not come out the same everywhere
    if size == 1:
        yield ALONE
    else:
        with _started(size, about) as team:
            yield team


@contextmanager
def _started(size: int, about: Mapping[str, object]) -> Iterator[Team]:
    """This process and size − 1 that it starts."""
    store = TCPStore(_HERE, 0, size, is_master=True, timeout=MEETING, wait_for_workers=False)
    words = [sys.executable, "-m", "spfedrec_cli.worker", str(os.getpid())]
    with tempfile.TemporaryFile("w+") as said:
        started = [
            launch(
                [*words, json.dumps({"port": store.port, "rank": rank, "size": size, **about})],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for the one that the user sees
            )
            for rank in range(1, size)
        ]
        try:
            _wait_for(started, store)
            with joined(0, size, store=store) as team:
                yield team
        except TeamLost as error:
            raise TeamLost(error.problem, where=_last_words(said), hint=error.hint) from None
        finally:
            _end(started)


def arrived(port: int, rank: int, size: int) -> Store:
    """Where a worker meets the process that started it, after saying that it is there."""
    store = TCPStore(_HERE, port, size, is_master=False, timeout=MEETING)
    store.set(f"worker-{rank}", "")
    return store


def _wait_for(started: list["subprocess.Popen[bytes]"], store: Store) -> None:
    """Until every worker stands at the meeting. Raises TeamLost where one stops before it gets there."""
    while not store.check([f"worker-{rank}" for rank in range(1, len(started) + 1)]):
        if any(process.poll() is not None for process in started):
            raise TeamLost("Another process of this training has stopped before it began", hint=_ALONE_HINT)
        time.sleep(_POLL)


def _last_words(said: IO[str]) -> str | None:
    said.seek(0)
    lines = [line for line in said.read().splitlines() if line.strip()]
    return lines[-1] if lines else None


def _end(started: list["subprocess.Popen[bytes]"]) -> None:
    """Those that are still at work have nobody left to work for."""
    for process in started:
        if sys.exc_info()[0] is not None:
            process.kill()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def joined(rank: int, size: int, gpu: torch.device = CPU, store: Store | None = None) -> Iterator[Team]:
    """This process as one of a team that meets at the store, or where torchrun says: by NCCL where each has a GPU to
    itself, else by gloo over the memory of the CPU. Raises TeamLost where the others do not come."""
    transport, lying = ("nccl", gpu) if gpu.type == "cuda" else ("gloo", CPU)
    if store is not None and sys.platform in _LOCAL:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOCAL[sys.platform])
    try:
        distributed.init_process_group(transport, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except RuntimeError as error:
        _forget_the_meeting()
        raise TeamLost(f"The processes of this training did not find one another ({error})", hint=_ALONE_HINT) from None
    try:
        yield Team(rank, size, lying)
    finally:
        distributed.destroy_process_group()


def _forget_the_meeting() -> None:
    """torch names its groups by a counter, which a group that did not come about leaves one too high, so that the next
    would wait for others under another name. The end of a group sets it back: one of this process alone will do."""
    with suppress(RuntimeError):  # where not even that comes about, no other meeting can
        if not distributed.is_initialized():
            distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
        distributed.destroy_process_group()


def _check_alike(team: Team, dataset: Dataset, config: Config) -> None:
    mine = json.dumps([dataset.fingerprint, config.model_dump(mode="json")])
    others = team.told(mine)
    unlike = torch.tensor([int(others != mine)])
    if int(team.sum(unlike)):
        hint = "give every process the same Dataset (by content), settings and version"
        raise InputError("The processes of this training do not have the same Dataset and settings", hint=hint)
