"""`python -m spfedrec_cli` and the console script `spfedrec`."""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_FEW = 100_000  # objects, of which to look for rings among them costs more than it brings


def main() -> None:
    gc.set_threshold(_FEW)  # imports make many that stay
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)  # an exception inside of an import might be taken for something else
    from spfedrec_cli.cli.app import asked, build
    from spfedrec_cli.cli.output import write_what_can_be_written

    write_what_can_be_written()
    build(asked(sys.argv[1:], os.environ))(prog_name="spfedrec")


def run() -> None:
    """`main`, and then out: the system takes memory back in one piece, where Python would undo torch for a second."""
    try:
        main()
    except SystemExit as leaving:
        atexit._run_exitfuncs()
        with suppress(OSError, ValueError):  # a pipe that nobody reads, which Python tells of as it ends
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            if leaving.code is None or isinstance(leaving.code, int):
                os._exit(leaving.code or 0)
        raise


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Nothing was begun yet, or all is done."""
    os.write(2, b"Error: Interrupted.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    run()
