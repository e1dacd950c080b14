"""A large file made piece by piece, so that what was made before a kill is not made again."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from spfedrec_cli import files
from spfedrec_cli.errors import InputError
from spfedrec_cli.locks import locked

ABOUT = "about.json"
Write = Callable[[Path, int], None]  # of a piece: the file, and its number


def folder_of(output: Path) -> Path:
    """Where the pieces of a file lie until all are there."""
    return output.with_name(f".{output.name}.pieces")


def made_of_pieces(output: Path, about: Mapping[str, Any], count: int, write: Write, join: Callable[..., None]) -> None:
    """`write` makes each of `count` pieces, `join` makes the file of them in their order; both beside it.

    Pieces that are there already are kept where they are of the same `about`, and thrown away where not. A failure or
    a signal leaves those that are whole. Raises Locked where another process makes the same file.
    """
    with locked(output):
        _made(output, about, count, write, join)


def _made(output: Path, about: Mapping[str, Any], count: int, write: Write, join: Callable[..., None]) -> None:
    folder = folder_of(output)
    _begin(folder, about)
    try:
        for number in range(count):
            if not _piece(folder, number).exists():
                with files.beside(_piece(folder, number)) as part:
                    write(part, number)
        with files.beside(output) as part:
            join([_piece(folder, number) for number in range(count)], part)
    except BaseException:
        if not done(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def done(folder: Path) -> int:
    """How many pieces are whole."""
    return len(list(folder.glob("piece-*[0-9]")))


def kept(output: Path, about: Mapping[str, Any]) -> int:
    """How many pieces of the same file an earlier command has left."""
    folder = folder_of(output)
    return done(folder) if _of(folder) == files.sealed(about) else 0


def _begin(folder: Path, about: Mapping[str, Any]) -> None:
    if _of(folder) != files.sealed(about):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        files.write_json(folder / ABOUT, files.sealed(about))
    files.sweep(folder)


def _of(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, InputError):
        return files.read_json(folder / ABOUT)
    return None


def _piece(folder: Path, number: int) -> Path:
    return folder / f"piece-{number:06d}"


def join_bytes(pieces: list[Path], output: Path) -> None:
    """One after the other, as texts without a heading."""
    with output.open("wb") as stream:
        for piece in pieces:
            with piece.open("rb") as read:
                shutil.copyfileobj(read, stream, 1 << 20)


def join_parquet(pieces: list[Path], output: Path) -> None:
    """Row group by row group, so that no more than one is in memory."""
    with pq.ParquetWriter(output, pq.read_schema(pieces[0])) as writer:
        for group in _groups(pieces):
            writer.write_table(group)


def _groups(pieces: list[Path]) -> Iterator[Any]:
    for piece in pieces:
        with pq.ParquetFile(piece) as parquet:
            for number in range(parquet.num_row_groups):
                yield parquet.read_row_group(number)
