import csv
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tabular import GOOD, NAMES, WANTED, asked, line, packed, read, reference

from spfedrec_cli.data.parallel import in_order
from spfedrec_cli.data.raw import Progress
from spfedrec_cli.data.reading import text as module
from spfedrec_cli.data.reading.batches import Tall
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import CATEGORY
from spfedrec_cli.data.reading.layout import Shape
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.data.reading.scan import Wanted, scan
from spfedrec_cli.errors import InputError

HEADER = ",".join(NAMES)
Write = Callable[..., RawFile]

DAYS = st.sampled_from(["2020-09-22", "1969-12-31", "2020-02-29"])
CUSTOMERS = st.sampled_from([letter * 64 for letter in "abc"])
ARTICLES = st.sampled_from(["0663713001", "663713001", "1", "663713001.0", "0000000000"])
PRICES = st.sampled_from(["", "0.05", "0", "1e-3", " 7 ", "+5", ".5", "1."])
FREE = st.text(st.sampled_from('ab,"\n\r\0 é;'), max_size=6)
GOOD_ROW = st.tuples(DAYS, CUSTOMERS, ARTICLES, PRICES, FREE, FREE)
BAD = {
    0: ("2020-02-30", "20200922", "", "0000-01-01", "2020-9-2", "soon"),
    1: ("a" * 63, "A" * 64, "", "a" * 63 + "\n"),
    2: ("x", "12345678901", "-1", "1e5", "", "663713001.5", "٣"),
    3: ("-1", "dear", "nan", "inf", "1e60", "1_0", "1,5", "--"),
}
BAD_VALUE = st.sampled_from([(place, value) for place, values in BAD.items() for value in values])


@st.composite
def any_row(draw: st.DrawFn) -> list[str]:
    row = list(draw(GOOD_ROW))
    if draw(st.integers(0, 5)) == 0:
        place, value = draw(BAD_VALUE)
        row[place] = value
    if draw(st.integers(0, 15)) == 0:
        row = draw(st.sampled_from([row[:-1], [*row, "more"]]))
    return row


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A file with the header and some lines, or with exactly these bytes."""

    def made(*lines: str | bytes, packing: str = "", header: str | bytes = HEADER) -> RawFile:
        content = b"\n".join(one if isinstance(one, bytes) else one.encode() for one in (header, *lines)) + b"\n"
        return packed(content, tmp_path / "table", packing)

    return made


def written(rows: list[list[str]], end: str, quoting: int, last: bool, bom: bool, blank: set[int]) -> bytes:
    """CSV with empty lines before the rows `blank`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    for place, row in enumerate([list(NAMES), *rows]):
        text.write(end * (place in blank))
        writer.writerow(row)
    content = text.getvalue() if last else text.getvalue().removesuffix(end)
    return b"\xef\xbb\xbf" * bom + content.encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    rows=st.lists(any_row(), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    last=st.booleans(),
    bom=st.booleans(),
    blank=st.sets(st.integers(0, 12), max_size=3),
    size=st.integers(3, 400),
    packing=st.sampled_from(["", "gz", "bz2", "zst", "zip"]),
)
def test_any_table_is_read_as_ten_lines_of_python_read_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[list[str]],
    end: str,
    quoting: int,
    last: bool,
    bom: bool,
    blank: set[int],
    size: int,
    packing: str,
) -> None:
    content = written(rows, end, quoting, last, bom, blank)
    good, bad = reference(content)
    file = packed(content, tmp_path / "table", packing)
    monkeypatch.setattr(module, "BLOCK", size)
    found, rejects = read(file, skip=True)
    assert found == good
    assert [one.line for one in rejects.listed] == bad
    if bad:
        with pytest.raises(InputError, match=rf"line {bad[0]}\)"):
            read(file)
    else:
        assert read(file)[0] == good


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(notes=st.lists(st.text(st.sampled_from('ab" '), max_size=5), max_size=30), size=st.integers(3, 200))
def test_a_quote_within_a_value_is_a_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: list[str], size: int
) -> None:
    content = "\n".join([HEADER, *(line(note=f"x{note}", extra='"two\nlines, ""so""\n"') for note in notes)]).encode()
    monkeypatch.setattr(module, "BLOCK", size)
    found = read(packed(content, tmp_path / "table", ""))[0]
    assert [row[4] for row in found] == [f"x{note}" for note in notes]


