import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spfedrec_cli.data.tables import blocks
from spfedrec_cli.data.tables.blocks import Block, cut, header
from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> RawFile:
    return RawFile(tmp_path / "table.csv")


def pieces(file: RawFile, content: bytes, size: int, quotes: bool = True) -> list[Block]:
    file.path.write_bytes(content)
    with file.open() as stream:
        return list(cut(stream, size, ",", quotes))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(text=st.text(st.sampled_from('a",\n'), min_size=1, max_size=40), size=st.integers(1, 30))
def test_records_are_never_cut(file: RawFile, text: str, size: int) -> None:
    """Rows of all blocks, each read for itself, are the rows of the whole."""
    found = pieces(file, text.encode(), size)
    assert b"".join(block.data for block in found) == text.encode()
    whole = list(csv.reader(io.StringIO(text, newline="")))
    rows = [row for block in found for row in csv.reader(io.StringIO(block.data.decode(), newline=""))]
    assert rows == whole
    assert all(block.data.endswith(b"\n") for block in found[:-1])


@pytest.mark.parametrize(
    "text, closed",
    [('a,"b"\n', True), ('a,"b', False), ('a,b"', True), ('"a""', False), ('"a"""', True), ('x"y,"z', False)],
)
def test_whether_the_last_quote_is_closed(file: RawFile, text: str, closed: bool) -> None:
    assert pieces(file, text.encode(), 100)[-1].closed == closed
    assert pieces(file, text.encode(), 100, quotes=False)[-1].closed


def test_without_quotes_every_line_end_counts(file: RawFile) -> None:
    assert [block.data for block in pieces(file, b'a"\nb\nc"\n', 3, quotes=False)] == [b'a"\n', b"b\n", b'c"\n']


def test_many_lines_behind_an_open_quote_take_no_longer(file: RawFile) -> None:
    """Looking back through them one by one from the start of the block took minutes."""
    content = b'"' + b"a,b\n" * 500_000
    assert [block.closed for block in pieces(file, content, 1 << 23)] == [False]
    assert len(pieces(file, b'x"y\n' + content[1:], 1 << 20)) == 2


def test_a_line_without_end(file: RawFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LONGEST_RECORD", 1 << 20)
    with pytest.raises(InputError, match="A line is longer than 1 MiB"):
        pieces(file, b"\0" * (1 << 22), 1 << 18)


def test_headers(file: RawFile) -> None:
    assert header(Block(b'\n\na,"b\nc"\r\nrest\n'), ",", file) == (("a", "b\nc"), Block(b"rest\n"), 5)
    assert header(Block(b"a;b"), ";", file) == (("a", "b"), Block(b""), 2)
