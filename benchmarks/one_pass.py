"""One pass over all customers of a shop of H&M's size: a real `spfedrec train`, by two threads, by two processes and by
one thread, in turn.

    python benchmarks/one_pass.py [--turns 3] [--customers 1371980] [--write]

Prepares the made-up shop (once), then trains on it: everybody who bought in train takes part once (`sampling =
shuffled`), and one validation ranks for some, after the last round. `--write` puts the figures into
docs/benchmarks.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from measure import machine, run, spread, write_section

from spfedrec_cli.data.dataset import Dataset

CHECKOUT = Path(__file__).parents[1]
DOCUMENT = CHECKOUT / "docs" / "benchmarks.md"
CUSTOMERS, ITEMS = 1_371_980, 105_542
COHORT = 8192
SMALL = 64 << 20  # bytes; what is below has not imported torch, and only looks after the others
SETTINGS = (
    *("model.dim=16", "model.hidden=[64,64]", "model.field_dim=8", "request.rate=1", "client.negatives=request"),
    *("federated.sampling=shuffled", f"federated.cohort_size={COHORT}", "federated.range_item=5"),
)
FORMS = {"two threads": (1, 2), "two processes": (2, 1), "one thread": (1, 1)}  # workers, threads of each
SPFEDREC = (sys.executable, "-m", "spfedrec_cli")


@dataclass(frozen=True)
class Pass:
    """One training: seconds of the command and of its rounds alone, those of each round, and the peaks in bytes of
    each process, the largest first."""

    whole: float
    rounds: list[float]
    clients: int
    peaks: list[int]

    @property
    def speed(self) -> float:
        """Clients a second, of the rounds alone."""
        return self.clients / sum(self.rounds)


class Peaks:
    """Looks at a process and what it has started, ten times a second, for as long as it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self.of = process, dict[int, int]()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while self._process.poll() is None:
            for each in family(self._process.pid):
                self.of[each] = max(self.of.get(each, 0), peak(each))
            time.sleep(0.1)

    def found(self) -> list[int]:
        self._thread.join()
        return sorted(self.of.values(), reverse=True)


def family(chief: int) -> list[int]:
    """A process and those that it, or they, have started."""
    found, left = [], [chief]
    while left:
        found.append(left.pop())
        try:
            for thread in Path(f"/proc/{found[-1]}/task").iterdir():
                left += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return found


def peak(process: int) -> int:
    """The largest resident set so far, in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def prepared(folder: Path, customers: int) -> Path:
    """The Dataset of the made-up shop, unless it is there."""
    dataset = folder / f"one-pass-{customers}"
    if not dataset.exists():
        size = ("--customers", str(customers), "--items", str(ITEMS))
        run(*SPFEDREC, "prepare", "--source", "synthetic", *size, "--output", str(dataset), "--quiet")
    return dataset


def train(dataset: Path, workers: int, threads: int, buyers: int, folder: Path) -> Pass:
    """Everybody once. Raises CalledProcessError with what it said where it fails."""
    rounds = -(-buyers // COHORT)
    settings = [*SETTINGS, f"train.threads={threads}", f"train.rounds={rounds}"]
    settings += [f"train.eval_every={rounds}", f"train.checkpoint_every={rounds}"]
    words = [*SPFEDREC, "train", str(dataset.resolve()), "--workers", str(workers), "--name", "run", "--json"]
    words += [word for setting in settings for word in ("--set", setting)]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plain = folder / "plain.toml"  # without a file, settings would be chosen for the Dataset
    plain.touch()
    words += ["--config", str(plain.resolve())]
    began = time.perf_counter()
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=one_thread, cwd=folder)
    peaks = Peaks(process)
    told, said = process.communicate()
    whole = time.perf_counter() - began
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words, told, said)
    records = [json.loads(line) for line in (folder / "runs" / "run" / "metrics.jsonl").read_text().splitlines()]
    return Pass(whole, [each["seconds"] for each in records], json.loads(told)["client_updates"], peaks.found())


def table(passes: dict[str, list[Pass]]) -> str:
    lines = [
        "| | the whole command, s | its rounds, s | a round, s | clients/s in the rounds | peak memory, GiB |",
        "|---|---|---|---|---|---|",
    ]
    for form, turns in passes.items():
        whole, rounds = spread([each.whole for each in turns]), spread([sum(each.rounds) for each in turns])
        median = spread([statistics.median(each.rounds) for each in turns], ".3f")
        speed = spread([each.speed for each in turns], ",.0f")
        largest = max(turns, key=lambda each: sum(each.peaks))
        memory = " + ".join(f"{size / 2**30:.2f}" for size in largest.peaks if size > SMALL)
        lines.append(f"| {form} | {whole} | {rounds} | {median} | {speed} | {memory} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "datasets" / "bench-one-pass")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    dataset = prepared(asked.folder, asked.customers)
    buyers = int((Dataset.open(dataset).history("train").lengths > 0).sum())
    passes: dict[str, list[Pass]] = {form: [] for form in FORMS}
    for turn in range(asked.turns):
        for form, turns in passes.items():
            turns.append(train(dataset, *FORMS[form], buyers, asked.folder / "work"))
            sys.stderr.write(f"turn {turn + 1}: {form} {turns[-1].whole:.1f} s\n")
    alone = passes["one thread"]
    gains = {
        form: spread([two.speed / one.speed for two, one in zip(turns, alone, strict=True)], ".2f")
        for form, turns in passes.items()
    }
    rounds = len(alone[0].rounds)
    text = "\n\n".join(
        [
            f"{machine()}; medians of {asked.turns} turns, smallest and largest in brackets.",
            f"{alone[0].clients:,} clients took part, each once, in {rounds} rounds of {COHORT:,}; {ITEMS:,} articles.",
            table(passes),
            f"Two threads ÷ one, turn by turn, of the rounds: {gains['two threads']}; two processes ÷ one thread: "
            f"{gains['two processes']}.",
        ]
    )
    sys.stdout.write(text + "\n")
    if asked.write:
        write_section(DOCUMENT, "one-pass", text)


if __name__ == "__main__":
    main()
