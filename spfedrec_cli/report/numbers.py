"""Numbers as a page writes them."""

import math


def number(value: object) -> str:
    """1,234 or 0.1234; nothing for None, a text as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def size(count: float) -> str:
    """Bytes in the unit that leaves one to three digits before the point (1 kB = 1,000 bytes)."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while abs(count) >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return f"{count:.0f} B" if units[0] == "B" else f"{count:.1f} {units[0]}"


def share(value: float) -> str:
    """In per cent, without digits that say nothing."""
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def counted(count: int, noun: str) -> str:
    """1 client, 1,234 clients."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
