"""Long lines on a terminal: they end at blanks, and a command in them can still be copied."""

import re

from rich.cells import cell_len

# In backticks, or what follows "Next: " up to a comma or the end.
_COMMAND = re.compile(r"`spfedrec [^`]*`|(?<=: )spfedrec .*?(?=, |$)")
_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""")
_HELD = "\N{OBJECT REPLACEMENT CHARACTER}"  # a blank at which no line may end
_GOES_ON = f"{_HELD}\\"  # a shell reads on in the next line


def folded(text: str, width: int) -> str:
    """`text` in lines of at most `width` cells, which end at blanks.

    A word that is wider stays whole. So does a command (`spfedrec …`), but for one that is wider than the terminal: its
    lines end in a backslash, and can be copied together.
    """
    held = _COMMAND.sub(lambda found: _held(found.group(), width), text)
    lines = [line for part in held.split("\n") for line in _lines(part.split(" "), width)]
    return "\n".join(lines).replace(_HELD, " ")


def _held(command: str, width: int) -> str:
    """The command with its blanks held; where it is too wide for one line, in lines of its own."""
    words = [word.replace(" ", _HELD) for word in _WORD.findall(command)]
    whole = _HELD.join(words)
    if cell_len(whole) <= width:
        return whole
    lines = _lines(words, width - len(_GOES_ON))
    return "\n" + f"{_GOES_ON}\n".join(line.replace(" ", _HELD) for line in lines)


def _lines(words: list[str], width: int) -> list[str]:
    """As many words a line as fit, and at least one."""
    lines: list[str] = []
    for word in filter(None, words):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
