"""Whether customers buy the same item again: a fact of the data, on which rests what may be recommended."""

BOUGHT_AGAIN = 0.01
"""From this share of pairs (client, item) that are bought at two times or more, bought items stay in the ranking.

A table of what is bought once has a double entry or two, and a shop of repeats has far more: 3.6% in H&M's, none in
MovieLens. A share, not a count, so that one double row among thousands flips nothing.
"""


def told(share: float, repeats: bool, said: bool) -> str:
    """The sentence about it, with what overrules it."""
    fate = "stay in" if repeats else "leave"
    option, other = ("--repeats", "--no-repeats") if repeats else ("--no-repeats", "--repeats")
    why = f"as {option} says" if said else f"{other} overrules it"
    return f"{share:.1%} of pairs of customer and item were bought again: bought items {fate} the ranking ({why})"
