"""A run's folder: what one training leaves behind, written so that a kill at any moment loses at most a checkpoint.

    run.json          the Dataset that it was trained on, and the version of the layout
    config.toml       the resolved settings
    environment.json  versions and machine
    metrics.jsonl     one line a round
    ledger.jsonl      one line a round and message kind
    checkpoints/      round-000100.safetensors: tensors, with a manifest in the header
    private/          immutable blocks of private state, named by their hash

Nothing is written in place: files are written beside and renamed, and JSON lines are only appended.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli.errors import InputError, SpfedrecError, nearest

if TYPE_CHECKING:
    from torch import Tensor

LAYOUT = 1
RUNS = Path("runs")
DATASETS = Path("datasets")
PRIVATE_BLOCK = 4096  # clients whose private state is one file


@dataclass(frozen=True)
class Checkpoint:
    """One round's tensors. `manifest` holds what is not a tensor; `private` is (n_clients, d) or None."""

    round: int
    tensors: "dict[str, Tensor]"
    private: "Tensor | None"
    manifest: dict[str, Any]


def is_one_of_several() -> bool:
    """Whether torchrun started this process among others that run the same command."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def is_helper() -> bool:
    """Whether it did, and another one of them speaks and writes."""
    return is_one_of_several() and os.environ["RANK"] != "0"


def find(name: str | Path) -> Path:
    """The folder of a run: a path, or a name under ./runs. Raises InputError where it is none."""
    for folder in (Path(name), RUNS / name):
        if (folder / "run.json").is_file():
            return folder
    for folder in (Path(name), DATASETS / name):
        if (folder / "dataset.json").is_file():
            hint = f"train on it with `spfedrec train {name}`; `spfedrec runs` lists the runs there are"
            raise InputError(f"{str(name)!r} is a Dataset, not a run", where=str(folder), hint=hint)
    if Path(name).exists():
        raise InputError(
            "The folder is not a run: it has no run.json", where=str(name), hint="make one with `spfedrec train`"
        )
    known = [folder.name for folder in RUNS.iterdir() if (folder / "run.json").is_file()] if RUNS.is_dir() else []
    near = nearest(str(name), known)
    raise InputError(
        f"There is no run {str(name)!r}", hint=f"did you mean {near}?" if near else "see ./runs for the runs there are"
    )


def check_free(folder: Path) -> None:
    """Raises InputError where a run cannot be made there because something is."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "The run's folder already exists", where=str(folder), hint="choose another --name, or --resume it"
        )


def create(folder: Path, config_toml: str, about: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    """Lay out a new run. Raises InputError where the folder is already there."""
    check_free(folder)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.toml", config_toml)
    write_json(folder / "environment.json", environment)
    write_json(folder / "run.json", {"layout": LAYOUT, **about})


def about(folder: Path) -> dict[str, Any]:
    """run.json. Raises InputError where it is damaged or of another layout."""
    try:
        found = dict(json.loads((folder / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError("The run's run.json cannot be read", where=str(folder), hint="train it again") from None
    if found.get("layout") != LAYOUT:
        hint = f"this version reads layout {LAYOUT}; train it again"
        raise InputError(f"The run has layout {found.get('layout')}", where=str(folder), hint=hint)
    return found


def append(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines."""
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in records)


def records(file: Path) -> list[dict[str, Any]]:
    """The whole JSON lines of a file; a last line that a kill cut short is left out."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines if line]


def rewind(file: Path, round_: int) -> None:
    """Drop the lines of later rounds."""
    kept = [record for record in records(file) if record["round"] <= round_]
    write_text(file, "".join(json.dumps(record) + "\n" for record in kept))


def write_text(file: Path, text: str) -> None:
    """Write beside and rename into place."""
    beside = file.with_name(file.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """Write JSON beside and rename into place."""
    write_text(file, json.dumps(value, indent=2) + "\n")


def save_checkpoint(folder: Path, checkpoint: Checkpoint, keep: Iterable[int]) -> None:
    """Write a checkpoint, then remove older ones but for the rounds in `keep`."""
    from safetensors.torch import save_file

    blocks = [] if checkpoint.private is None else _save_private(folder / "private", checkpoint.private)
    manifest = {**checkpoint.manifest, "round": checkpoint.round, "private": blocks, "names": list(checkpoint.tensors)}
    target = _file(folder, checkpoint.round)
    beside = target.with_name(target.name + ".part")
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    save_file(tensors, beside, {"spfedrec": json.dumps(manifest)})
    os.replace(beside, target)
    kept = {checkpoint.round, *keep}
    for round_ in set(rounds(folder)) - kept:
        _file(folder, round_).unlink()
    _sweep_private(folder)


def load_checkpoint(folder: Path, round_: int) -> Checkpoint:
    """Raises SpfedrecError where the file is damaged."""
    import torch
    from safetensors import SafetensorError, safe_open

    file = _file(folder, round_)
    try:
        with safe_open(file, "pt") as opened:
            manifest = json.loads(opened.metadata()["spfedrec"])
            tensors = {name: opened.get_tensor(name) for name in manifest["names"]}
        blocks = [_load_private(folder / "private", name) for name in manifest["private"]]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise InputError(
            "The checkpoint is damaged", where=str(file), hint="remove it and resume from the one before"
        ) from None
    return Checkpoint(round_, tensors, torch.cat(blocks) if blocks else None, manifest)


def rounds(folder: Path) -> list[int]:
    """Rounds with a checkpoint, ascending."""
    return sorted(
        int(file.stem.removeprefix("round-")) for file in (folder / "checkpoints").glob("round-*.safetensors")
    )


def latest(folder: Path) -> int:
    """The last round with a checkpoint. Raises InputError where there is none yet."""
    found = rounds(folder)
    if not found:
        hint = f"go on with `spfedrec train --resume {folder}`"
        raise InputError("The run has no checkpoint yet", where=str(folder), hint=hint)
    return found[-1]


def digest(tensors: "Mapping[str, Tensor]") -> str:
    """SHA-256 over names, shapes and bytes of tensors."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        state.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        state.update(tensor.numpy().tobytes())
    return state.hexdigest()


def _file(folder: Path, round_: int) -> Path:
    return folder / "checkpoints" / f"round-{round_:06d}.safetensors"


def _save_private(folder: Path, private: "Tensor") -> list[str]:
    import torch
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    names = []
    for block in torch.split(private, PRIVATE_BLOCK):
        names.append(digest({"private": block}))
        target = folder / f"{names[-1]}.safetensors"
        if not target.exists():
            beside = target.with_suffix(".part")
            save_file({"private": block.contiguous()}, beside)
            os.replace(beside, target)
    return names


def _load_private(folder: Path, name: str) -> "Tensor":
    from safetensors.torch import load_file

    block = load_file(folder / f"{name}.safetensors")["private"]
    if digest({"private": block}) != name:
        raise SpfedrecError("A block of private state does not match its hash", where=str(folder / name))
    return block


def _sweep_private(folder: Path) -> None:
    """Remove blocks that no checkpoint names any more."""
    from safetensors import safe_open

    if not (folder / "private").is_dir():
        return
    named: set[str] = set()
    for round_ in rounds(folder):
        with safe_open(_file(folder, round_), "pt") as opened:
            named.update(json.loads(opened.metadata()["spfedrec"])["private"])
    for file in (folder / "private").iterdir():
        if file.stem not in named:
            file.unlink()