MISTAKES = [
    ({"t_dat": value}, r"The t_dat '.*' is not a date like 2020-09-22") for value in BAD[0]
] + [
    ({"customer_id": value}, r"The customer_id '.*' is not 64 hexadecimal digits") for value in BAD[1][:3]
] + [
    ({"article_id": value}, r"The article_id '.*' is not 10 digits") for value in BAD[2]
] + [
    ({"price": value}, r"The price '.*' is not a price") for value in ("-1", "dear", "inf", "1e60", "1_0")
] + [
    ({"extra": "one,two"}, "The line has 7 columns where the first has 6"),
    ({"extra": '"open'}, "The line opens a quote that is not closed"),
    ({"customer_id": "\0" * 64}, "is not 64 hexadecimal digits"),
]  # fmt: skip


@pytest.mark.parametrize("values, message", MISTAKES)
@pytest.mark.parametrize("before", [0, 25], ids=["first", "third block"])
def test_a_mistake_is_told_with_its_line(
    write: Write, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str, before: int
) -> None:
    monkeypatch.setattr(module, "BLOCK", 300)
    head = [line()] * before
    with pytest.raises(InputError, match=rf"{message} \(.*table, line {before + 2}\)"):
        read(write(*head, line(**values), line(), line(t_dat="later")))
    with pytest.raises(InputError, match=rf"{message} \(.*table, line {before + 2}\)"):
        read(write(*head, line(**values)))


def test_lines_are_counted_through_empty_ones_and_values_of_several_lines(write: Write) -> None:
    odd = line(extra='"one\n\ntwo"')
    with pytest.raises(InputError, match=r"line 7\)"):
        read(write("", odd, "", odd.replace("one", "1")[:10], line()))
    file = write(odd, "", "\r", line(t_dat="x"), odd, line(price="y"))
    assert [one.line for one in read(file, skip=True)[1].listed] == [7, 11]


def test_the_header_may_come_late_and_in_several_lines(write: Write) -> None:
    file = write(line(), line(t_dat="x"), header='\n\nt_dat,customer_id,article_id,price,note,"ex\ntra"')
    found, rejects = read(file, skip=True)
    assert (len(found), rejects.listed[0].line) == (1, 6)


def test_bytes_that_are_not_text(write: Write) -> None:
    """In a column that nobody wants they do no harm, whatever else is wrong."""
    latin = line(extra="é").encode("latin-1")
    assert len(read(write(latin))[0]) == 1
    found, rejects = read(write(latin, line(price="x"), line(note="é").encode("latin-1")), skip=True)
    assert (len(found), [one.line for one in rejects.listed]) == (1, [3, 4])
    assert [one.problem[:9] for one in rejects.listed] == ["The price", "The note "]
    with pytest.raises(
        InputError, match=r"The file is not text of that encoding .*; say which encoding it has with --encoding"
    ):
        read(write(header=HEADER.encode("utf-16")))
    with pytest.raises(InputError, match=r"The note is not UTF-8 text \(.*line 2\)"):
        read(write(line(note="é").encode("latin-1")))


def test_lines_of_blanks_are_empty(write: Write) -> None:
    found, rejects = read(write("   ", line(), "  \r", line(price="x"), " "), skip=True)
    assert (len(found), [one.line for one in rejects.listed]) == (1, [5])


@pytest.mark.parametrize("end", [",", ",7"])
def test_where_all_rows_are_longer_than_the_header_none_is_to_be_left_out(write: Write, end: str) -> None:
    """As R writes the names of rows; or with a comma at the end of each."""
    with pytest.raises(
        InputError,
        match=r"has 7 columns where the first has 6 .*line 2\); write a first line with a name for each column, and",
    ):
        read(write(line() + end, line() + end))
    for lines in ((line(), line() + end), (line(price="x" + end), line() + end + end)):
        with pytest.raises(InputError, match=r"line [23]\); mend or remove that line"):
            read(write(*lines))


@pytest.mark.parametrize("note", ['"5\\", 6"', '"\\""'])
def test_quotes_behind_backslashes_are_to_be_written_twice(write: Write, note: str) -> None:
    with pytest.raises(InputError, match=r'line 3\); write a quote within a value as "", not as \\", or leave bad'):
        read(write(line(), line(note=note), line()))
    with pytest.raises(InputError, match=r'line 2\); write a quote within a value as "", not as \\"\.$'):
        read(write(line(note=note), line(note=note)))


