from pathlib import Path

import pytest

from spfedrec_cli.data.folder import check_output, replacing
from spfedrec_cli.errors import InputError, SpfedrecError


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    with replacing(output) as folder:
        (folder / "x").write_text("1")
        assert not output.exists()
    assert [path.name for path in output.iterdir()] == ["x"]
    assert [path.name for path in output.parent.iterdir()] == ["b"]


def test_an_old_folder_goes_when_the_new_one_is_there(tmp_path: Path) -> None:
    output = tmp_path / "b"
    output.mkdir()
    (output / "old").touch()
    with replacing(output) as folder:
        (folder / "new").touch()
        assert (output / "old").exists()
    assert [path.name for path in output.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def write_and_raise(output: Path, failure: type[BaseException]) -> None:
    with replacing(output) as folder:
        (folder / "x").touch()
        raise failure


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_failure_and_interrupt_leave_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure):
        write_and_raise(tmp_path / "a" / "b" / "c", failure)
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "b"
    output.mkdir()
    (output / "old").touch()
    with pytest.raises(KeyboardInterrupt), replacing(output):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "old"]


def test_a_disk_that_refuses_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpfedrecError, match="The Dataset cannot be written") as caught, replacing(tmp_path / "file/b"):
        pass
    assert caught.value.exit_code == 1


def test_only_nothing_an_empty_folder_or_a_dataset_may_be_replaced(tmp_path: Path) -> None:
    output = tmp_path / "b"
    check_output(output)
    output.mkdir()
    check_output(output)
    (output / "dataset.json").touch()
    (output / "train.parquet").touch()
    check_output(output)
    (output / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"something other than a Dataset: thesis.tex"):
        check_output(output)
    with pytest.raises(InputError, match="not a folder"):
        check_output(output / "dataset.json")


def test_a_folder_without_a_manifest_is_not_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").touch()
    with pytest.raises(InputError, match="something other than a Dataset"):
        check_output(tmp_path)
