"""The sections of a report: each makes sentences, tables and figures of the facts, or nothing where there are none."""

from collections.abc import Callable, Sequence

from spfedrec_cli.report.facts import Facts
from spfedrec_cli.report.parts import Section
from spfedrec_cli.report.sections import catalogue, cost, learning, privacy, quality, settings, together, verdict

Writer = Callable[[Facts], Section | None]

SECTIONS: tuple[Writer, ...] = (
    verdict.section,
    together.section,
    privacy.section,
    learning.section,
    quality.section,
    quality.groups,
    cost.section,
    catalogue.embeddings,
    catalogue.customers,
    settings.section,
)


def sections(facts: Facts) -> Sequence[Section]:
    """Those that there is something to say in."""
    return [made for write in SECTIONS if (made := write(facts)) is not None]