@pytest.mark.parametrize("note", ['"the \\"best\\" mug"', '"the 7\\" mug"', '"\\"best\\" mug"'])
def test_quotes_behind_backslashes_are_told_where_they_spoil_a_value_alone(write: Write, note: str) -> None:
    """As Spark writes them. One behind a backslash in a value without quotes, or as it should be, is no such thing."""
    found = scan(write(line(), line(note=note), line(note="x")), WANTED, asked(Rejects()))
    said = r"""note has values such as '.*"': where \\" was to be a quote, write it as ""$"""
    assert re.match(said, found.notes[0])
    for good in (r"7\" mug", r'"C:\mugs"', '"the ""best"" mug"'):
        assert scan(write(line(note=good)), WANTED, asked(Rejects())).notes == []


def test_a_quote_that_is_not_closed_spoils_one_line(write: Write) -> None:
    """pyarrow alone would take the rest of the file for the last value of that line."""
    for place in ("note", "extra"):
        file = write(line(), line(**{place: '"5 inch'}), line(), line())
        found, rejects = read(file, skip=True)
        assert (len(found), [one.line for one in rejects.listed]) == (3, [3])


@pytest.mark.parametrize("sign, other", [(",", '7" pipe'), (",", '"7" pipe'), ("\t", 'pipe of 7"'), ("\t", '7" pipe')])
def test_a_quote_that_a_later_line_seems_to_close_is_not_closed(write: Write, sign: str, other: str) -> None:
    """The lines between would be lost in a value, and not missed: the row has as many columns as others."""
    lines = [line(note=note, extra="x").replace(",", sign) for note in ("", '"Best mug', other, "")]
    found, rejects = read(write(*lines, header=HEADER.replace(",", sign)), skip=True)
    problems = [(one.line, one.problem) for one in rejects.listed]
    assert (len(found), problems) == (3, [(3, "The line opens a quote that is not closed")])


def test_a_value_of_several_lines_may_read_like_rows(write: Write) -> None:
    assert len(read(write(line(extra='"1,2,3,4,5\n1,2,3,4,5,6\n1,2,3,4,5,""6"""')))[0]) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [70, 1 << 20])
def test_rows_of_several_lines_are_told(write: Write, monkeypatch: pytest.MonkeyPatch, end: str, size: int) -> None:
    """Two quotes that are not closed close each other: the rows between are one value."""
    monkeypatch.setattr(module, "BLOCK", size)
    swallowed = [line(extra='"Best mug'), line(), line(extra='mug of 7"')]
    rows = [line(), "", line(extra='"so,\n""so"""'), line(), *swallowed, line(extra='"one line"'), line()]
    file = write("\n".join([HEADER, *rows, ""]).replace("\n", end), header="")
    found = scan(file, WANTED, asked(Rejects()))
    note = f"2 rows go over several lines, the longest from line 8 to 10 of {file.name}"
    assert (found.rows, found.notes) == (6, [note])
    assert Tall(1, 3, 8, "x.csv").told() == ["1 row goes over several lines, from line 8 to 10 of x.csv"]


def test_a_header_that_comes_again_is_no_row(write: Write) -> None:
    """As where files were joined end to end. A value may be called like its column."""
    file = write(line(), line(note="note"), HEADER, line())
    wanted = Wanted({"note": ("note", CATEGORY), "extra": ("extra", CATEGORY)})
    found = scan(file, wanted, asked(Rejects()))
    assert (found.rows, found.notes) == (3, [f"1 row of {file.name} left out: the header once more"])


