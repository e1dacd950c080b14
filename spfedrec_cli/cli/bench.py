"""spfedrec bench: how fast this machine trains."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spfedrec_cli.cli.options import AsJson, Debug, Device, Quiet
from spfedrec_cli.cli.output import Cell, Output, counted, duration, facts, size, table

if TYPE_CHECKING:
    from spfedrec_cli.engine import Bench, Speed

NAME = "bench"
EXAMPLES = """Examples:

\b
  spfedrec bench
  spfedrec bench --workers 2 --seconds 10
  spfedrec bench --json > speed.json"""

COLUMNS = ["work", "clients/s", "lowest", "highest", "repeats", "clients", "items", "sent", "received"]


def command(
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=64, help="Processes side by side; left out, one.")
    ] = None,
    device: Device = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0, help="How long to repeat; left out, half a minute.")
    ] = None,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure how many clients per second this machine trains.

    Local training alone (with clipping, rounding and the sum of integers), then whole rounds over a catalogue of H&M's
    size, on clients and purchases made up in memory. No Dataset is needed and nothing is written.
    """
    from spfedrec_cli import engine

    out = Output(json, quiet)
    chosen: dict[str, Any] = {
        name: value
        for name, value in (("workers", workers), ("seconds", seconds), ("device", device))
        if value is not None
    }
    with out.stages() as tell:
        told = engine.bench(**chosen, tell=tell)
    rows = [_row(speed) for speed in told.speeds]
    shown = table(f"Clients per second, {counted(told.workers, 'worker')}", COLUMNS, rows, right=COLUMNS[1:])
    out.result(_json(told), shown, facts("Extrapolated from the whole rounds", [_pass(told)]))
    out.say("Rates are medians; sent and received are a client's bytes in one round")
    cores = told.machine["cores"]
    if cores and told.workers > cores:
        out.warn(f"{told.workers} workers shared {counted(cores, 'core')}; more workers than cores are no faster")


def _pass(told: "Bench") -> tuple[str, Cell]:
    return f"H&M's {told.h_and_m_clients:,} customers, each once", duration(told.h_and_m_seconds)


def _row(speed: "Speed") -> list[Cell]:
    found = speed.clients_per_second
    rates = [f"{value:,.0f}" for value in (speed.median, min(found), max(found))]
    return [speed.name, *rates, len(found), speed.clients, speed.items, size(speed.bytes_up), size(speed.bytes_down)]


def _json(told: "Bench") -> dict[str, Any]:
    return {
        "workers": told.workers,
        "machine": told.machine,
        "speeds": [
            {
                "name": speed.name,
                "clients": speed.clients,
                "items": speed.items,
                "clients_per_second": round(speed.median, 1),
                "lowest": round(min(speed.clients_per_second), 1),
                "highest": round(max(speed.clients_per_second), 1),
                "repeats": len(speed.clients_per_second),
                "bytes_up": speed.bytes_up,
                "bytes_down": speed.bytes_down,
            }
            for speed in told.speeds
        ],
        "extrapolated": {"clients": told.h_and_m_clients, "seconds": round(told.h_and_m_seconds, 1)},
        "seconds": round(told.seconds, 3),
    }
