"""Files of JSON lines, which are only appended to. A checkpoint holds the size and the hash that they had."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spfedrec_cli import files
from spfedrec_cli.errors import InputError
from spfedrec_cli.files import Damaged

LINES = ("metrics.jsonl", "ledger.jsonl", "second_stage.jsonl")


def append(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines."""
    files.append(file, "".join(json.dumps(record) + "\n" for record in records))


def records(file: Path) -> list[dict[str, Any]]:
    """The whole JSON lines of a file; a last line that a kill cut short is left out. Raises Damaged, with the line."""
    try:
        with files.reading(file) as stream:
            lines = stream.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return [_record(file, number, line) for number, line in enumerate(lines, 1) if line]


def _record(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        hint = "see what `spfedrec doctor` says of the run"
        raise Damaged("A line is no JSON object", where=f"{file}, line {number}", hint=hint)
    return found


def measured(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and hash of each file of lines as it is now, brought to disk."""
    found = {}
    for name in LINES:
        if (file := folder / name).exists():
            files.sync(file)
            found[name] = {"size": file.stat().st_size, "sha256": files.hash_of(file)}
    return found


def unlike(folder: Path, told: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """The files that do not begin with what a checkpoint told of them."""
    return [folder / name for name, about in told.items() if not _begins(folder / name, about)]


def _begins(file: Path, about: Mapping[str, Any]) -> bool:
    try:
        return bool(files.hash_of(file, about["size"]) == about["sha256"] and file.stat().st_size >= about["size"])
    except (OSError, InputError):
        return False


def ends_whole(file: Path) -> bool:
    """Whether the last line has its end."""
    try:
        with files.reading(file) as stream:
            stream.seek(max(file.stat().st_size - 1, 0))
            return stream.read() in (b"", b"\n")
    except (OSError, InputError):
        return True  # that it cannot be read, others say


def cut_half_line(file: Path) -> None:
    with files.reading(file) as stream:
        whole = stream.read().rpartition(b"\n")
    files.write_text(file, (whole[0] + whole[1]).decode(errors="replace"))


def rewind(folder: Path, told: Mapping[str, Mapping[str, Any]]) -> None:
    """Cut the files back to what a checkpoint told of them; those that it did not know go."""
    for name in LINES:
        file = folder / name
        if name not in told:
            file.unlink(missing_ok=True)
        elif file.stat().st_size != told[name]["size"] or file.is_symlink():
            with files.reading(file) as stream:
                kept = stream.read(told[name]["size"])
            files.write_text(file, kept.decode())
