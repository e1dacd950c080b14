import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli.data.tables.files import RawFile, find, is_archive, members, need, refusals, unpack
from spfedrec_cli.errors import InputError

Zip = Callable[..., Path]


@pytest.fixture
def archive(tmp_path: Path) -> Zip:
    def write(*names: str, at: str = "all.zip") -> Path:
        with zipfile.ZipFile(tmp_path / at, "w", zipfile.ZIP_DEFLATED) as made:
            for name in names:
                made.writestr(name, name * 100)
        return tmp_path / at

    return write


def content(file: RawFile) -> bytes:
    with file.open() as stream:
        return stream.read(-1)


def test_a_file_in_every_packing(tmp_path: Path, archive: Zip) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"b"))
    (tmp_path / "c.parquet").write_bytes(b"PAR1c")
    archive("d.csv", at="d.csv.zip")
    found = {stem: find(tmp_path, f"{stem}.csv") for stem in "abcde"}
    assert found["e"] is None
    assert {stem: content(file)[:4] for stem, file in found.items() if file} == {
        "a": b"a", "b": b"b", "c": b"PAR1", "d": b"d.cs"
    }  # fmt: skip
    assert [file.name for file in found.values() if file] == ["a.csv", "b.csv", "c.parquet", "d.csv"]
    assert [file.is_parquet for file in found.values() if file] == [False, False, True, False]
    assert str(found["d"]) == f"{tmp_path}/d.csv.zip/d.csv"


def test_in_an_archive_folders_do_not_matter(archive: Zip) -> None:
    path = archive("x/deep/a.csv", "x/a.csv", "x/b.csv", "__MACOSX/x/._a.csv", "x/")
    assert find(path, "a.csv") == RawFile(path, "x/a.csv")
    assert need(path, "a.csv").sibling("b.csv") == RawFile(path, "x/b.csv")
    assert find(path, "c.csv") is None
    assert len(members(path)) == 3


def test_what_the_archive_lacks_may_lie_beside_it(archive: Zip, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("b")
    file = unpack(archive("a.csv"))
    assert file.sibling("b.csv") == RawFile(tmp_path / "b.csv")
    assert file.sibling("c.csv") is None


def test_only_members_of_macos_beside_one(archive: Zip) -> None:
    path = archive("a.csv", "__MACOSX/._a.csv")
    assert unpack(path) == RawFile(path, "a.csv")
    with pytest.raises(InputError, match=r"The archive holds 2 files instead of one \(.*all.zip\); unpack it"):
        unpack(archive("a.csv", "b.csv"))


def test_needed_and_missing(tmp_path: Path, archive: Zip) -> None:
    with pytest.raises(InputError, match=r"The archive holds neither a.csv nor a.csv.gz, a.csv.zip or a.parquet"):
        need(archive("b.csv"), "a.csv")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"The input is not a folder \(.*file\); name the folder that holds a.csv"):
        need(tmp_path / "file", "a.csv")
    with pytest.raises(InputError, match=r"The file does not exist"):
        content(RawFile(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"The file cannot be read \(.*\); Is a directory"):
        content(RawFile(tmp_path))


@pytest.mark.parametrize("cut", [3, 60, -30])
def test_archives_cut_short(archive: Zip, cut: int) -> None:
    path = archive("a.csv", "b.csv")
    path.write_bytes(path.read_bytes()[:cut])
    if cut == 3:
        assert not is_archive(path)
    else:
        with pytest.raises(InputError, match=r"cut short or damaged \(.*all.zip\); copy or download it again"):
            find(path, "a.csv")


def test_a_damaged_member(archive: Zip) -> None:
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[40] ^= 255
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"cut short or damaged \(.*all.zip/a.csv\)"):
        content(unpack(path))


def test_an_encrypted_archive(archive: Zip) -> None:
    path = archive("a.csv")
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"The archive is encrypted \(.*\); unpack it"):
        content(unpack(path))


def test_too_little_memory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="asks for more memory than there is"), refusals(RawFile(tmp_path)):
        raise MemoryError
