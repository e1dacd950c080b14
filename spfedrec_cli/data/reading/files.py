"""Raw files however they are packed: plain or compressed, in a .zip archive, in a folder of parts, text or Parquet."""

import codecs
import io
import lzma
import re
import shutil
import struct
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import pyarrow as pa

from spfedrec_cli.errors import InputError
from spfedrec_cli.files import FULL

_CODECS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\x50\x2a\x4d\x18": "zstd"}
_PARQUET, _ZIP = b"PAR1", (b"PK\x03\x04", b"PK\x05\x06")
_PACKED = ("", ".gz", ".bz2", ".zst", ".zip")
_BOOKS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml", "Index/Document.iwa")  # of Excel, LibreOffice, Numbers
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NULL = "__HIVE_DEFAULT_PARTITION__"
_AGAIN = "copy or download it again"
_NO_TEXT = "neither text nor Parquet", "write it as CSV or Parquet"
_UNREAD = re.compile("That compression method|compression type|too much memory|Dictionary mismatch")  # of unpackers
_TWICE = "packed twice, or in a way that is not read", "unpack it"
_WORKBOOK = "an Excel workbook", "save it as CSV, and name that"
_FOREIGN = (  # how files begin that are no text, what they are, and what to do
    (rb"\xd0\xcf\x11\xe0|PK\x03\x04.{26}(\[Content_Types|_rels/|xl/|mimetype)", *_WORKBOOK),
    (rb"7z\xbc\xaf|Rar!|.{257}ustar|PK\x03\x04", "an archive", "unpack it, and name what it holds"),
    (rb"\x1f[\x8b\x9d]|BZh\d1AY|\x28\xb5\x2f\xfd|\xfd7zXZ|\x04\x22\x4d\x18", *_TWICE),
    (rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype|html|table|meta|\?xml)", "HTML or XML", "save the table as CSV"),
    (rb"(--\s|/\*).*(SQL|dump)|COPY .* FROM stdin|(INSERT INTO|CREATE TABLE) .*\(", "SQL", "save the table as CSV"),
    (
        rb"ARROW1\0|\xff{4}|ORC[^\w,;\t| ]|Obj\x01|\x89HDF|SQLite f|\x80[\x02-\x05]|RDX\d\n|%PDF|\x93NUMPY",
        *_NO_TEXT,
    ),
)
_BUFFER, _BEGIN, _LARGEST = 1 << 20, 300, 1 << 36  # bytes: the last are of a Parquet file that is unpacked


