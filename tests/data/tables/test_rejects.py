from pathlib import Path

import pytest

from spfedrec_cli.data.tables import rejects as module
from spfedrec_cli.data.tables.files import RawFile
from spfedrec_cli.data.tables.rejects import Rejects
from spfedrec_cli.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> RawFile:
    (tmp_path / "table.csv").write_text("x\n")
    return RawFile(tmp_path / "table.csv")


def test_the_first_is_an_error(file: RawFile) -> None:
    with pytest.raises(InputError, match=r"It is wrong \(.*table.csv, line 7\); mend or remove that line, or leave"):
        Rejects().add(file, 7, "It is wrong", "text")


def test_skipped_ones_are_counted_and_listed(file: RawFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LISTED", 2)
    rejects = Rejects(skip=True)
    for line in range(3):
        rejects.add(file, line, "wrong", "x" * 500)
    assert rejects.count == 3
    table = rejects.to_table()
    assert table.column("line").to_pylist() == [0, 1]
    assert table.column("file").to_pylist() == ["table.csv"] * 2
    assert len(table.column("text")[0].as_py()) == 200


def test_in_a_parquet_file_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"t, row 1\); mend or remove that row"):
        Rejects().add(RawFile(tmp_path / "t"), 1, "Wrong", "")
