"""spfedrec device: a list made as a phone would make it."""

import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Quiet
from spfedrec_cli.cli.output import Cell, Output, counted, facts, size, table
from spfedrec_cli.cli.ranked import LABELS
from spfedrec_cli.errors import InputError

if TYPE_CHECKING:
    from spfedrec_cli.serving.bundle import Bundle
    from spfedrec_cli.serving.rank import Listed

NAME = "device"
EXAMPLES = """Examples:

\b
  spfedrec device bundle --history 0663713001,0541518023
  spfedrec device bundle --history 0663713001@2020-09-01,0541518023@2020-09-15
  spfedrec device bundle --history 0663713001 --field club_status=ACTIVE -k 5 --json"""


def command(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A folder that `export --format device` made.")],
    history: Annotated[
        list[str],
        typer.Option(
            metavar="A,B,…",
            help="Articles that were bought, oldest first; A@2020-09-15 with the day: for a second stage. Repeatable.",
        ),
    ],
    fields: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="What the customer is. Repeatable.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", metavar="K", min=1, help="Length of the list; left out, 12.")] = None,
    exclude_seen: Annotated[
        bool | None,
        typer.Option("--exclude-seen/--include-seen", help="Leave out what was bought; as `recommend` has it."),
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Rank articles from a bundle, as a device does: nothing leaves it.

    Loads numpy, and onnxruntime where it is installed; neither torch nor pandas.
    """
    from spfedrec_cli.serving import bundle as bundles
    from spfedrec_cli.serving.rank import rank

    out = Output(json, quiet)
    opened = bundles.opened(Path(bundle))
    bought, days = _dated([id.strip() for value in history for id in value.split(",") if id.strip()])
    found = rank(opened, bought, k, _said(fields or []), exclude_seen, days)
    items = [dict(zip(("article_id", "score", *LABELS), each, strict=True)) for each in found.items]
    shown = ["article_id", *(label for label in LABELS if any(item[label] for item in items)), "score"]
    rows: list[tuple[Cell, ...]] = [(place, *(item[head] for head in shown)) for place, item in enumerate(items, 1)]
    up, down = _service(opened, len(found.items))
    timing = {
        "engine": found.engine,
        "ranked_by": found.ranked_by,
        "load_seconds": found.load_seconds,
        "rank_seconds": found.rank_seconds,
    }
    costs = {"bundle_bytes": opened.size, "service_bytes_up": up, "service_bytes_down": down}
    out.result(
        {"bundle": bundle, "items": items, **timing, **costs},
        table(f"Recommended on the device, by the {found.ranked_by}", ["", "article", *shown[1:]], rows),
        facts("What it costs", _costs(opened, found, up, down)),
    )
    if k is not None and len(found.items) < k:
        seen = counted(len(set(bought)), "article")
        out.say(f"{counted(len(found.items), 'article')}: {seen} bought before and left out")


def _dated(words: list[str]) -> tuple[list[str], list[int] | None]:
    """Articles, and the days since 1970 on which they were bought; None where none is said."""
    parted = [word.rpartition("@") if re.search(r"@\d{4}-\d{2}-\d{2}$", word) else (word, "", "") for word in words]
    said = [day for _, _, day in parted if day]
    if not said:
        return words, None
    if len(said) < len(words):
        without = next(id for id, _, day in parted if not day)
        raise InputError(f"The history says of {without!r} no day", hint="say it of all articles, or of none")
    return [id for id, _, _ in parted], [_day(day) for day in said]


def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        raise InputError(f"{text!r} is no day", hint="write it as 2020-09-15") from None


def _said(words: list[str]) -> dict[str, str]:
    found = {}
    for word in words:
        name, given, value = word.partition("=")
        if not given:
            raise InputError(f"{word!r} says nothing of a customer", hint="write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _service(bundle: "Bundle", length: int) -> tuple[int, int]:
    from spfedrec_cli.serving.rank import bytes_of_a_service

    return bytes_of_a_service(bundle, length)


def _costs(bundle: "Bundle", found: "Listed", up: int, down: int) -> list[tuple[str, Cell]]:
    lists = bundle.size // max(up + down, 1)
    return [
        ("the bundle, downloaded once", size(bundle.size)),
        ("loading it", f"{1000 * found.load_seconds:.1f} ms"),
        (f"ranking {len(bundle.quantised):,} items by {found.engine}", f"{1000 * found.rank_seconds:.1f} ms"),
        ("sent by the device for a list", "nothing"),
        ("a service would be sent", f"{size(up)} a list: the query embedding, which tells of purchases"),
        ("and send back", f"{size(down)} a list; as many bytes as the bundle after {lists:,} lists"),
    ]
