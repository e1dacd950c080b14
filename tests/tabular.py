"""A small table of purchases, and a reader of ten lines that says what the real one has to find in it."""

import bz2
import csv
import gzip
import io
import math
import re
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.raw import Request, Tell, silent
from spfedrec_cli.data.reading.files import RawFile, unpack
from spfedrec_cli.data.reading.kinds import CATEGORY, PRICE, ids
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.scan import Scanned, Wanted, scan
from spfedrec_cli.data.reading.times import time_form

NAMES = ("t_dat", "customer_id", "article_id", "price", "note", "extra")
DAY = time_form(["2020-09-22"]).kind
KINDS = (DAY, ids(FORMS["customer"]), ids(FORMS["article"]), PRICE, CATEGORY)
WANTED = Wanted({name: (name, kind) for name, kind in zip(NAMES, KINDS, strict=False)})
GOOD = ("2020-09-22", "a" * 64, "0663713001", "0.5", "", "")


def line(**values: str) -> str:
    """A good line but for what is given."""
    return ",".join({**dict(zip(NAMES, GOOD, strict=True)), **values}.values())


def _zstd(content: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "zstd") as stream:
        stream.write(content)
    return made.getvalue().to_pybytes()  # type: ignore[no-any-return]


PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gz": gzip.compress, "bz2": bz2.compress, "zst": _zstd}


def packed(content: bytes, path: Path, packing: str) -> RawFile:
    """`content` in a file: plain, zipped, or packed as PACK says."""
    if packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("table.csv", content)
    else:
        path.write_bytes(PACK[packing](content))
    return unpack(path)


def rows_of(table: Scanned) -> list[tuple[object, ...]]:
    """In the form of `reference`."""
    columns = [table.columns[name] for name in NAMES[:5]]
    plain = [
        column.dictionary_decode().to_pylist() if isinstance(column, pa.DictionaryArray) else column.tolist()
        for column in columns
    ]
    return [tuple(None if value != value else value for value in row) for row in zip(*plain, strict=True)]


def asked(rejects: Rejects, tell: Tell = silent) -> Request:
    return Request((), 0, rejects=rejects, tell=tell)


def read(file: RawFile, skip: bool = False) -> tuple[list[tuple[object, ...]], Rejects]:
    rejects = Rejects(skip)
    return rows_of(scan(file, WANTED, asked(rejects))), rejects


def reference(content: bytes) -> tuple[list[tuple[object, ...]], list[int]]:
    """Good rows, and the lines of the bad ones. Knows no quotes that are not closed."""
    good, bad = [], []
    reader = csv.reader(
        io.StringIO(content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape"), newline="")
    )
    before = 0
    names: list[str] | None = None
    for row in reader:
        number, before = before + 1, reader.line_num
        if not "".join(row).strip(" ") and len(row) < 2:
            continue
        if names is None:
            names = row
            continue
        try:
            good.append(_typed(row))
        except ValueError:
            bad.append(number)
    return good, bad


def _typed(row: list[str]) -> tuple[object, ...]:
    day, customer, article, price, note, _ = row
    for text, pattern in ((customer, "[0-9a-f]{64}"), (article, r"[0-9]{1,10}(\.0+)?")):
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day.strip()):
        raise ValueError(day)
    note.encode()
    days = date.fromisoformat(day.strip()).toordinal() - date(1970, 1, 1).toordinal()
    return days, customer, article.partition(".")[0].zfill(10), _price(price), note


def _price(text: str) -> float | None:
    if text in ("", "nan"):
        return None
    price = float(text)
    if "_" in text or not math.isfinite(price) or not 0 <= price < 3e38:
        raise ValueError(text)
    return float(pa.scalar(price, pa.float64()).cast(pa.float32(), safe=False).as_py())
