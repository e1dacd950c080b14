"""Whether customers buy the same item again: a fact of the data, on which rests what may be recommended."""

from typing import NamedTuple

BOUGHT_AGAIN = 0.01
"""From this share of pairs (client, item) that are bought at two times or more, bought items stay in the ranking.

A table of what is bought once has a double entry or two, and a shop of repeats has far more: 3.6% in H&M's, none in
MovieLens. A share, not a count, so that one double row among thousands flips nothing; and more than one pair, so that
it flips nothing among a few either.
"""


class Repeated(NamedTuple):
    """So many of the pairs (client, item) come at two times or more."""

    again: int
    pairs: int

    @property
    def share(self) -> float:
        return self.again / max(self.pairs, 1)

    @property
    def stay(self) -> bool:
        return self.again > 1 and self.share >= BOUGHT_AGAIN


def told(found: Repeated, repeats: bool, said: bool) -> str:
    """The sentence about it, with what overrules it."""
    fate = "stay in" if repeats else "leave"
    option, other = ("--repeats", "--no-repeats") if repeats else ("--no-repeats", "--repeats")
    why = f"as {option} says" if said else f"{other} overrules it"
    pairs = f"{found.share:.1%} of pairs of customer and item{', a single one,' * (found.again == 1)}"
    return f"{pairs} were bought again: bought items {fate} the ranking ({why})"