@dataclass(frozen=True)
class RawFile:
    """A file, the `member` of an archive that holds several, or a `table` that is in memory already."""

    path: Path
    member: str | None = None
    table: pa.Table | None = None

    def __str__(self) -> str:
        if self.member is None:
            return str(self.path)
        return f"{self.path}/{self.member if self.member.isprintable() else ascii(self.member)}"

    @property
    def name(self) -> str:
        """The name without folders and packing."""
        return bare(self.member or self.path)

    @property
    def said(self) -> dict[str, str]:
        """What its folders say of each row, in the way of Hive and Spark: country=UK/part-0.parquet."""
        folders = (unquote(part).partition("=") for part in (*self.path.parts, *Path(self.member or "").parts)[:-1])
        return {name: "" if value == _NULL else value for name, equals, value in folders if equals}

    @property
    def size(self) -> int:
        """Bytes to be read from the disk; for a member of an archive, its packed bytes."""
        if self.table is not None:
            return int(self.table.nbytes)
        with refusals(self):
            if self.member is None:
                return self.path.stat().st_size
            return _archive(self.path).getinfo(self.member).compress_size

    @property
    def is_parquet(self) -> bool:
        return self.table is not None or self.head(4) == _PARQUET

    def head(self, size: int) -> bytes:
        """The first bytes that it unpacks to, up to `size`; none where it is empty."""
        with refusals(self), self._unpacked() as (unpacked, _):
            return bytes(unpacked.read(size))

    def sibling(self, stem: str) -> "RawFile | None":
        """The file `stem` in the same archive or folder, or None."""
        if self.member is not None and (found := find(self.path, stem)):
            return found
        return find(self.path.parent, stem)

    @contextmanager
    def open(self, encoding: str | None = None) -> Iterator["Stream"]:
        """Its text, unpacked and as UTF-8. Raises InputError where it is absent, empty, damaged or in no `encoding`."""
        with refusals(self), self._unpacked() as (unpacked, packed):
            start = self.head(_BEGIN)
            for pattern, what, hint in _FOREIGN:
                if re.match(b"(?s)" + pattern, start):
                    raise InputError(f"The file is {what}", where=str(self), hint=hint)
            if encoding := encoding or _MARKS.get(start[:2]):
                unpacked = pa.transcoding_input_stream(pa.PythonFile(unpacked, "r"), _known(encoding), "utf-8")
            yield Stream(self, io.BufferedReader(unpacked, _BUFFER), packed)

    @contextmanager
    def on_disk(self, scratch: Path | None) -> Iterator[Path]:
        """A path of its unpacked bytes, which may be sought in: below `scratch` where they have to be unpacked."""
        if self.member is None and magic(self.path) == _PARQUET:
            yield self.path
            return
        with tempfile.TemporaryDirectory(dir=scratch) as folder, refusals(self), self._unpacked() as (unpacked, _):
            path = Path(folder, "unpacked")
            with open(path, "wb") as file:
                while (data := unpacked.read(_BUFFER)) and file.tell() < _LARGEST:
                    if shutil.disk_usage(folder).free < 2 * _BUFFER:
                        raise InputError("There is no room to unpack the file", where=str(self), hint="make room")
                    file.write(data)
            if data:
                raise InputError("The file unpacks to more than 64 GiB", where=str(self), hint="unpack it yourself")
            yield path

    @contextmanager
    def _unpacked(self) -> Iterator[tuple[Any, "_Place"]]:
        with ExitStack() as stack:
            start = magic(self.path)
            raw: Any = stack.enter_context(pa.OSFile(str(self.path)))
            place = _Place(raw)
            if self.member is not None:
                archive = _archive(self.path)
                raw = stack.enter_context(archive.open(self.member))
                place = _Place(raw, archive.getinfo(self.member))
                start = raw.peek(4)[:4]
            if codec := next((name for mark, name in _CODECS.items() if start.startswith(mark)), None):
                raw = pa.PythonFile(raw, "r") if self.member is not None else raw
                raw = stack.enter_context(pa.CompressedInputStream(raw, codec))
            yield raw, place


class _Place:
    """How many of the disk's bytes were read; of an archive, the same share of them as of the unpacked ones."""

    def __init__(self, raw: IO[bytes], info: zipfile.ZipInfo | None = None) -> None:
        self._raw, self._info = raw, info

    def tell(self) -> int:
        if self._info is None:
            return 0 if self._raw.closed else int(self._raw.tell())
        return self._info.compress_size * self._raw.tell() // max(self._info.file_size, 1)


class Stream:
    """Unpacked UTF-8, and how many of the disk's bytes it took so far."""

    def __init__(self, file: RawFile, text: io.BufferedReader, place: _Place) -> None:
        self.file, self.text = file, text
        self._place = place
        if not text.peek(3):
            raise empty(file)
        while text.peek(3).startswith(codecs.BOM_UTF8):  # of files that were saved twice there are two
            text.read(3)

    def tell(self) -> int:
        return self._place.tell()


def _archive(path: Path) -> zipfile.ZipFile:
    """Open until others are: to learn what a large one holds takes longer than to read a member."""
    return _opened(path, path.stat().st_mtime_ns)


@lru_cache(4)
def _opened(path: Path, changed: int) -> zipfile.ZipFile:
    with ExitStack() as stack:  # it would close a file of its own as soon as two threads miscount who reads
        archive = zipfile.ZipFile(stack.enter_context(open(path, "rb")))
        weakref.finalize(archive, stack.pop_all().close)
    return archive


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)  # which hex and rot13 are none for
        return codecs.lookup(encoding).name
    except LookupError:
        hint = "write one as utf-8, cp1252, latin-1 or utf-16"
        raise InputError(f"There is no encoding {encoding!r}", where="--encoding", hint=hint) from None


