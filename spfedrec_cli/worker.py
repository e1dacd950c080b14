"""`python -m spfedrec_cli.worker PARENT TASK`: a process that ends with the one that started it, whatever it is doing.

That is seen to before anything large is imported. TASK is JSON for `engine/worker.py`.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux
_POLL = 1.0  # seconds
ORPHANED = 1


def end_with(parent: int) -> None:
    """From now on this process ends within seconds of its parent: by the kernel on Linux, by a watch elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    os._exit(ORPHANED)  # nobody is left who would read a word of it


def main(parent: str, task: str) -> None:
    end_with(int(parent))
    from spfedrec_cli.engine import worker

    worker.main(task)


if __name__ == "__main__":
    main(*sys.argv[1:])
