"""Tables for papers and pages: Markdown and LaTeX, in which no text is markup."""

import re
from collections.abc import Sequence

from spfedrec_cli.cli.output import Cell, number

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def written(head: Sequence[str], rows: Sequence[Sequence[Cell]], form: str) -> str:
    """A table as `markdown` or `latex`. Columns of numbers stand right."""
    numeric = [not any(isinstance(row[place], str) for row in rows) for place in range(len(head))]
    cells = [[number(cell) for cell in row] for row in rows]
    return (_latex if form == "latex" else _markdown)(head, cells, numeric)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    rule = ["---:" if right else "---" for right in numeric]
    escaped = [[_MARKDOWN.sub(r"\\\1", cell) for cell in row] for row in (head, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], rule, *escaped[1:]))


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    columns = "".join("r" if right else "l" for right in numeric)
    lines = [
        " & ".join("".join(_LATEX.get(letter, letter) for letter in cell) for cell in row) for row in (head, *rows)
    ]
    body = [r"\toprule", rf"{lines[0]} \\", r"\midrule", *(rf"{line} \\" for line in lines[1:]), r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])
