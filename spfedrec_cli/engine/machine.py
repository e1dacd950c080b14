"""Versions and machine, as a report of a mistake needs them."""

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

import spfedrec_cli
from spfedrec_cli.engine.memory import free_memory
from spfedrec_cli.kernels.compiling import folder as compiled_folder
from spfedrec_cli.placement import chosen, described
from spfedrec_cli.threads import cores

PACKAGES = ("torch", "numpy", "numba", "pyarrow", "pandas", "scipy", "safetensors", "pydantic", "typer", "rich")


def about_machine() -> dict[str, str | int | None]:
    """By name; None where the system does not say. Nothing in it names the user or the machine."""
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "spfedrec": spfedrec_cli.__version__,
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": cores(),
        "device": described(chosen("auto")),
        "gpus": torch.cuda.device_count(),
        "free_memory": free_memory(),
        "free_disk": shutil.disk_usage(Path()).free,
        "machine_code_is_kept": "no" if compiled_folder() is None else "yes",
        "encoding": sys.getfilesystemencoding(),
        "threads_said": os.environ.get("OMP_NUM_THREADS"),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and machine, for the record."""
    import pyarrow

    versions = {"spfedrec": spfedrec_cli.__version__, "torch": torch.__version__, "numpy": np.__version__}
    machine = {"python": platform.python_version(), "platform": platform.platform(), "processor": platform.machine()}
    return {**versions, "pyarrow": pyarrow.__version__, **machine, "device": described(device)}
