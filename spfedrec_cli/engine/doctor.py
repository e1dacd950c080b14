"""Is everything of a run or a Dataset as it was written? And what can be done where it is not?"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spfedrec_cli import files, run
from spfedrec_cli.data import stored
from spfedrec_cli.data.dataset import read_manifest
from spfedrec_cli.data.schema import MANIFEST, TABLES
from spfedrec_cli.engine.evaluate import entries_of
from spfedrec_cli.errors import InputError, SpfedrecError
from spfedrec_cli.retrieval.written import REPORT, read_clients
from spfedrec_cli.run.checkpoints import SAVED, file_of, relist
from spfedrec_cli.run.lines import LINES, cut_half_line, ends_whole, records, unlike

Mend = Callable[[], object]


@dataclass(frozen=True)
class Finding:
    """What is wrong, where, and what is to be done: by `mend`, or where that is None by the user."""

    problem: str
    where: Path
    advice: str
    mend: Mend | None = None


@dataclass(frozen=True)
class Diagnosis:
    """`kind`: run or Dataset. `findings` are what is wrong; where `repaired`, those with a `mend` were."""

    path: Path
    kind: str
    findings: tuple[Finding, ...]
    repaired: bool = False

    @property
    def left(self) -> list[Finding]:
        """What is still wrong."""
        return [finding for finding in self.findings if not (self.repaired and finding.mend)]


def examine(name: Path | str, repair: bool = False) -> Diagnosis:
    """Everything of a run or a Dataset, a path or a name, is read and hashed; nothing is believed from a cache.

    With `repair` what can be repaired of a run is. Raises InputError where the name leads to neither, Locked where
    another process writes the run.
    """
    folder, kind = _place(name)
    if kind == "Dataset":
        return Diagnosis(folder, kind, tuple(_of_dataset(folder)))
    if not repair:
        return Diagnosis(folder, kind, tuple(_of_run(folder)))
    with run.writing(folder):
        findings = tuple(_of_run(folder))
        for finding in findings:
            if finding.mend:
                finding.mend()
    return Diagnosis(folder, kind, findings, repaired=True)


_MARKS = {"run": ("run.json", "checkpoints"), "Dataset": (MANIFEST, f"{TABLES[0]}.parquet")}


def _place(name: Path | str) -> tuple[Path, str]:
    """Known by what remains of it, where half of it is gone."""
    for folder in (Path(name), run.RUNS / name, run.DATASETS / name):
        for kind, marks in _MARKS.items():
            if any((folder / mark).exists() for mark in marks):
                return folder, kind
    hint = "name one under ./runs or ./datasets, or give its path"
    raise InputError(f"There is no run or Dataset {str(name)!r}", hint=hint)


def _of_run(folder: Path) -> Iterator[Finding]:
    try:
        run.about(folder)
    except SpfedrecError as error:
        yield Finding(error.problem, folder / "run.json", "put back a copy, or train the run again")
        return
    yield from _settings(folder)
    whole = yield from _checkpoints(folder)
    yield from _lines(folder, whole)
    yield from _evaluations(folder)


def _settings(folder: Path) -> Iterator[Finding]:
    try:
        run.check_config(folder)
    except SpfedrecError as error:
        yield Finding(error.problem, folder / "config.toml", "put back a copy, or train the run again")
    try:
        files.read_json(folder / "environment.json")
    except (OSError, SpfedrecError):
        advice = "nothing depends on it; train again where you need it"
        yield Finding("The record of versions and machine cannot be read", folder / "environment.json", advice)


def _checkpoints(folder: Path) -> Generator[Finding, None, list[int]]:
    """Returns the rounds of those that are whole, the last first."""
    whole, listed = [], run.listed(folder)
    present = run.rounds(folder)
    for round_ in sorted({*present, *(listed or [])}, reverse=True):
        try:
            run.load_checkpoint(folder, round_)
            whole.append(round_)
        except SpfedrecError as error:
            yield _lost(folder, round_, error, whole)
    if present and listed is None:
        file, advice = folder / "checkpoints" / SAVED, "it is written anew, of those that are there"
        yield Finding("The list of checkpoints is damaged or gone", file, advice, partial(relist, folder, whole))
    return whole


def _lost(folder: Path, round_: int, error: SpfedrecError, later: Sequence[int]) -> Finding:
    """A checkpoint that is damaged, or one of whose private blocks is; or it is missing."""

    def forget() -> None:
        file_of(folder, round_).unlink(missing_ok=True)
        relist(folder, [known for known in run.listed(folder) or run.rounds(folder) if known != round_])

    is_best = any(run.load_manifest(folder, one)["tally"]["best_round"] == round_ for one in later)
    where = Path(error.where or file_of(folder, round_))
    if is_best:
        advice = "it is the best and cannot be made again from a later one: use --checkpoint last, or train again"
        return Finding(error.problem, where, advice)
    return Finding(error.problem, where, "it is removed; the run goes back to the one before, or begins anew", forget)


def _lines(folder: Path, whole: Sequence[int]) -> Iterator[Finding]:
    """Against the last checkpoint that is whole; what comes behind it is made again by a resume."""
    fitting = [one for one in whole if not unlike(folder, run.load_manifest(folder, one)["lines"])]
    if whole and whole[0] not in fitting:
        for file in unlike(folder, run.load_manifest(folder, whole[0])["lines"]):
            problem = "Lines are damaged or gone"
            if not fitting:
                yield Finding(problem, file, "the model is whole; only a training from the start makes them again")
                continue
            advice = f"the run goes back to round {fitting[0]}, and a resume makes them again"
            yield Finding(problem, file, advice, partial(_go_back, folder, fitting[0], whole))
        return
    for file in (folder / name for name in LINES):
        if not ends_whole(file):
            yield Finding("The last line is not whole", file, "it is cut off", partial(cut_half_line, file))
        try:
            records(file)
        except SpfedrecError as error:
            where, back = Path(error.where or file), whole[0] if whole else 0
            advice = f"lines behind round {back} are cut off, and a resume makes them again"
            yield Finding(error.problem, where, advice, partial(run.go_on_from, folder, back))


def _go_back(folder: Path, round_: int, whole: Sequence[int]) -> None:
    for later in whole:
        if later > round_:
            file_of(folder, later).unlink(missing_ok=True)
    relist(folder, [one for one in whole if one <= round_])
    run.go_on_from(folder, round_)


def _evaluations(folder: Path) -> Iterator[Finding]:
    file = folder / REPORT
    try:
        for entry in entries_of(folder).values():
            for name in entry["files"]:
                read_clients(folder / name, entry)
    except SpfedrecError as error:
        advice = "the evaluations are removed; evaluate again"
        yield Finding(error.problem, Path(error.where or file), advice, partial(_forget_evaluations, folder))


def _forget_evaluations(folder: Path) -> None:
    for file in (folder / REPORT, *folder.glob("evaluation-*.parquet")):
        file.unlink(missing_ok=True)


def _of_dataset(folder: Path) -> Iterator[Finding]:
    """Nothing of a Dataset can be repaired: it is made of the source again."""
    try:
        manifest, _ = read_manifest(folder)
    except SpfedrecError as error:
        yield Finding(error.problem, Path(error.where or folder), "prepare it again")
        return
    for name, expected in manifest.files.items():
        try:
            if files.hash_of(folder / name) != expected:
                yield Finding("A file of the Dataset was changed", folder / name, "prepare it again")
            elif name.endswith(".parquet"):
                stored.table(folder / name)
        except (OSError, SpfedrecError):
            yield Finding("A file of the Dataset cannot be read", folder / name, "prepare it again")
