"""Which preset fits a Dataset."""

import math

# By source: the presets that fit its Datasets, each up to so many clients.
_FITTING: dict[str, tuple[tuple[float, str], ...]] = {
    "sample": ((math.inf, "sample"),),
    "movielens": ((2_000, "ml-100k"), (math.inf, "ml-1m")),
    "hm": ((100_000, "hm-small"), (math.inf, "hm-full")),
    "synthetic": ((100_000, "synthetic"), (math.inf, "hm-full")),
    "completejourney": ((math.inf, "grocery"),),
}


def preset_for(source: str, clients: int) -> str | None:
    """The preset to begin with on a Dataset of this source with so many clients; None where `train` does better to
    choose for itself."""
    return next((preset for most, preset in _FITTING.get(source, ()) if clients <= most), None)
