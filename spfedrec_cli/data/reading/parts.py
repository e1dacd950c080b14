"""The tables of a folder or an archive, which are parts of one."""

import re
from pathlib import Path

from spfedrec_cli.data.reading.files import RawFile, bare, exists, is_archive, members, unpack
from spfedrec_cli.data.schema import MANIFEST
from spfedrec_cli.errors import InputError

_TABLES = (".csv", ".tsv", ".txt", ".dat", ".data", ".parquet", ".json", ".jsonl", ".ndjson")
_ABOUT = ("readme", "license", "licence")  # words about a table, in archives and folders of them
_LOGS = {"_delta_log": "Delta", ".hoodie": "Hudi"}  # of tables that leave old files where they are


def parts(place: Path, notes: list[str]) -> list[RawFile]:
    """A file alone, or the tables of a folder or an archive by their names, numbers in these by their size, with a note
    of what else is there.

    Files without an ending are tables where there are no others. Raises InputError where there are none, and for a
    table that is there twice.
    """
    exists(place)
    if place.is_file() and not is_archive(place):
        return [RawFile(place)]
    if place.is_file():
        names = members(place)
    else:
        there = [path for path in place.rglob("*") if path.is_file() or path.is_symlink()]
        made = {path.parent for path in there if path.name == MANIFEST}  # Datasets, that of an earlier run perhaps
        names = [str(path.relative_to(place)) for path in there if path.parent not in made]
    logs = sorted({_LOGS[part] for name in names for part in Path(name).parts if part in _LOGS})
    notes += [
        f"{place.name} is a {log} table: what it has deleted or replaced counts too; export it" for log in sorted(logs)
    ]
    if not place.is_file() or len(names) > 1:
        names = sorted(filter(_is_said, names), key=lambda name: (re.sub(r"\d+", _wide, name), name))
        found = [name for name in names if bare(name).lower().endswith(_TABLES)]
        found = found or [name for name in names if "." not in bare(name)]
    else:
        found = names
    if not found:
        raise InputError("There is no table in it", where=str(place), hint=f"tables end in {', '.join(_TABLES)}")
    _check_once(place, found)
    files = {name: RawFile(place, name) if place.is_file() else unpack(place / name) for name in found}
    full = [name for name in found if files[name].head(1)] or found
    for why, given, read in (("tables end in .csv and the like", names, found), ("they are empty", found, full)):
        if other := sorted({*given} - {*read}):
            more = f" and {len(other) - 3:,} more" if len(other) > 3 else ""
            notes.append(f"not read in {place.name}, since {why}: {', '.join(other[:3])}{more}")
    return [files[name] for name in full]


def _wide(digits: re.Match[str]) -> str:
    """So that part-10 comes behind part-9."""
    return digits[0].zfill(20)


def _is_said(name: str) -> bool:
    """Not what stands beside tables: README.txt, and what Spark and others put there (_SUCCESS, .crc)."""
    hidden = any(part.startswith((".", "_")) for part in Path(name).parts)
    return not hidden and Path(bare(name)).stem.lower() not in _ABOUT


def _check_once(place: Path, names: list[str]) -> None:
    """Packed and unpacked, or as CSV and as Parquet, a table would count twice."""
    first: dict[Path, str] = {}
    for name in names:
        other = first.setdefault(Path(name).parent / Path(bare(name)).stem, name)
        if other is not name:
            hint = "take one of the two away, or name with --input what is to be read"
            raise InputError(f"One table is there twice, as {other} and {name}", where=str(place), hint=hint)
