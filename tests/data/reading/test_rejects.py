from pathlib import Path

import pytest

from spfedrec_cli.data.reading import rejects as module
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.rejects import Rejects
from spfedrec_cli.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> RawFile:
    (tmp_path / "table.csv").write_text("x\n")
    return RawFile(tmp_path / "table.csv")


def sentence(rejects: Rejects, *what: object) -> str:
    with pytest.raises(InputError) as caught:
        rejects.add(*what)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_first_is_an_error(file: RawFile) -> None:
    assert sentence(Rejects(), file, "line", 7, "It is wrong", "text") == (
        f"It is wrong ({file}, line 7); mend or remove that line, or leave bad rows out with --skip-bad-rows."
    )


def test_where_skipping_is_not_offered_it_is_not_named(file: RawFile) -> None:
    told = sentence(Rejects(offered=False), file, "row", 7, "It is wrong", "text")
    assert told == f"It is wrong ({file}, row 7); mend or remove that row."


def test_advice_takes_the_place_of_leaving_rows_out(file: RawFile) -> None:
    told = sentence(Rejects(), file, "line", 7, "It is wrong", "text", lambda: "do this")
    assert told == f"It is wrong ({file}, line 7); do this."
    told = sentence(Rejects(), file, "line", 7, "It is wrong", "text", lambda: None)
    assert told.endswith("--skip-bad-rows.")


def test_skipped_ones_are_counted_and_listed(file: RawFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    rejects = Rejects(skip=True)
    for line in range(3):
        rejects.add(file, "line", line, "wrong", "x" * 500)
    assert rejects.count == 3
    table = rejects.to_table()
    assert table.column("line").to_pylist() == [0, 1]
    assert table.column("file").to_pylist() == ["table.csv"] * 2
    assert table.column("problem").to_pylist() == ["wrong"] * 2
    assert len(table.column("text")[0].as_py()) == 200


def test_where_rows_are_skipped_nobody_asks_for_advice(file: RawFile) -> None:
    """It takes reading the file again."""

    def advice() -> str:
        raise AssertionError

    rejects = Rejects(skip=True)
    rejects.add(file, "line", 1, "wrong", "", advice)
    assert rejects.count == 1


def test_bytes_that_are_no_text_can_be_listed(file: RawFile) -> None:
    rejects = Rejects(skip=True)
    rejects.add(file, "line", 1, "wrong", b"caf\xe9".decode("utf-8", "surrogateescape"))
    assert rejects.to_table().column("text").to_pylist() == ["caf\N{REPLACEMENT CHARACTER}"]
