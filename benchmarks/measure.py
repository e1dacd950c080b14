"""Whole commands in processes of their own: seconds and peak memory."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """Of one process: wall-clock seconds, seconds of all cores, and the largest resident set in bytes."""

    seconds: float
    cpu: float
    peak: int


def run(*words: str) -> Cost:
    """Runs a command to its end, its modules compiled where they were before. Raises CalledProcessError with what it
    said where it fails."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=kept)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words, stderr=said)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def python(code: str, *arguments: str) -> Cost:
    return run(sys.executable, "-c", code, *arguments)


def spread(values: list[float], form: str = ".1f") -> str:
    """The median, and the smallest and largest: "12.3 (11.9 to 14.0)"."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def machine() -> str:
    """One sentence on what this was measured on."""
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "a CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = datetime.now(UTC).date().isoformat()
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB of memory, {system}, {today}"


def figure(value: float) -> str:
    """Three places, without the zero in front."""
    return f"{value:.3f}".replace("0.", ".", 1)


def small(value: float) -> str:
    """Four places, without the zero in front."""
    return f"{value:.4f}".replace("0.", ".", 1)


def mean_and_deviation(values: Sequence[float], form: Callable[[float], str] = figure) -> str:
    """ ".660 ± .004", or the one value alone."""
    middle = form(statistics.fmean(values))
    return middle if len(values) == 1 else f"{middle} ± {form(statistics.stdev(values))}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def write_section(document: Path, name: str, text: str) -> None:
    """Replaces what stands between the two marks of `name` in a document."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = document.read_text(encoding="utf-8").partition(start)
    after = rest.partition(end)[2]
    document.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", encoding="utf-8")
