"""The tables of README that are parts of docs/: some rows and columns of a section, as they stand there.

    python benchmarks/first_page.py

`make results` does the same at its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import write_section

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"


@dataclass(frozen=True)
class Extract:
    """Rows by their first cell (what follows a semicolon does not count), columns by their head, and what either is
    called in README; the page of docs/, and the head of the first column."""

    rows: Mapping[str, str]
    columns: Mapping[str, str]
    page: str = "results.md"
    head: str = ""

    def text(self) -> str:
        return (CHECKOUT / "docs" / self.page).read_text(encoding="utf-8")


PAPER, SLATE, CENTRAL = "SpFedRec, `paper`, P = 0.25", "SpFedRec, `slate`", "the same model, trained centrally"
MODES = {
    "`paper`, P = 0.25": "`paper`, P = 0.25, the default",
    "`paper`, P = 1": "`paper`, P = 1",
    "`slate`": "`slate`",
    "`catalogue`": "`catalogue`",
}
EXTRACTS = {
    "modes": Extract(
        MODES,
        {
            "the server sees of one client": "it sees of one client",
            "true purchases in a request": "true purchases in a request",
            "kB up, chains": "kB up",
            "kB down, chains": "kB down",
            "MB in 30 rounds, chains": "MB a customer and month",
        },
        "protocol.md",
        "`request.mode`",
    ),
    "shop": Extract(
        {"`paper`, P = 0.25": "`paper`, P = 0.25, the default", "`slate`": "`slate`"},
        {
            "server, by requests": "by a request",
            "one masked upload": "by a masked upload",
            "one plain update": "by a plain update",
            "canaries": "planted pairs, by the model",
        },
        "privacy.md",
        "`request.mode`",
    ),
    "ml-100k": Extract(
        {
            "SpFedRec (`split`)": PAPER,
            "SpFedRec, slate": SLATE,
            "the same model, not federated (`central`)": CENTRAL,
            "ials": "iALS",
            "popularity": "popularity",
        },
        {"HR@10, all items": "HR@10", "NDCG@10, all items": "NDCG@10"},
    ),
    "synthetic": Extract(
        {
            "SpFedRec (`split`)": PAPER,
            "SpFedRec, slate": SLATE,
            "the same model, not federated (`central`)": CENTRAL,
            "ease": "EASE",
            "best_possible": "best possible",
        },
        {"HR@10": "HR@10", "NDCG@10": "NDCG@10"},
    ),
    "second-stage": Extract(
        {
            "Online Retail II": "Online Retail II",
            "Complete Journey": "Complete Journey",
            "H&M, histories of 1,039 customers": "H&M histories",
            "MovieLens 1M": "MovieLens 1M",
        },
        {name: name for name in ("weeks", "best rule or blend", "towers", "second stage")},
        head="NDCG@10",
    ),
    "hm": Extract(
        {
            "SpFedRec": "SpFedRec, `paper`, P = 2",
            "SpFedRec + blend": "SpFedRec + own purchases",
            "popularity_7_days": "popularity of 7 days",
            "popularity_7_days + blend": "the same + own purchases",
            "repeat_last": "repeating own purchases",
        },
        {"hit_rate@10": "HR@10", "ndcg@10": "NDCG@10"},
    ),
}


def section(text: str, name: str) -> str:
    """What stands between the marks of `name`."""
    return text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


def extracted(text: str, extract: Extract) -> str:
    """The table of an extract, without what stands in brackets.

    Raises KeyError where a row is missing, ValueError where a column is.
    """
    head, *body = (_cells(line) for line in _lines(text))
    places = [head.index(name) for name in extract.columns]
    named = {cells[0].partition(";")[0]: cells for cells in body}
    found = [
        [
            shown + "".join(named[name][0].partition(";")[1:]),
            *(named[name][place].partition(" (")[0] for place in places),
        ]
        for name, shown in extract.rows.items()
    ]
    return _table([[extract.head, *extract.columns.values()], ["---"] * (1 + len(places)), *found])


def _table(rows: list[list[str]]) -> str:
    """Without padding, for a page that is read in two minutes as text too."""
    return "\n".join(f"|{'|'.join(row)}|" for row in rows)


def _lines(text: str) -> list[str]:
    """The lines of the first table in a text, without the rule below its head."""
    head, _, *body = text[text.index("\n|") + 1 :].split("\n\n")[0].splitlines()
    return [head, *body]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def write() -> None:
    """All extracts into README."""
    for name, extract in EXTRACTS.items():
        write_section(README, name, extracted(section(extract.text(), name), extract))


if __name__ == "__main__":
    write()
