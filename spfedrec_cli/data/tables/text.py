"""The wanted columns of a file of delimited text, in blocks, by several threads.

A block is read at speed; only where that fails is it read again slowly, to say which line is wrong.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv

from spfedrec_cli.data.raw import Progress, Tell
from spfedrec_cli.data.tables import blocks
from spfedrec_cli.data.tables.files import RawFile, empty
from spfedrec_cli.data.tables.gather import Gathered, Scanned, Wanted, present, unreadable
from spfedrec_cli.data.tables.mend import Layout, mend
from spfedrec_cli.data.tables.rejects import Rejects

T = TypeVar("T")
R = TypeVar("R")


def scan_text(file: RawFile, wanted: Wanted, rejects: Rejects, tell: Tell) -> Scanned:
    total = file.size
    with file.open() as stream:
        pieces = blocks.cut(stream, quotes=wanted.quotes)
        layout, line, pieces = _open(pieces, wanted, file)
        gathered = Gathered(present(wanted, layout.names))
        for block, table in _in_order(lambda block: _parse(block, layout), pieces):
            if isinstance(table, pa.ArrowInvalid) or not gathered.take(_roles(table, wanted)):
                _take_mended(mend(block, line, layout, file, rejects), gathered, layout, wanted, file)
            line += _lines(block, table)
            tell(Progress(f"reading {file.name}", stream.tell(), total, gathered.rows))
    return Scanned(gathered.columns(), layout.names, gathered.rows)


def _open(pieces: Iterator[bytes], wanted: Wanted, file: RawFile) -> tuple[Layout, int, Iterator[bytes]]:
    """How the lines are laid out, the number of the first that holds values, and the blocks from there on."""
    first = next(pieces, None)
    if first is None:
        raise empty(file)
    names, rest = (wanted.names, first) if wanted.names else blocks.header(first, wanted.delimiter, file)
    kinds = dict(wanted.columns[role] for role in present(wanted, names, file))
    every = map(wanted.rewrite or bytes, chain([rest], pieces))
    return Layout(names, kinds, wanted.delimiter, wanted.quotes), 1 if wanted.names else 2, every


def _roles(table: Mapping[str, pa.Array], wanted: Wanted) -> dict[str, pa.Array]:
    return {role: table[name] for role, (name, _) in wanted.columns.items() if name in table}


def _parse(block: bytes, layout: Layout) -> dict[str, pa.Array] | pa.ArrowInvalid:
    """The columns by name, or what pyarrow found wrong."""
    names = list(layout.columns)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(block) + 1, column_names=layout.names
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quotes else False,
                newlines_in_values=layout.quotes and b'"' in block,
                ignore_empty_lines=False,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=names,
                column_types={name: kind.arrow for name, kind in layout.columns.items()},
                strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        return error
    return {name: _whole(table.column(name)) for name in names}


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type) and column.num_chunks > 1:
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _take_mended(block: bytes, gathered: Gathered, layout: Layout, wanted: Wanted, file: RawFile) -> None:
    """A block without the rows that could not be read."""
    table = _parse(block, layout)
    if isinstance(table, pa.ArrowInvalid):
        raise unreadable(file, str(table))
    if not gathered.take(_roles(table, wanted)):
        raise unreadable(file, "its values are in no known form")


def _lines(block: bytes, table: dict[str, pa.Array] | pa.ArrowInvalid) -> int:
    """How many lines `block` has: as many as rows, where none holds a quote. (Empty ones are bad, and take the detour.)"""
    if isinstance(table, pa.ArrowInvalid) or b'"' in block:
        return block.count(b"\n")
    return len(next(iter(table.values())))


def _in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Each item with what `work` makes of it. A thread for each core works ahead, by at most as many items and one."""
    workers = os.cpu_count() or 1
    waiting: deque[tuple[T, Future[R]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > workers + 1:
                item, future = waiting.popleft()
                yield item, future.result()
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
