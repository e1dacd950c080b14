"""A page from its parts, by jinja2, which escapes whatever it is given. jinja2 is an extra."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from spfedrec_cli.report.numbers import number
from spfedrec_cli.report.parts import FOUND, Page, Table

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_NUMBER = 24
CODE = re.compile(r"`([^`]+)`")
UNBROKEN = re.compile(r"(?<=\d) (?=%|[kMGT]?B\b)|(?<=\bp) (?== )|(?<=\bp =) ")


def rendered(page: Page, version: str) -> str:
    """One HTML file that needs no other. Only the styles and the drawn figures are markup; all else is text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=unbroken,
    )
    environment.filters |= {"number": number, "numeric": numeric, "wordy": wordy, "coded": coded}
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(page=page, found=FOUND, style=style, version=version).lstrip()


def unbroken(value: object) -> object:
    """No line ends between a number and what belongs to it; what is markup already stays as it is."""
    return UNBROKEN.sub("\N{NO-BREAK SPACE}", value) if type(value) is str else value


def coded(text: str) -> "Markup":
    """Text, escaped, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    return Markup(CODE.sub(r"<code>\1</code>", str(escape(unbroken(text)))))


def numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers, so that it stands right: also such as 3.1 kB or 0.25 ± 0.01."""
    cells = [row[column] for row in table.rows if row[column] not in (None, "")]
    return column > 0 and bool(cells) and all(map(_is_number, cells))


def wordy(table: Table) -> bool:
    """Whether some cell behind the first column has a sentence, so that a row is better a block on a phone."""
    return any(len(str(cell)) > LONGEST_NUMBER for row in table.rows for cell in row[1:])


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or (str(cell)[0].isdigit() and len(str(cell)) <= LONGEST_NUMBER)
