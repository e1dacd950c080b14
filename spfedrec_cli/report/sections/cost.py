"""What it costs a client, by message."""

from spfedrec_cli.report.charts import bars
from spfedrec_cli.report.drawing import figure
from spfedrec_cli.report.facts import MONTH, Facts, Message, Told
from spfedrec_cli.report.inline import WIDTH, inlined
from spfedrec_cli.report.numbers import size
from spfedrec_cli.report.parts import Cell, Figure, Section, Table

HEAD = ("message", "to", "messages", "mean", "largest", "of a client in a round", "in a month", "what it tells")


def section(facts: Facts) -> Section | None:
    run = facts.first
    if not run.messages or not run.updates:
        return None
    told = [
        f"A month is {MONTH} rounds: a customer's device takes part once a day.",
        "What crosses once in a training counts in neither. 1 kB is 1,000 bytes.",
        f"All {run.updates:,} client updates together: {size(sum(each.bytes for each in run.messages))}.",
    ]
    return Section("cost", "Bytes", told, tables=[_table(run)], figures=[_figure(run)])


def _table(run: Told) -> Table:
    rows: list[tuple[Cell, ...]] = [_row(run, each) for each in run.messages]
    for direction, name in (("up", "sent"), ("down", "received")):
        mean = run.bytes_of_a_round(direction)
        rows.append((f"all that is {name}", None, None, None, None, size(mean), size(MONTH * mean), None))
    return Table("Bytes by message", HEAD, rows)


def _row(run: Told, each: Message) -> tuple[Cell, ...]:
    to = "server" if each.direction == "up" else "client"
    mean, a_round = each.bytes / each.count, each.bytes / run.updates
    spent = (None, None) if each.once else (size(a_round), size(MONTH * a_round))
    return each.kind, to, each.count, size(mean), size(each.largest), *spent, each.meaning


def _figure(run: Told) -> Figure:
    title = "kB of a client in a round"
    shown = {_named(each): each.bytes / run.updates / 1000 for each in run.messages if not each.once}
    told = [size(1000 * value) for value in shown.values()]
    with figure(WIDTH, 0.9 + 0.34 * len(shown)) as made:
        bars(made.subplots(), shown, told, "", "kB")
        svg = inlined(made, "bytes")
    alt = "; ".join(f"{name} {text}" for name, text in zip(shown, told, strict=True))
    rows = list(zip(shown, told, strict=True))
    return Figure(title, svg, f"{title}: {alt}.", Table(title, ("message", "of a client in a round"), rows))


def _named(each: Message) -> str:
    return f"{each.kind} ({each.direction})"
