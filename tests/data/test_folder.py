import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spfedrec_cli.data import folder
from spfedrec_cli.data.folder import check_output, replacing
from spfedrec_cli.errors import InputError, SpfedrecError


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    with replacing(output) as new:
        (new.path / "x").write_text("1")
        assert not output.exists()
    assert [path.name for path in output.iterdir()] == ["x"]
    assert [path.name for path in output.parent.iterdir()] == ["b"]


def test_an_old_folder_goes_when_the_new_one_is_there(tmp_path: Path) -> None:
    output = tmp_path / "b"
    output.mkdir()
    (output / "old").touch()
    with replacing(output) as new:
        (new.path / "new").touch()
        assert (output / "old").exists()
    assert [path.name for path in output.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def write_and_raise(output: Path, failure: type[BaseException]) -> None:
    with replacing(output) as new:
        (new.path / "x").touch()
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


def test_files_of_ones_own_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "articles.csv").touch()
    check_output(tmp_path, ("articles.csv", "customers.csv"))
    (tmp_path / "dataset.json").touch()
    with pytest.raises(InputError, match=r"something other than its files: dataset.json"):
        check_output(tmp_path, ("articles.csv", "customers.csv"))


def test_a_second_process_is_refused_and_the_first_undisturbed(tmp_path: Path) -> None:
    output = tmp_path / "b"
    with replacing(output) as new:
        (new.path / "x").touch()
        with (
            pytest.raises(InputError, match=r"Process \d+ .* is writing there \(.*b\); wait until it"),
            replacing(output),
        ):
            pass
    assert [path.name for path in output.iterdir()] == ["x"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def no_exchange(one: Path, two: Path) -> bool:
    return False


@pytest.mark.parametrize("exchange", [folder._exchange, no_exchange], ids=["exchange", "rename"])
def test_what_was_there_is_replaced_and_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: Callable[[Path, Path], bool]
) -> None:
    monkeypatch.setattr(folder, "_exchange", exchange)
    output = tmp_path / "b"
    for name in ("one", "two"):
        with replacing(output) as new:
            (new.path / name).touch()
    assert [path.name for path in output.iterdir()] == ["two"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_linux_exchanges_in_one_step(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("renameat2 is a call of Linux")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert folder._exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "b").exists()
    assert (tmp_path / "b" / "a").exists()
    assert not folder._exchange(tmp_path / "a", tmp_path / "nowhere")


def test_what_a_killed_process_left_is_tidied_and_the_old_folder_comes_back(tmp_path: Path) -> None:
    output = tmp_path / "b"
    for ending, name in (("new", "half"), ("old", "whole")):
        (tmp_path / f".b.{ending}").mkdir()
        (tmp_path / f".b.{ending}" / name).touch()
    with pytest.raises(RuntimeError):
        write_and_raise(output, RuntimeError)
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "whole"]


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    message = r"disk is full: about 9,000,000,000,000 MB are needed, and [\d,]+ MB are free"
    with pytest.raises(SpfedrecError, match=message), replacing(tmp_path / "b") as new:
        new.need(9 * 10**18)
    assert list(tmp_path.iterdir()) == []


def write_until_the_disk_is_full(output: Path) -> None:
    with replacing(output) as new:
        new.need(5_000_000)
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_says_how_much_room_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SpfedrecError, match=r"disk is full: about 5 MB are needed.*make room") as caught:
        write_until_the_disk_is_full(tmp_path / "b")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


FILL = """
import signal, sys, time
from pathlib import Path
from spfedrec_cli.data.folder import replacing
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
with replacing(Path(sys.argv[1])) as new:
    (new.path / "new").touch()
    print("filling", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_process_leaves_the_old_folder_and_no_lock(tmp_path: Path, how: signal.Signals) -> None:
    output = tmp_path / "b"
    with replacing(output) as new:
        (new.path / "old").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", FILL, str(output)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(how)
    process.wait(10)
    process.stdout.close()
    assert [path.name for path in output.iterdir()] == ["old"]
    with replacing(output) as new:
        (new.path / "newer").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["b", "newer"]
