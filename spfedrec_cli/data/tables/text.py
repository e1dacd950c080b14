"""The wanted columns of a file of delimited text, in blocks, by several threads.

A block is read at speed; only where that fails is it read again slowly, to say which line is wrong.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv

from spfedrec_cli.data.raw import Progress, Tell
from spfedrec_cli.data.tables import blocks
from spfedrec_cli.data.tables.blocks import Block
from spfedrec_cli.data.tables.files import RawFile, empty
from spfedrec_cli.data.tables.gather import Gathered, Scanned, Wanted, present, unreadable
from spfedrec_cli.data.tables.mend import Layout, mend, records
from spfedrec_cli.data.tables.rejects import Rejects

T = TypeVar("T")
R = TypeVar("R")


def scan_text(file: RawFile, wanted: Wanted, rejects: Rejects, tell: Tell) -> Scanned:
    total = file.size
    with file.open() as stream:
        pieces = blocks.cut(stream, delimiter=wanted.delimiter, quotes=wanted.quotes)
        layout, line, pieces = _open(pieces, wanted, file)
        gathered = Gathered(present(wanted, layout.names))
        with closing(_in_order(lambda block: _parse(block, layout), pieces)) as parsed:
            for block, table in parsed:
                if isinstance(table, pa.ArrowInvalid) or not gathered.take(_roles(table, wanted)):
                    _take_mended(mend(block.data, line, layout, file, rejects), gathered, layout, wanted, file)
                line += _lines(block.data, table)
                tell(Progress(f"reading {file.name}", stream.tell(), total, gathered.rows))
    return Scanned(gathered.columns(), layout.names, gathered.rows)


def text_lines(file: RawFile, wanted: Wanted, rows: Sequence[int]) -> list[int]:
    """The line at which each of `rows` (ascending, counted as `scan_text` counts those that it keeps) begins."""
    places, number = [], 0
    with file.open() as stream:
        pieces = blocks.cut(stream, delimiter=wanted.delimiter, quotes=wanted.quotes)
        layout, line, pieces = _open(pieces, wanted, file)
        sought = set(rows)
        for block in pieces:
            for record in records(block.data, layout):
                if number in sought and not record.problem:
                    places.append(line + record.line)
                number += not record.problem
            line += _count_lines(block.data)
    return places


def _open(pieces: Iterator[Block], wanted: Wanted, file: RawFile) -> tuple[Layout, int, Iterator[Block]]:
    """How the lines are laid out, the number of the first that holds values, and the blocks from there on."""
    above = 0
    for first in pieces:
        if first.data.strip(b"\r\n"):
            break
        above += _count_lines(first.data)
    else:
        raise empty(file)
    names, rest, line = (wanted.names, first, 1) if wanted.names else blocks.header(first, wanted.delimiter, file)
    kinds = dict(wanted.columns[role] for role in present(wanted, names, file))
    return (
        Layout(names, kinds, wanted.delimiter, wanted.quotes),
        above + line,
        _rewritten(chain([rest], pieces), wanted),
    )


def _rewritten(pieces: Iterable[Block], wanted: Wanted) -> Iterator[Block]:
    rewrite = wanted.rewrite or bytes
    return (block._replace(data=rewrite(block.data)) for block in pieces)


def _roles(table: Mapping[str, pa.Array], wanted: Wanted) -> dict[str, pa.Array]:
    return {role: table[name] for role, (name, _) in wanted.columns.items() if name in table}


def _parse(block: Block, layout: Layout) -> dict[str, pa.Array] | pa.ArrowInvalid:
    """The columns by name, or what pyarrow found wrong."""
    names = list(layout.columns)
    if not block.closed:
        return pa.ArrowInvalid("a quote is not closed")
    if block.data[:1] in (b"", b"\n", b"\r") and not block.data.strip(b"\r\n"):
        return {name: pa.array([], kind.arrow) for name, kind in layout.columns.items()}
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block.data),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, block_size=len(block.data) + 1, column_names=layout.names
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quotes else False,
                newlines_in_values=layout.quotes and b'"' in block.data,
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


def _take_mended(data: bytes, gathered: Gathered, layout: Layout, wanted: Wanted, file: RawFile) -> None:
    """A block without the rows that could not be read."""
    table = _parse(Block(data), layout)
    if isinstance(table, pa.ArrowInvalid):
        raise unreadable(file, str(table))
    if not gathered.take(_roles(table, wanted)):
        raise unreadable(file, "its values are in no known form")


def _lines(data: bytes, table: dict[str, pa.Array] | pa.ArrowInvalid) -> int:
    """How many lines `data` has: as many as rows, where none holds a quote. (An empty one is an error to pyarrow.)"""
    rows = 0 if isinstance(table, pa.ArrowInvalid) or b'"' in data else len(next(iter(table.values())))
    return rows or _count_lines(data)


def _count_lines(data: bytes) -> int:
    """As editors count them: LF, CR LF or CR end a line."""
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends


def _in_order(work: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[T, R], None, None]:
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
