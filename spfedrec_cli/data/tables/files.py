"""Raw files however they are packed: plain, gzipped, in the .zip that Kaggle serves, or Parquet."""

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa

from spfedrec_cli.errors import InputError

_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", (b"PK\x03\x04", b"PK\x05\x06")
_PACKED = ("", ".gz", ".zip")
_AGAIN = "copy or download it again"


@dataclass(frozen=True)
class RawFile:
    """A file, or the `member` of an archive that holds several."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        if self.member is None:
            return str(self.path)
        return f"{self.path}/{self.member if self.member.isprintable() else ascii(self.member)}"

    @property
    def name(self) -> str:
        """The name without folders and packing."""
        name = Path(self.member or self.path).name
        return next((name.removesuffix(end) for end in (".gz", ".zip") if name.endswith(end)), name)

    @property
    def size(self) -> int:
        """Bytes to be read from the disk; for a member of an archive, its packed bytes."""
        with refusals(self), _damages(self):
            if self.member is None:
                return self.path.stat().st_size
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).compress_size

    @property
    def is_parquet(self) -> bool:
        return self.member is None and _magic(self.path) == _PARQUET

    def sibling(self, stem: str) -> "RawFile | None":
        """The file `stem` in the same archive or folder, or None."""
        if self.member is not None and (found := find(self.path, stem)):
            return found
        return find(self.path.parent, stem)

    @contextmanager
    def open(self) -> Iterator["Stream"]:
        """Its unpacked bytes. Raises InputError where it is absent, empty or damaged."""
        with refusals(self), ExitStack() as stack:
            raw = stack.enter_context(open(self.path, "rb"))
            if self.path.stat().st_size == 0:
                raise empty(self)
            if self.member is not None:
                with _damages(self):
                    archive = stack.enter_context(zipfile.ZipFile(raw))
                    info = archive.getinfo(self.member)
                    unpacked = stack.enter_context(archive.open(info))
                yield Stream(self, unpacked, info)
            elif _magic(self.path)[:2] == _GZIP:
                yield Stream(self, stack.enter_context(gzip.GzipFile(fileobj=raw)), raw)
            else:
                yield Stream(self, raw, raw)


class Stream:
    """Unpacked bytes, and how many of the disk's bytes they took so far."""

    def __init__(self, file: RawFile, unpacked: IO[bytes] | gzip.GzipFile, packed: IO[bytes] | zipfile.ZipInfo) -> None:
        self.file = file
        self._unpacked, self._packed = unpacked, packed
        self._read = 0

    def read(self, size: int) -> bytes:
        with _damages(self.file):
            data = self._unpacked.read(size)
        self._read += len(data)
        return data

    def tell(self) -> int:
        """Bytes of the disk read so far; of an archive, the same share of them as of the unpacked ones."""
        if isinstance(self._packed, zipfile.ZipInfo):
            return self._packed.compress_size * self._read // max(self._packed.file_size, 1)
        return self._packed.tell()


def find(place: Path, stem: str) -> RawFile | None:
    """`stem` in a folder or a .zip archive, itself plain, gzipped, zipped or as Parquet; None where there is none."""
    if place.is_file():
        return _member(place, stem) if is_archive(place) else None
    names = [stem + packing for packing in _PACKED] + [f"{Path(stem).stem}.parquet"]
    path = next((place / name for name in names if (place / name).is_file()), None)
    return None if path is None else unpack(path)


def need(place: Path, stem: str) -> RawFile:
    """As `find`; raises InputError where the place or the file is missing."""
    if not place.exists():
        raise InputError("The input does not exist", where=str(place), hint="check the path given to --input")
    if place.is_file() and not is_archive(place):
        raise InputError("The input is not a folder", where=str(place), hint=f"name the folder that holds {stem}")
    found = find(place, stem)
    if found is None:
        kind = "folder" if place.is_dir() else "archive"
        state = "is empty: it holds" if place.is_dir() and not any(place.iterdir()) else "holds"
        problem = f"The {kind} {state} neither {stem} nor {stem}.gz, {stem}.zip or {Path(stem).stem}.parquet"
        raise InputError(problem, where=str(place), hint="name the folder or the .zip with the source's own files")
    return found


def is_archive(path: Path) -> bool:
    return _magic(path) in _ZIP


def unpack(path: Path) -> RawFile:
    """A file as it lies there; of a .zip its only member. Raises InputError for one with several."""
    if not is_archive(path):
        return RawFile(path)
    names = members(path)
    if len(names) != 1:
        raise InputError(f"The archive holds {len(names)} files instead of one", where=str(path), hint="unpack it")
    return RawFile(path, names[0])


def members(path: Path) -> list[str]:
    """The files in an archive, but for those that macOS adds."""
    file = RawFile(path)
    with refusals(file), _damages(file), zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    return [name for name in names if not name.startswith("__MACOSX/")]


def _member(path: Path, stem: str) -> RawFile | None:
    """Of several with that name the one in the fewest folders."""
    names = [name for name in members(path) if Path(name).name == stem]
    return RawFile(path, min(names, key=lambda name: (name.count("/"), name))) if names else None


@contextmanager
def refusals(file: RawFile) -> Iterator[None]:
    """What can be wrong with a file as a whole, each in one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError("The file does not exist", where=str(file), hint="check the path") from None
    except UnicodeDecodeError:
        raise InputError("The file is not UTF-8 text", where=str(file), hint=_AGAIN) from None
    except MemoryError:
        raise InputError("The file asks for more memory than there is", where=str(file), hint=_AGAIN) from None
    except OSError as error:
        raise InputError(
            "The file cannot be read", where=str(file), hint=_first_line(error.strerror or error)
        ) from None
    except (pa.ArrowException, pa.ArrowTypeError, pa.ArrowKeyError, pa.ArrowIndexError) as error:
        raise InputError(f"The file cannot be read: {_first_line(error)}", where=str(file), hint=_AGAIN) from None


@contextmanager
def _damages(file: RawFile) -> Iterator[None]:
    """What the unpackers of gzip and zip raise."""
    try:
        yield
    except RuntimeError as error:
        if "encrypted" not in str(error) and "password" not in str(error):
            raise _damaged(file) from None
        raise InputError("The archive is encrypted", where=str(file), hint="unpack it") from None
    except (EOFError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, struct.error, LookupError):
        raise _damaged(file) from None
    except (ValueError, OverflowError):
        raise _damaged(file) from None


def _damaged(file: RawFile) -> InputError:
    return InputError("The file is cut short or damaged", where=str(file), hint=_AGAIN)


def _first_line(error: Exception | str) -> str:
    return (str(error).splitlines() or ["no reason is given"])[0]


def empty(file: RawFile) -> InputError:
    return InputError("The file is empty", where=str(file), hint=_AGAIN)


def _magic(path: Path) -> bytes:
    with refusals(RawFile(path)), open(path, "rb") as file:
        return file.read(4)


def lines(text: str) -> io.StringIO:
    """For csv.reader, which wants the ends of lines left alone."""
    return io.StringIO(text, newline="")
