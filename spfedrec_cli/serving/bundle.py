"""A bundle: the folder that a device gets. Every file is named with its hash in the manifest.

manifest.json            what the bundle is of, the settings that ranking needs, fields with their values, hashes
items.npy, scales.npy    item embeddings in eight bits (n_items, d), and what a step is worth in each row (n_items,)
prior.npy                what every score of an item has alike (n_items,), where the run has a prior
items.jsonl, ids.npy     a line for each item: id, name, type, colour; and the hashes of the ids (n_items,)
query_tower.safetensors  the query tower's weights; query_tower.onnx, the same as a graph, where onnx was installed

Where the run has a second stage, and validation did not leave it out:

second_stage.safetensors its weights (P,); second_stage.onnx, the same as a graph, where onnx was installed
weeks.npy                how many bought each item before the last weeks, and in each of them (W + 1, n_items)
codes.npy                the fields of items (n_items, fields)
kin.npy                  whose siblings items are (n_items,), where siblings are candidates
"""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spfedrec_cli import files
from spfedrec_cli.dtypes import F32, I64
from spfedrec_cli.errors import InputError, nearest

LAYOUT = 1
MANIFEST = "manifest.json"
ITEMS, SCALES, FINE, PRIOR = "items.npy", "scales.npy", "fine.npy", "prior.npy"
LINES, IDS = "items.jsonl", "ids.npy"
WEIGHTS, GRAPH = "query_tower.safetensors", "query_tower.onnx"
RANKER, RANKER_GRAPH = "second_stage.safetensors", "second_stage.onnx"
WEEKS, CODES, KIN = "weeks.npy", "codes.npy", "kin.npy"
_MAKE = "export it again with `spfedrec export RUN --format device --output FOLDER`"


@dataclass(frozen=True)
class Bundle:
    """One that was verified; its arrays are read when they are first asked for."""

    folder: Path
    about: dict[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all that a device downloads."""
        of_files = sum(int(entry["bytes"]) for entry in self.about["files"].values())
        return of_files + (self.folder / MANIFEST).stat().st_size

    @cached_property
    def quantised(self) -> npt.NDArray[np.int8]:
        return np.asarray(self.array(ITEMS), np.int8)

    @cached_property
    def scales(self) -> F32:
        return np.asarray(self.array(SCALES), np.float32)

    def exact(self, places: I64) -> F32:
        """Embeddings (m, d) of some items in twelve bits."""
        packed = self._fine[places]
        codes = np.stack([packed >> 4, packed & 15], -1).reshape(len(places), -1)[:, : self.quantised.shape[1]]
        rest = (codes.astype(np.float32) + 0.5) / 16 - 0.5
        return np.asarray((self.quantised[places] + rest) * self.scales[places, None], np.float32)

    @cached_property
    def _fine(self) -> npt.NDArray[np.uint8]:
        return np.asarray(self.array(FINE), np.uint8)

    @cached_property
    def prior(self) -> F32 | None:
        return np.asarray(self.array(PRIOR), np.float32) if PRIOR in self.about["files"] else None

    @cached_property
    def _lines(self) -> list[bytes]:
        return (self.folder / LINES).read_bytes().split(b"\n")[:-1]

    def item(self, index: int) -> list[str | None]:
        """Id, name, type and colour."""
        return list(json.loads(self._lines[index]))

    def items(self, ids: list[str]) -> I64:
        """Places of items by their ids. Raises InputError for an unknown one, naming a near one."""
        hashes = self.array(IDS)
        return np.array([self._place(id, hashes) for id in ids], np.int64)

    def _place(self, typed: str, hashes: npt.NDArray[Any]) -> int:
        stripped = typed.strip()
        for id in dict.fromkeys([typed, stripped, stripped.zfill(self.about["id_width"])]):
            for place in np.flatnonzero(hashes == hash_of(id)):
                if self.item(int(place))[0] == id:
                    return int(place)
        known = [str(json.loads(line)[0]) for line in self._lines]
        near = nearest(stripped, [id for id in known if id[:3] == stripped[:3]] or known[:1000])
        raise InputError(
            f"The bundle has no article {typed!r}", hint=f"did you mean {near}?" if near else "check the id"
        )

    def array(self, name: str) -> npt.NDArray[Any]:
        """One of its files, as it is."""
        return np.asarray(np.load(self.folder / name, allow_pickle=False))


def hash_of(id: str) -> int:
    """The first eight bytes of its SHA-256, as a number."""
    return int.from_bytes(sha256(id.encode()).digest()[:8], "little")


def opened(folder: Path) -> Bundle:
    """Raises InputError where it is no bundle, one of another layout, or a file is not as it was written."""
    file = folder / MANIFEST
    if not file.is_file():
        raise InputError("The folder is no bundle for a device", where=str(folder), hint=_MAKE)
    try:
        about = files.read_json(file)
    except files.Damaged:
        raise InputError("The bundle's manifest holds no JSON object", where=str(file), hint=_MAKE) from None
    if about.get("layout") != LAYOUT:
        raise InputError(
            f"The bundle has layout {about.get('layout')}, and this version reads {LAYOUT}", where=str(file), hint=_MAKE
        )
    about = files.unsealed(about, file)
    for name, entry in about["files"].items():
        try:
            same = files.hash_of(folder / name) == entry["sha256"]
        except (OSError, InputError):
            same = False
        if not same:
            raise InputError("A file of the bundle is not as it was written", where=str(folder / name), hint=_MAKE)
    return Bundle(folder, about)