def find(place: Path, stem: str) -> RawFile | None:
    """`stem` in a folder or a .zip archive, itself plain, packed or as Parquet, in large letters or small; None where
    there is none, and of several in an archive the one in the fewest folders."""
    wanted = [(name + end).lower() for name in (stem, f"{Path(stem).stem}.parquet") for end in _PACKED]
    names = [path.name for path in place.glob("*") if path.is_file()]
    if place.is_file():
        names = members(place) if is_archive(place) else []
    found = [name for name in names if Path(name).name.lower() in wanted]
    if not found:
        return None

    def rank(name: str) -> tuple[int, int]:
        return wanted.index(Path(name).name.lower()), name.count("/")

    name, *others = sorted(found, key=lambda name: (rank(name), name))
    if others and rank(others[0]) == rank(name):
        problem = f"The archive holds two tables of one name: {name} and {others[0]}"
        raise InputError(problem, where=str(place), hint="unpack it, and name one of their folders")
    return RawFile(place, name) if place.is_file() else unpack(place / name)


def exists(place: Path) -> None:
    if not place.exists():
        raise InputError("The input does not exist", where=str(place), hint="check the path given to --input")
    if not (place.is_file() or place.is_dir()):
        raise InputError("The input is neither a file nor a folder", where=str(place), hint="write it to a file first")


def bare(name: Path | str) -> str:
    """Without folders and packing."""
    name = Path(name).name
    return next((name[: -len(end)] for end in _PACKED[1:] if name.lower().endswith(end)), name)


def is_archive(path: Path) -> bool:
    return magic(path) in _ZIP


def unpack(path: Path) -> RawFile:
    """A file as it lies there; of a .zip its only member. Raises InputError for one with several."""
    if not is_archive(path):
        return RawFile(path)
    names = members(path)
    if len(names) != 1:
        raise InputError(f"The archive holds {len(names)} files instead of one", where=str(path), hint="unpack it")
    return RawFile(path, names[0])


def members(path: Path) -> list[str]:
    """The files in an archive, but for those that macOS adds. Raises InputError for a workbook, which is one too."""
    with refusals(RawFile(path)):
        names = [info.filename for info in _archive(path).infolist() if not info.is_dir()]
    if not set(names).isdisjoint(_BOOKS):
        raise InputError(f"The file is {_WORKBOOK[0]}", where=str(path), hint=_WORKBOOK[1])
    return [name for name in names if not name.startswith("__MACOSX/")]


@contextmanager
def refusals(file: RawFile) -> Iterator[None]:
    """What can be wrong with a file as a whole, each in one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError("The file does not exist", where=str(file), hint="check the path") from None
    except UnicodeError:
        hint = "say which encoding it has with --encoding, as cp1252, utf-16, cp932 or gb18030"
        raise InputError("The file is not text of that encoding", where=str(file), hint=hint) from None
    except MemoryError:
        raise InputError("The file asks for more memory than there is", where=str(file), hint=_AGAIN) from None
    except OSError as error:
        if error.errno is None:  # Arrow's unpackers
            raise _damaged(file, error) from None
        if error.errno in FULL:
            raise InputError("There is no room to unpack the file", where=str(file), hint="make room") from None
        hint = _first_line(error.strerror or error)
        raise InputError("The file cannot be read", where=str(file), hint=hint) from None
    except (EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, NotImplementedError) as error:
        raise _damaged(file, error) from None
    except RuntimeError as error:
        if "encrypted" not in str(error) and "password" not in str(error):
            raise
        raise InputError("The archive is encrypted", where=str(file), hint="unpack it") from None
    except (pa.ArrowException, pa.ArrowTypeError, pa.ArrowKeyError, pa.ArrowIndexError) as error:
        raise InputError(f"The file cannot be read: {_first_line(error)}", where=str(file), hint=_AGAIN) from None


def _damaged(file: RawFile, error: Exception) -> InputError:
    if _UNREAD.search(str(error)):
        return InputError("The file is damaged, or packed in a way that is not read", where=str(file), hint=_TWICE[1])
    return InputError("The file is cut short or damaged", where=str(file), hint=_AGAIN)


def _first_line(error: Exception | str) -> str:
    return (str(error).splitlines() or ["no reason is given"])[0]


def no_text(file: RawFile) -> InputError:
    return InputError(f"The file is {_NO_TEXT[0]}", where=str(file), hint=_NO_TEXT[1])


def empty(file: RawFile) -> InputError:
    return InputError("The file is empty", where=str(file), hint=_AGAIN)


def magic(path: Path) -> bytes:
    with refusals(RawFile(path)), open(path, "rb") as file:
        return file.read(4)
