import csv

import pytest

from spfedrec_cli.data.tables.kinds import CATEGORY, QUANTITY
from spfedrec_cli.data.tables.mend import Layout, records

LAYOUT = Layout(("n", "text"), {"n": QUANTITY, "text": CATEGORY})


def told(text: str, layout: Layout = LAYOUT) -> list[tuple[int, str | None]]:
    return [(record.line, record.problem) for record in records(text.encode(), layout)]


def test_every_record_is_told_with_its_first_line() -> None:
    assert told('1,a\n\n2,"b\nc"\nx,d\n3\n') == [
        (0, None),
        (2, None),
        (4, "The n 'x' is not a quantity from 1 to 2147483647"),
        (5, "The line has 1 columns where the first has 2"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(end: str) -> None:
    assert told(end.join(["1,a", "", "x,b", ""]))[1][0] == 2


def test_an_open_quote_is_told_and_the_next_line_read() -> None:
    assert told('1,a\n2,"b\n3,c\n') == [(0, None), (1, "The line opens a quote that is not closed"), (2, None)]


def test_without_quotes_they_are_letters() -> None:
    assert told('1,"a\n2,b"\n', Layout(LAYOUT.names, LAYOUT.columns, quotes=False)) == [(0, None), (1, None)]


def test_the_limit_of_csv_is_put_back() -> None:
    before = csv.field_size_limit()
    assert told(f"1,{'x' * 200_000}") == [(0, None)]
    assert csv.field_size_limit() == before