def test_a_quote_that_is_not_closed_in_a_large_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 500)
    monkeypatch.setattr(module, "LONGEST", 1000)
    rows = [line()] * 50
    rows[7] = line(extra='"')
    found, rejects = read(write(*rows), skip=True)
    assert (len(found), [one.line for one in rejects.listed]) == (49, [9])
    with pytest.raises(InputError, match="A line is longer than"):
        read(write("x" * 5000))


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was read row by row, of blocks of a dozen rows."""
    rows, values = list[object](), module._values
    monkeypatch.setattr(module, "_values", lambda *row: rows.append(row) or values(*row))
    monkeypatch.setattr(module, "BLOCK", 1000)
    monkeypatch.setattr(module, "LONGEST", 3000)
    return rows


@pytest.mark.parametrize("blank", ["", " ", "\r"])
def test_blank_lines_are_counted_as_fast_as_others(write: Write, slowly: list[object], blank: str) -> None:
    rows = [*[line(), blank] * 40, *[blank] * 9000, line(price="x")]
    found, rejects = read(write(*rows), skip=True)
    assert (len(found), [one.line for one in rejects.listed], slowly) == (40, [9082], [])


def test_behind_an_open_quote_rows_are_read_as_fast_as_before(write: Write, slowly: list[object]) -> None:
    found, rejects = read(write(line(extra='"'), *[line()] * 99, line(price="x")), skip=True)
    assert (len(found), [one.line for one in rejects.listed], slowly) == (99, [2, 102], [])


def test_lines_that_end_as_on_an_old_mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "\r".join([HEADER, line(), line(price="x"), line()]).encode()
    monkeypatch.setattr(module, "BLOCK", 300)
    found, rejects = read(packed(content, tmp_path / "table", ""), skip=True)
    assert (len(found), rejects.listed[0].line) == (2, 3)


def test_a_long_value_is_no_mistake(write: Write) -> None:
    found, rejects = read(write(line(note="x" * 300_000), line(price="-"), line(extra="y" * 300_000)), skip=True)
    assert [len(str(row[4])) for row in found] == [300_000, 0]
    assert rejects.count == 1


@pytest.mark.parametrize("quote", ["", '"'])
def test_distinct_texts_are_those_of_the_rows_alone(write: Write, quote: str) -> None:
    """Nothing that was put behind them to find open quotes."""
    file = write("b,1", f"{quote}a{quote},2", "b,3", header="x,y")
    wanted = Wanted({"x": ("x", CATEGORY), "y": ("y", CATEGORY)})
    table = scan(file, wanted, asked(Rejects()))
    assert table.texts("x").dictionary.to_pylist() == ["b", "a"]
    assert table.texts("y").dictionary.to_pylist() == ["1", "2", "3"]


def test_a_header_alone_has_no_rows(write: Write) -> None:
    assert read(write())[0] == []
    assert read(write("", "\r"))[0] == []
    assert read(write(line(price="x")), skip=True)[0] == []


def test_an_empty_file(tmp_path: Path) -> None:
    for content, packing in ((b"", ""), (b"", "gz"), (b"", "zip"), (b"\xef\xbb\xbf", ""), (b"\n\r\n", "")):
        with pytest.raises(InputError, match="The file is empty"):
            read(packed(content, tmp_path / "table", packing))


def test_columns_that_are_missing_or_come_twice(write: Write) -> None:
    with pytest.raises(InputError, match=r"The column price is missing \(.*table, line 1\); its columns are t_dat"):
        read(write(header="t_dat,customer_id,article_id,note,extra"))
    with pytest.raises(InputError, match=r"The column price occurs twice \(.*table, line 1\)"):
        read(write(header=HEADER.replace("extra", "price")))
    assert len(read(write(line() + ",,", header=HEADER + ",,"))[0]) == 1
    with pytest.raises(InputError, match="The column t_dat is missing"):
        read(write(header="x" * 200_000))


def test_a_file_without_a_header(write: Write) -> None:
    file = write('"b"\t2', header="a\t1")
    wanted = Wanted({"x": ("x", CATEGORY)}, shape=Shape(("x", "y"), delimiter="\t", quotes=False))
    assert scan(file, wanted, asked(Rejects())).texts("x").to_pylist() == ["a", '"b"']
    with pytest.raises(InputError, match=r"has 1 columns where the first has 2 \(.*line 3\)"):
        scan(write('"b"\t2', "c", header="a\t1"), wanted, asked(Rejects()))


def test_progress_ends_at_the_whole(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 300)
    for packing in ("", "gz", "bz2", "zst", "zip"):
        told: list[Progress] = []
        file = write(*[line()] * 20, packing=packing)
        scan(file, WANTED, asked(Rejects(), told.append))
        assert [one.done for one in told] == sorted(one.done for one in told)
        assert (told[-1].done, told[-1].rows) == (told[-1].total, 20)
        assert told[-1].total == file.size


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whatever_ends_a_scan_no_thread_stays(
    write: Write, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    monkeypatch.setattr(module, "BLOCK", 300)
    before = threading.active_count()

    def tell(progress: Progress) -> None:
        raise error

    with pytest.raises(error) as caught:
        scan(write(*[line()] * 50), WANTED, asked(Rejects(), tell))
    assert caught.traceback  # Which keeps the frames, and with them what they hold.
    assert threading.active_count() == before


def test_work_is_done_in_order_and_not_far_ahead() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(200):
            begun.append(number)
            yield number

    def work(number: int) -> int:
        time.sleep(0.001 * (number % 3))
        return -number

    for place, result in enumerate(in_order(work, items())):
        assert result == -place
        assert len(begun) - place < 200 // 2


def test_good_is_good() -> None:
    assert reference((HEADER + "\n" + line() + "\n").encode())[0][0][1] == GOOD[1]
