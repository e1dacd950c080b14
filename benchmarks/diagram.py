"""A round as a picture: device, aggregator and server, what crosses between them, and what each of them sees."""

from bars import Palette

TITLE = "A round of SpFedRec"
TOLD = (
    "The customer's device holds the purchases and trains the query tower. It requests items from the server, or "
    "nothing where a slate or the catalogue is published. The server holds the item tower and sends the query tower "
    "and item embeddings. The device sends a masked update to the aggregator. The aggregator sends sums over chains of "
    "customers to the server, which steps both towers by them."
)
WIDTH, HEIGHT = 880, 328


def drawn(palette: Palette) -> str:
    """The whole SVG."""
    parts = [
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{palette.background}"/>',
        _box(palette, 16, 16, 218, 296, "Customer's device", ("holds the purchases", "trains the query tower")),
        _box(palette, 334, 172, 212, 140, "Aggregator", ("adds masked updates",)),
        _box(palette, 646, 16, 218, 296, "Server", ("holds the item tower", "draws who takes part")),
        _sees(palette, 32, 248, ("the query tower,", "embeddings of items")),
        _sees(palette, 350, 256, ("sums over chains", "of customers")),
        _sees(palette, 662, 228, ("these sums; and in", "mode paper each", "customer's request")),
        _arrow(palette, (240, 56), (640, 56)),
        _label(palette, 440, 44, "1. request: items bought, among others"),
        _label(palette, 440, 76, "modes slate and catalogue: no request", soft=True),
        _arrow(palette, (640, 126), (240, 126)),
        _label(palette, 440, 114, "2. query tower, embeddings of items"),
        _arrow(palette, (240, 216), (328, 216)),
        _label(palette, 284, 186, "3. masked"),
        _label(palette, 284, 203, "update"),
        _arrow(palette, (552, 216), (640, 216)),
        _label(palette, 596, 186, "4. sums of"),
        _label(palette, 596, 203, "updates"),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    told = f"<title>{TITLE}</title>\n<desc>{TOLD}</desc>"
    return "\n".join([f'{head} role="img" font-family="sans-serif">', told, *parts, "</svg>", ""])


def _text(x: int, y: int, said: str, colour: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" {more or _size(14)}>{said}</text>'


def _size(pixels: int) -> str:
    return f'font-size="{pixels}"'


def _box(palette: Palette, x: int, y: int, width: int, height: int, name: str, does: tuple[str, ...]) -> str:
    """A party, its name, and line by line what it does."""
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{palette.panel}"'
    lines = [_text(x + 16, y + 56 + 20 * place, said, palette.text) for place, said in enumerate(does)]
    named = _text(x + 16, y + 30, name, palette.accent, f'{_size(17)} font-weight="bold"')
    return "\n".join([f'{shape} stroke="{palette.accent}" stroke-width="1.5"/>', named, *lines])


def _sees(palette: Palette, x: int, y: int, what: tuple[str, ...]) -> str:
    """Line by line what a party sees."""
    first = _text(x, y, "sees", palette.soft, f'{_size(13)} font-weight="bold"')
    return "\n".join([first, *(_text(x, y + 20 + 20 * place, said, palette.text) for place, said in enumerate(what))])


def _label(palette: Palette, x: int, y: int, said: str, soft: bool = False) -> str:
    return _text(x, y, said, palette.soft if soft else palette.text, f'{_size(14)} text-anchor="middle"')


def _arrow(palette: Palette, start: tuple[int, int], end: tuple[int, int]) -> str:
    """Level, with its head at the end."""
    (x, y), (to, _) = start, end
    back = 9 if to < x else -9
    line = f'<line x1="{x}" y1="{y}" x2="{to + back}" y2="{y}" stroke="{palette.soft}" stroke-width="2"/>'
    return f'{line}\n<path d="M{to} {y}l{back} -5v10z" fill="{palette.soft}"/>'
