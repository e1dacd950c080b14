"""Checkpoints: one safetensors file each with a sealed manifest, and immutable blocks of private state beside them.

The manifest holds the hash of the tensors, the run that it belongs to, and what the files of lines were when it was
written. `checkpoints/saved.json` lists the rounds that are kept, so that one that went away is missed.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spfedrec_cli import files
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.files import Damaged
from spfedrec_cli.run.folder import about
from spfedrec_cli.run.lines import measured, rewind, unlike

if TYPE_CHECKING:
    from torch import Tensor

PRIVATE_BLOCK = 4096  # clients whose private state is one file
SAVED = "saved.json"
_LARGEST_HEADER = 100_000_000  # bytes, as safetensors has it
_DOCTOR = "see what can be done with `spfedrec doctor {}`"


@dataclass(frozen=True)
class Checkpoint:
    """One round's tensors. `manifest` holds what is not a tensor; `private` is (n_clients, d) or None."""

    round: int
    tensors: "dict[str, Tensor]"
    private: "Tensor | None"
    manifest: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, best: Iterable[int], keep: int = 1) -> None:
    """Write a checkpoint, then remove older ones but for the last `keep` and the rounds of `best`."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    blocks = [] if checkpoint.private is None else _save_private(folder / "private", checkpoint.private)
    manifest = {**checkpoint.manifest, "round": checkpoint.round, "private": blocks, "names": list(tensors)}
    manifest |= {"run": about(folder)["id"], "tensors": digest(tensors), "lines": measured(folder)}
    with files.beside(file_of(folder, checkpoint.round), _size(tensors.values())) as part:
        save_file(tensors, part, {"spfedrec": json.dumps(files.sealed(manifest))})
    _forget(folder, _kept(folder, checkpoint.round, best, keep))


def tidy(folder: Path, round_: int, best: Iterable[int], keep: int) -> None:
    """Remove what a kill kept from being removed after the checkpoint of this round was saved. Later ones stay."""
    later = {one for one in _known(folder) if one > round_}
    kept = _kept(folder, round_, best, keep) | later
    if {*rounds(folder)} - kept or listed(folder) != sorted(kept):
        _forget(folder, kept)


def _kept(folder: Path, round_: int, best: Iterable[int], keep: int) -> set[int]:
    """A best one that is missing stays on the list, so that it is missed."""
    return {*[one for one in rounds(folder) if one <= round_][-keep:], *({*best} & _known(folder))}


def _known(folder: Path) -> set[int]:
    """Rounds whose checkpoints are there, or should be."""
    return {*rounds(folder), *(listed(folder) or [])}


def _forget(folder: Path, kept: set[int]) -> None:
    """All checkpoints but these."""
    relist(folder, kept)
    for round_ in set(rounds(folder)) - kept:
        file_of(folder, round_).unlink()
    _sweep_private(folder)


def load_checkpoint(folder: Path, round_: int) -> Checkpoint:
    """Raises Damaged where a file is not as it was written."""
    import torch
    from safetensors import SafetensorError, safe_open

    file, manifest = file_of(folder, round_), load_manifest(folder, round_)
    try:
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in manifest["names"]}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise damaged(folder, round_) from None
    if digest(tensors) != manifest["tensors"]:
        raise damaged(folder, round_)
    blocks = [_load_private(folder, name) for name in manifest["private"]]
    return Checkpoint(round_, tensors, torch.cat(blocks) if blocks else None, manifest)


def load_manifest(folder: Path, round_: int) -> dict[str, Any]:
    """The manifest alone, without torch. Raises Damaged where the file is not one of this run and round."""
    file = file_of(folder, round_)
    try:
        with files.reading(file) as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, _LARGEST_HEADER)))
        manifest = files.unsealed(json.loads(header["__metadata__"]["spfedrec"]), file)
        is_ours = (manifest["round"], manifest["run"]) == (round_, about(folder)["id"])
    except FileNotFoundError:
        raise Damaged("The checkpoint is missing", where=str(file), hint=_DOCTOR.format(folder)) from None
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError, Damaged):
        raise damaged(folder, round_) from None
    if not is_ours:
        raise Damaged(
            "The checkpoint is of another run or round", where=str(file), hint=_DOCTOR.format(folder)
        ) from None
    return manifest


def origin(folder: Path, round_: int) -> dict[str, Any]:
    """What binds a result to its run, Dataset and checkpoint. Raises Damaged where the checkpoint is."""
    manifest, run = load_manifest(folder, round_), about(folder)
    state = files.seal({"tensors": manifest["tensors"], "private": manifest["private"]})
    return {"run_id": run["id"], "dataset_sha256": run["dataset_sha256"], "checkpoint_sha256": state}


def damaged(folder: Path, round_: int) -> Damaged:
    return Damaged("The checkpoint is damaged", where=str(file_of(folder, round_)), hint=_DOCTOR.format(folder))


def usable(folder: Path, which: str = "last", lines: bool = False) -> int:
    """The round of the `last` checkpoint, or the `best` (by train.monitor), that is whole.

    Where one is damaged or missing the one before it is taken, with a warning; with `lines` also where the files of
    lines no longer begin as it knew them. Raises Damaged where none is left, InputError where there is none yet.
    """
    found, problem = sorted(_expected(folder), reverse=True), None
    for newest in found:
        try:
            return _whole(folder, newest, which, lines)
        except SpfedrecError as error:
            problem = error
            if newest != found[-1]:
                _warn(f"{error.problem} ({error.where}): going back to the one before it")
    if problem is not None:
        raise problem
    raise no_checkpoint(folder)


def _whole(folder: Path, newest: int, which: str, lines: bool) -> int:
    manifest = load_manifest(folder, newest)
    best = manifest["tally"]["best_round"]
    chosen = newest if which == "last" or not best else int(best)
    load_checkpoint(folder, chosen)
    for file in unlike(folder, manifest["lines"]):
        problem = Damaged("Lines of the run are damaged or gone", where=str(file), hint=_DOCTOR.format(folder))
        if lines:
            raise problem
        _warn(f"{problem.problem} ({file}), which the model does not depend on; {problem.hint}")
    return chosen


def _warn(text: str) -> None:
    logging.getLogger("spfedrec_cli").warning(text)


def no_checkpoint(folder: Path) -> InputError:
    hint = f"go on with `spfedrec train --resume {folder}`"
    return InputError("The run has no checkpoint yet", where=str(folder), hint=hint)


def rounds(folder: Path) -> list[int]:
    """Rounds with a checkpoint, ascending."""
    names = [file.stem.removeprefix("round-") for file in (folder / "checkpoints").glob("round-*.safetensors")]
    return sorted(int(name) for name in names if name.isdecimal())


def listed(folder: Path) -> list[int] | None:
    """Rounds whose checkpoints should be there, as the last one that was saved left them; None where that is lost."""
    file = folder / "checkpoints" / SAVED
    try:
        return [int(round_) for round_ in files.unsealed(files.read_json(file), file)["rounds"]]
    except (SpfedrecError, OSError, NotADirectoryError):
        return None


def relist(folder: Path, rounds_: Iterable[int]) -> None:
    """The inverse of `listed`."""
    files.write_json(folder / "checkpoints" / SAVED, files.sealed({"rounds": sorted(rounds_)}))


def _expected(folder: Path) -> set[int]:
    """As `_known`, with a warning where the list is lost."""
    if listed(folder) is None and rounds(folder):
        _warn(f"The list of checkpoints is damaged or gone ({folder}): whether one is missing cannot be told")
    return _known(folder)


def latest(folder: Path) -> int:
    """The last round with a checkpoint. Raises InputError where there is none yet."""
    found = rounds(folder)
    if not found:
        raise no_checkpoint(folder)
    return found[-1]


def digest(tensors: "Mapping[str, Tensor]") -> str:
    """SHA-256 over names, shapes and bytes of tensors."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        state.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        state.update(tensor.numpy().tobytes())
    return state.hexdigest()


