"""Identifiers: the forms that sources write them in, and their dense numbers."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spfedrec_cli.data.arrays import letters, scalar, texts, to_arrow, to_numpy, width
from spfedrec_cli.dtypes import I32
from spfedrec_cli.errors import InputError, nearest

_NEIGHBOURS = 1000
_STEP = 1 << 20
_SOME = 20  # customers, among whom one may stand out
_WHOLE = r"^-?[0-9]+(\.0+)?$"
_EXPONENT = r"^-?[0-9]([.,][0-9]+[eE]\+?|[eE]\+)[0-9]{1,2}$"
_SHORT = r"^[0-9][.,][0-9]+[eE]\+[0-9]{2}$"
_CUT_OFF = (
    "are numbers that a spreadsheet shortened, as {}: {:,}; where digits were cut off, different ids are one now: "
    "write them again as text"
)
_SHORTENED = (
    "had become decimals, as 1.5e+05 for 150000: {} restored; where digits were cut off, different ids are one now: "
    "write them again as text"
)


@dataclass(frozen=True)
class Form:
    """How ids look. `width` > 0 restores leading zeros that were lost; `numeric` ids sort as numbers.

    `free` ids are kept as they stand, blanks around them included, but for whole numbers that became decimals. What has
    `digits` bytes, each a digit below the `base`, fits.
    """

    pattern: str
    described: str
    width: int = 0
    numeric: bool = False
    free: bool = False
    digits: int = 0
    base: int = 10


FORMS = {
    "customer": Form(r"^[0-9a-f]{64}$", "64 hexadecimal digits", digits=64, base=16),
    "article": Form(r"^[0-9]{1,10}(\.0+)?$", "10 digits", width=10, digits=10),
    "number": Form(r"^(0|[1-9][0-9]{0,17})$", "a whole number", numeric=True),
    "any": Form(r"(?s)^.+$", "a text of 1 character or more other than nan and NULL", free=True),
}


def fitting(ids: pa.Array, form: Form) -> pa.Array | None:
    """Whether each of `ids` has the form; None where all have, as all bytes looked at together show in a tenth of the
    time."""
    if form.digits and width(ids) == form.digits:
        byte = letters(ids)
        if (((byte - np.uint8(ord("0"))) < 10) | ((byte - np.uint8(ord("a"))) < form.base - 10)).all():
            return None
    return pc.match_substring_regex(ids, form.pattern)


def restore(ids: pa.Array, form: Form) -> tuple[pa.Array, str]:
    """Well-formed distinct ids without what a detour through numbers did to them, and a sentence on what was mended.

    Leading zeros come back where ids have a width. Where all ids of a column are whole numbers, `17850.0` is 17850 and
    `1.5e+05` is 150000; beside texts such are told alone.
    """
    if form.width:
        mended = pc.utf8_lpad(pc.replace_substring_regex(ids, r"\..*$", ""), form.width, "0")
        sentence = "had lost their leading zeros: {} restored"
    elif not form.free:
        return ids, ""
    elif pc.all(pc.match_substring_regex(ids, f"{_WHOLE}|{_EXPONENT}")).as_py():
        mended, sentence = _whole(ids)
    else:
        short = ids.filter(pc.match_substring_regex(ids, _SHORT))
        return ids, _CUT_OFF.format(short[0], len(short)) if len(short) else ""
    count = pc.sum(pc.not_equal(mended, ids)).as_py() or 0
    return mended, sentence.format(f"{count:,}") if count else ""


def _whole(ids: pa.Array) -> tuple[pa.Array, str]:
    """Whole numbers as such, where all are, and the sentence about it."""
    mended, short = pc.replace_substring_regex(ids, r"\..*$", ""), pc.match_substring_regex(ids, _EXPONENT)
    if not pc.any(short).as_py():
        return mended, "had become decimals, as 17850.0 for 17850: {} restored"
    written = [Decimal(one.replace(",", ".")) for one in ids.filter(short).to_pylist()]
    if any(one != one.to_integral_value() for one in written):
        return ids, ""
    return pc.replace_with_mask(mended, short, texts([f"{one:.0f}" for one in written])), _SHORTENED


def several_ways(ids: pa.Array, what: str) -> list[str]:
    """A sentence where distinct ids are one but for case, leading zeros, a `.0`, blanks around them, and forms of a
    letter: one may be two, é an e and an accent."""
    plain = ids
    if not pc.all(pc.string_is_ascii(ids)).as_py():
        plain = pc.replace_substring_regex(pc.utf8_normalize(ids, "NFKC"), r"\p{Cf}", "")
    bare = pc.utf8_ltrim(pc.utf8_lower(pc.utf8_trim_whitespace(plain)), "0")
    bare = pc.replace_substring_regex(bare, r"\.0+$", "")
    changed = bare.filter(pc.not_equal(bare, ids))  # most are none: to count these alone takes less time
    values, counts = bare.filter(pc.is_in(bare, value_set=changed)).value_counts().flatten()
    again = values.filter(pc.greater(counts, scalar(1)))
    if not len(again):
        return []
    one, other = ids.filter(pc.equal(bare, again[0]))[:2].to_pylist()
    are = f"{what} is" if len(again) == 1 else f"{what}s are"
    show = ascii if normalize("NFKC", one) == normalize("NFKC", other) else repr
    ways = f"{show(one)} and {show(other)}"
    return [f"{len(again):,} {are} written in several ways, as {ways}: write ids alike where they mean one"]


def otherwise(bought: pa.Array, described: pa.Array, what: str, name: str) -> list[str]:
    """A sentence where the table called `name` writes ids otherwise than the purchases do. Neither has an id twice."""
    if not len(bought) or not len(described):
        return []
    strange, idle = (
        one.filter(pa.array(dense(one, all) < 0)) for one, all in ((bought, described), (described, bought))
    )
    if len(idle) < len(described):
        return several_ways(pa.concat_arrays([strange, idle]), what)
    ids = f"{str(described[0])!r} there and {str(bought[0])!r} in the purchases"
    return [f"{name} describes no {what} of the purchases: write ids alike in both, as {ids}"]


def stand_in(ids: pa.DictionaryArray, column: str) -> list[str]:
    """A sentence where one customer has a tenth of the rows (n,) and ten times what others have: those whom a shop does
    not know share an id, as 0 or guest."""
    rows, known = to_numpy(ids.indices), len(ids.dictionary)
    steps = (np.bincount(rows[start : start + _STEP], minlength=known) for start in range(0, len(rows), _STEP))
    counts = sum(steps, np.zeros(known, np.int64))
    most = int(counts.max(initial=0))
    if known < _SOME or 10 * most < len(rows) or most * (known - 1) < 10 * (len(rows) - most):
        return []
    id = ids.dictionary[int(counts.argmax())].as_py()
    without = shlex.quote(f"{column}!={id}")
    return [
        f"{most:,} of {len(rows):,} purchases are of one customer, {id!r}: where it stands for all who are not known, "
        f"leave it out with --where {without}"
    ]


def dense(ids: pa.Array, known: pa.Array) -> I32:
    """The dense number of each id, -1 where `known` does not hold it."""
    return to_numpy(pc.coalesce(pc.index_in(ids, value_set=known), scalar(np.int32(-1))))


def find(ids: Sequence[str], known: pa.ChunkedArray, form: Form) -> I32:
    """Dense numbers of ids that a user typed, -1 for those of the wrong form and for unknown ones."""
    return _find(_typed(ids, form), known)


def look_up(ids: Sequence[str], known: pa.ChunkedArray, form: Form, what: str) -> I32:
    """As `find`, but raises InputError for one of the wrong form or an unknown one."""
    asked = _typed(ids, form)
    fits = pc.match_substring_regex(asked, form.pattern).to_pylist()
    wrong = next((id for id, good in zip(asked.to_pylist(), fits, strict=True) if not good), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} is not {what} id", hint=f"{what} id is {form.described}")
    numbers = _find(asked, known)
    if (numbers < 0).any():
        unknown = asked[int(np.argmax(numbers < 0))].as_py()
        near = near_id(unknown, known)
        hint = f"did you mean {_shown(near)}?" if near else "`spfedrec describe` shows ids that it holds"
        raise InputError(f"The Dataset does not hold {what} with the id {_shown(unknown)}", hint=hint)
    return numbers


def _typed(ids: Sequence[str], form: Form) -> pa.Array:
    typed = texts([str(one) if form.free else str(one).strip() for one in ids])
    if not form.width:
        return typed
    return pc.if_else(pc.match_substring_regex(typed, form.pattern), restore(typed, form)[0], typed)


def _find(asked: pa.Array, known: pa.ChunkedArray) -> I32:
    # Hashes the few that are asked for, not the many that are known.
    found = [to_numpy(pc.is_in(part, value_set=asked)) for part in known.chunks]
    rows = np.flatnonzero(np.concatenate([np.empty(0, np.bool_), *found]))
    places = dict(zip(known.take(to_arrow(rows)).to_pylist(), rows.tolist(), strict=True))
    return np.array([places.get(id, -1) for id in asked.to_pylist()], np.int32)


def _shown(id: str) -> str:
    """In quotes where one would not see where it ends."""
    return repr(id) if re.search(r"[\s,;]", id) else id


def near_id(unknown: str, known: pa.ChunkedArray) -> str | None:
    """A known id like `unknown`, sought among those that share the longest beginning: catalogues are large.

    In a small one among all, where none shares its first letter.
    """
    for length in range(len(unknown), -1 if len(known) <= _NEIGHBOURS else 0, -1):
        neighbours = known.filter(pc.starts_with(known, unknown[:length]))
        if len(neighbours):
            return nearest(unknown, neighbours[:_NEIGHBOURS].to_pylist())
    return None
