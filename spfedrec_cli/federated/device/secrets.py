"""A device's own randomness, for V−, targets and histories: whoever has everything but its key does no better than
chance. In a simulation the keys of all devices come from one root (`simulation.devices`)."""

import os

import numpy as np

from spfedrec_cli.dtypes import U64


def new_key() -> U64:
    """(2,) of 32-bit words from the operating system: what a device makes once and keeps, as memoised V− ask for."""
    return np.frombuffer(os.urandom(8), "<u4").astype(np.uint64)