def file_of(folder: Path, round_: int) -> Path:
    return folder / "checkpoints" / f"round-{round_:06d}.safetensors"


def _size(tensors: "Iterable[Tensor]") -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _save_private(folder: Path, private: "Tensor") -> list[str]:
    """For nobody's eyes but the user's."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True, mode=0o700)
    names = []
    for block in torch.split(private, PRIVATE_BLOCK):
        names.append(digest({"private": block}))
        target = folder / f"{names[-1]}.safetensors"
        if not target.exists():
            with files.beside(target, _size([block]), files.PRIVATE) as part:
                save_file({"private": block.contiguous()}, part)
    return names


def _load_private(folder: Path, name: str) -> "Tensor":
    from safetensors import SafetensorError, safe_open

    file = folder / "private" / f"{name}.safetensors"
    problem = Damaged("A block of private state does not match its hash", where=str(file), hint=_DOCTOR.format(folder))
    try:
        with files.reading(file), safe_open(file, "pt") as opened:
            block: Tensor = opened.get_tensor("private")
    except (SafetensorError, OSError, KeyError, ValueError):
        raise problem from None
    if digest({"private": block}) != name:
        raise problem
    return block


def go_on_from(folder: Path, round_: int) -> None:
    """Make the run what it was when it saved this checkpoint (at round 0: when it began); for whoever has locked it.

    Later checkpoints stay until others take their place. Private blocks that are damaged go, so that they are written
    anew.
    """
    manifest = load_manifest(folder, round_) if round_ else {"lines": {}, "private": []}
    rewind(folder, manifest["lines"])
    for file in (folder / "private").glob("*.safetensors"):
        if file.stem not in manifest["private"]:
            try:
                _load_private(folder, file.stem)
            except InputError:
                file.unlink()


def _sweep_private(folder: Path) -> None:
    """Remove blocks that no checkpoint names any more; none while one of these cannot be read."""
    if not (folder / "private").is_dir():
        return
    try:
        named = {name for round_ in rounds(folder) for name in load_manifest(folder, round_)["private"]}
    except Damaged:
        return
    for file in (folder / "private").iterdir():
        if file.stem not in named:
            file.unlink()
