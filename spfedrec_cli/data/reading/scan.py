"""The wanted columns of a file in bounded memory, whatever its format."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.arrays import scalar, texts, to_arrow, to_numpy
from spfedrec_cli.data.ids import Form, restore
from spfedrec_cli.data.parallel import in_order
from spfedrec_cli.data.raw import Progress, Request
from spfedrec_cli.data.reading.batches import Batch, Job, Problem, Tall
from spfedrec_cli.data.reading.files import RawFile
from spfedrec_cli.data.reading.kinds import ANOTHER, Kind, missing
from spfedrec_cli.data.reading.layout import Layout, Shape, advice, doubts, text_layout
from spfedrec_cli.data.reading.text import text_jobs
from spfedrec_cli.data.reading.texts import Texts, beside, encoded
from spfedrec_cli.data.reading.times import TimeForm, time_form
from spfedrec_cli.data.reading.typed import typed_jobs, typed_names
from spfedrec_cli.dtypes import Bool
from spfedrec_cli.errors import InputError

Column = Any  # an array of numbers, or for texts a dictionary array

_HEAD = 1 << 20  # bytes that are sampled
_SAMPLE = 1000
_AROUND = '"\ufeff'  # what stands around the first name of a file that was put behind another


@dataclass(frozen=True)
class Rule:
    """A condition on a column: rows that do not meet it are left out, and counted as what was left out by `name`.

    It is null for a text that it cannot compare, which is no `other`. `timed` makes the condition for a column of
    times, or None where it is the same.
    """

    name: str
    column: str
    keeps: Callable[[pa.Array], pa.Array]
    timed: Callable[[TimeForm], Callable[[pa.Array], pa.Array] | None] = lambda form: None
    other: str = "number"


@dataclass(frozen=True)
class Wanted:
    """Which column plays which role, and is what. `optional` roles may be missing.

    Rows are tried by the `rules` before anything else. Ids of a `part` of a table are not mended yet: that takes the
    whole column.
    """

    columns: Mapping[str, tuple[str, Kind]]
    optional: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    shape: Shape = field(default_factory=Shape)
    with_lines: bool = False
    part: bool = False

    def at(self, form: TimeForm) -> "Wanted":
        """The same, where times are of this form."""
        name = self.columns["time"][0]
        timed = [(one, one.timed(form) if one.column == name else None) for one in self.rules]
        rules = tuple(replace(one, keeps=keeps or one.keeps) for one, keeps in timed)
        return replace(self, columns={**self.columns, "time": (name, form.kind)}, rules=rules)

    def names(self, layout: Layout) -> list[str]:
        """All columns of the file that are read, each once."""
        asked = [*(name for name, _ in self.columns.values()), *(one.column for one in self.rules)]
        return [name for name in dict.fromkeys(asked) if name in layout.names] or list(layout.names[:1])


@dataclass
class Scanned:
    """By role: an array of numbers, or for texts a dictionary array. All (n,), in the order of the file.

    `notes` are sentences for the user; of a part of a table they do not say what each rule has `left_out`, and which
    rows are `tall`. `lines` (n,) are where the rows are, where that was asked, in the `unit` that rows of the file are
    counted in. The file has `width` columns, and in those of `spoiled` such a text, to which an escaped quote came.
    """

    columns: dict[str, Column]
    rows: int
    notes: list[str]
    lines: npt.NDArray[np.int64]
    unit: str = "line"
    left_out: Counter[str] = field(default_factory=Counter)
    tall: Tall = field(default_factory=Tall)
    width: int = 0
    spoiled: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, role: str) -> bool:
        return role in self.columns

    def texts(self, role: str) -> pa.DictionaryArray:
        return self.columns[role]


def layout_of(file: RawFile, wanted: Wanted, request: Request, check: bool = True) -> Layout:
    """Raises InputError where a column that is needed is missing, or one that is wanted comes twice."""
    needed = [name for role, (name, _) in wanted.columns.items() if role not in wanted.optional]
    needed += [rule.column for rule in wanted.rules]
    if file.is_parquet:
        layout = Layout("parquet", typed_names(file, request.scratch))
    else:
        layout = text_layout(file, wanted.shape, needed)
    layout = replace(layout, said={name: value for name, value in file.said.items() if name not in layout.names})
    where = f"{file}" if layout.form == "parquet" else f"{file}, line 1"
    for name in (*wanted.names(layout), *needed) if check else ():
        if layout.names.count(name) > 1:
            raise InputError(f"The column {name} occurs twice", where=where, hint="rename one of them")
        if name not in layout.known:
            hint = advice(file, layout, wanted.shape, name, needed, wanted.part)
            raise InputError(f"The column {name} is missing", where=where, hint=hint)
    return layout


def form_of(file: RawFile, wanted: Wanted, request: Request) -> TimeForm:
    """How the times of a file are written: as the user says, or as the first ones are."""
    values = _sample(file, layout_of(file, wanted, request), wanted.columns["time"][0], request)
    return time_form(values, request.reading.time_format, request.reading.timezone)


def _sample(file: RawFile, layout: Layout, column: str, request: Request) -> list[str]:
    """Its first values that are not missing."""
    if column in layout.said:
        return [layout.said[column]]
    found: list[str] = []
    with closing(_jobs(file, layout, [column], {}, request, _HEAD)) as jobs:
        while len(found) < _SAMPLE and (job := next(jobs, None)):
            values = job.make().columns[column].cast(pa.string())
            found += values.filter(pc.invert(missing(values))).slice(0, _SAMPLE - len(found)).to_pylist()
    return found


def _jobs(
    file: RawFile,
    layout: Layout,
    columns: Sequence[str],
    exact: Mapping[str, str],
    request: Request,
    size: int | None = None,
) -> Generator[Job, None, None]:
    if layout.form == "parquet":
        yield from typed_jobs(file, columns, exact, request.scratch)
    else:
        yield from text_jobs(file, layout, columns, exact, size)


def scan(file: RawFile, wanted: Wanted, request: Request) -> Scanned:
    """Reads the wanted columns. Raises InputError for a damaged file, a missing column, and, unless they are skipped,
    at the first row that cannot be read."""
    layout = layout_of(file, wanted, request)
    present = {role: column for role, column in wanted.columns.items() if column[0] in layout.known}
    return _Reader(file, layout, replace(wanted, columns=present), request).read()


@dataclass(frozen=True)
class _Judged:
    """A batch by role, without the rows that are left out."""

    columns: dict[str, Column]
    height: int
    lines: npt.NDArray[np.int64]
    rows: int
    left_out: Counter[str]
    problems: list[Problem]
    tall: Tall
    done: int


@dataclass(frozen=True)
class _Reader:
    """One file on its way in."""

    file: RawFile
    layout: Layout
    wanted: Wanted
    request: Request

    def read(self) -> Scanned:
        with beside(max(1, len(self.wanted.columns))) as pool:
            return self._read(pool)

    def _read(self, pool: Executor) -> Scanned:
        kinds = {role: kind for role, (_, kind) in self.wanted.columns.items()}
        columns: dict[str, Any] = {
            role: Texts(pool) if kind.numbers is None else [np.empty(0, kind.numbers)] for role, kind in kinds.items()
        }
        lines, tall = [np.empty(0, np.int64)], list[Tall]()
        rows, first, total, left_out = 0, self.layout.line, self.file.size, Counter[str]()
        exact = {name: "id" if kind.form else role for role, (name, kind) in self.wanted.columns.items()}
        exact = {name: role for name, role in exact.items() if role in ("time", "id")}
        jobs = _jobs(self.file, self.layout, self.wanted.names(self.layout), exact, self.request)
        with closing(jobs), closing(in_order(self._judge, jobs)) as judged:
            for one in judged:
                for line, sentence, text, hint in one.problems:
                    self.request.rejects.add(self.file, self.layout.unit, first + line, sentence, text, hint)
                for role, column in one.columns.items():
                    columns[role].append(column)
                lines += [first + one.lines] if self.wanted.with_lines else []
                tall += [one.tall._replace(first=first + one.tall.first, file=self.file.name)] if one.tall.rows else []
                first += one.height
                rows += one.rows
                left_out.update(one.left_out)
                self.request.tell(Progress(f"reading {self.file.name}", min(one.done, total), total, rows))
        notes = doubts(self.file, self.request.reading.encoding)
        for column in columns.values():
            if isinstance(column, Texts):
                column.close()
        whole = {role: self._whole(column, kinds[role], notes) for role, column in columns.items()}
        unit, width = self.layout.unit, len(self.layout.names)
        spoiled = {
            self.wanted.columns[role][0]: text for role, column in whole.items() for text in self._spoiled(column)
        }
        found = Scanned(whole, rows, notes, np.concatenate(lines), unit, left_out, Tall.of(tall), width, spoiled)
        notes[:0] = [] if self.wanted.part else told([found], self.file.name)
        return found

    def _spoiled(self, column: Column) -> list[str]:
        """A text in which a quote stood behind a backslash, if there is one: the quote ended it, and what is behind was
        added as it stands."""
        if self.layout.form != "csv" or not self.layout.quotes or not isinstance(column, pa.DictionaryArray):
            return []
        like = pc.match_substring_regex(column.dictionary, r'(?s)\\.*"$')
        return column.dictionary.filter(like).slice(0, 1).to_pylist()  # type: ignore[no-any-return]

    def _whole(self, parts: Any, kind: Kind, notes: list[str]) -> Column:
        if kind.numbers is not None:
            joined: Column = np.concatenate(parts)
            parts.clear()
            return joined
        column = parts.done()
        return column if kind.form is None or self.wanted.part else restored(column, kind.form, self.file.name, notes)

    def _judge(self, job: Job) -> _Judged:
        batch = job.make()
        texts = {name: encoded(column) for name, column in batch.columns.items()}
        rows = len(next(iter(texts.values())))
        for name, value in self.layout.said.items():
            texts[name] = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [value])
        kept, left_out = self._kept(texts)
        columns: dict[str, Column] = {}
        wrong: dict[int, tuple[str, Kind]] = {}
        for role, (name, kind) in self.wanted.columns.items():
            values, codes = kind.read(texts[name].dictionary), to_numpy(texts[name].indices)
            if values.null_count:
                found = np.flatnonzero(to_numpy(values.is_null())[codes] & kept).tolist()
                wrong = dict.fromkeys(found, (name, kind)) | wrong
            columns[role] = texts[name]
            if kind.numbers is not None:
                columns[role] = to_numpy(pc.coalesce(values, scalar(0))).astype(kind.numbers)[codes]
        kept[list(wrong)] = False
        problems = [*batch.problems, *self._problems(batch, texts, wrong)]
        if not kept.all():
            columns = {role: taken(column, kept) for role, column in columns.items()}
        problems.sort(key=lambda one: one.line)
        return _Judged(
            columns, batch.height, batch.lines[kept], int(kept.sum()), left_out, problems, batch.tall, job.done
        )

    def _kept(self, texts: Mapping[str, pa.DictionaryArray]) -> tuple[Bool, Counter[str]]:
        """The rows that meet all rules, and how many did not meet which."""
        kept, left_out = self._is_no_header(texts), Counter[str]()
        if count := int((~kept).sum()):
            left_out["the header once more"] = count
        for rule in self.wanted.rules:
            column = texts[rule.column]
            answers, codes = rule.keeps(column.dictionary), to_numpy(column.indices)
            meets = to_numpy(pc.coalesce(answers, scalar(False)))[codes]
            unclear = to_numpy(answers.is_null())[codes]
            left_out[rule.name] += int((kept & ~meets & ~unclear).sum())
            if count := int((kept & unclear).sum()):
                left_out[f"{rule.name}, where {rule.column} is no {rule.other}"] += count
            kept &= meets
        return kept, left_out

    def _is_no_header(self, texts: Mapping[str, pa.DictionaryArray]) -> Bool:
        """Whether each row holds something other than the names of all columns: files are put one behind another."""
        names = [name for name in texts if name in self.layout.names and not self.wanted.shape.numbered]
        kept = np.full(len(next(iter(texts.values()))), not names)
        for name in sorted(names, key=lambda name: len(texts[name].dictionary)):
            values = pc.utf8_trim(pc.utf8_trim_whitespace(texts[name].dictionary), _AROUND)
            other = pc.not_equal(values, scalar(name))
            if pc.all(other).as_py():
                return np.ones_like(kept)
            kept |= to_numpy(other)[to_numpy(texts[name].indices)]
        return kept

    def _problems(
        self, batch: Batch, texts: Mapping[str, pa.DictionaryArray], wrong: Mapping[int, tuple[str, Kind]]
    ) -> list[Problem]:
        own, problems = batch.texts() if wrong else [], []
        for row, (name, kind) in wrong.items():
            value = texts[name][row].as_py()
            sentence = f"The {name} {value[:100]!r} is not {kind.described}"
            hint = partial(self._hint, name, kind, value)
            problems.append(Problem(int(batch.lines[row]), sentence, own[row], hint))
        return problems

    def _hint(self, name: str, kind: Kind, value: str) -> str | None:
        """What to do beyond mending the row: about such values, or about all, given this one and the first."""
        values = _sample(self.file, self.layout, name, self.request)
        if not values:
            return ANOTHER
        values += [value] * (value not in values)
        right = len(values) - kind.read(texts(values)).null_count
        return kind.hint(value) or kind.advice(values, right)


def told(tables: Sequence[Scanned], name: str) -> list[str]:
    """How many rows of `name` each rule left out, which columns hold spoiled texts, and which rows several lines."""
    left_out = Counter[str]()
    for table in tables:
        left_out.update(table.left_out)
    counts = {rule: f"{count:,} row{'s' * (count > 1)}" if count else "no row" for rule, count in left_out.items()}
    notes = [f"{count} of {name} left out: {rule}" for rule, count in counts.items()]
    spoiled = {name: text for table in reversed(tables) for name, text in table.spoiled.items()}
    how = 'where \\" was to be a quote, write it as ""'
    notes += [f"{name} has values such as {text[:100]!r}: {how}" for name, text in spoiled.items()]
    return notes + Tall.of(table.tall for table in tables).told()


def restored(column: pa.DictionaryArray, form: Form, name: str, notes: list[str]) -> pa.DictionaryArray:
    """Ids without what a detour through numbers did to them, with a note where that was something."""
    texts, mended = restore(column.dictionary, form)
    if not mended:
        return column
    notes.append(f"ids of {name} {mended}")
    distinct = texts.dictionary_encode()
    indices = distinct.indices.take(column.indices)
    return pa.DictionaryArray.from_arrays(indices, distinct.dictionary, safe=False)


def taken(column: Column, kept: Bool) -> Column:
    """Of texts those alone that some row still has."""
    if isinstance(column, pa.DictionaryArray):
        return column.filter(to_arrow(kept.view(np.uint8)).cast(pa.bool_())).dictionary_decode().dictionary_encode()
    return column[kept]
