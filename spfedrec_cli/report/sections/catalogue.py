"""What the towers make of items, and what they recommend to a few customers."""

from spfedrec_cli.report.charts import cloud
from spfedrec_cli.report.drawing import figure
from spfedrec_cli.report.facts import Facts
from spfedrec_cli.report.inline import WIDTH, inlined
from spfedrec_cli.report.numbers import share
from spfedrec_cli.report.parts import Columns, Figure, Section, Table


def embeddings(facts: Facts) -> Section | None:
    found = facts.map
    if found is None:
        return None
    of = "all items" if found.items == len(found.values) else f"the {len(found.values):,} items that sold most"
    title = f"Items by {found.field.replace('_', ' ')}"
    rows = [(value, count, among, others) for value, (count, among, others) in found.near.items()]
    head = (found.field.replace("_", " "), "items", "cosine to one another", "cosine to all others")
    table = Table(f"How near items of one {head[0]} are", head, rows)
    with figure(WIDTH, 5.0) as made:
        cloud(made.subplots(), found, "")
        svg = inlined(made, "map")
    near = "; ".join(
        f"{value}: cosine {among:.2f} among themselves, {others:.2f} to others" for value, _, among, others in rows
    )
    sentences = [
        f"Embeddings of {of} in their two main directions, which hold {share(found.told)} of their spread.",
        "Near items are recommended to the same customers. The table has the cosines in all directions.",
    ]
    return Section("items", "A map of the items", sentences, figures=[Figure(title, svg, f"{title}. {near}.", table)])


def customers(facts: Facts) -> Section | None:
    if not facts.customers:
        return None
    sentences = [f"What they were recommended when {facts.shop.test} began, beside what they had bought until then."]
    if not facts.shop.repeats:
        sentences.append("What a customer has bought already is left out.")
    columns = [
        Columns(
            f"Customer {each.name}",
            each.why,
            [("Bought before, newest first", each.bought), ("Recommended", each.recommended)],
        )
        for each in facts.customers
    ]
    return Section("customers", "A few customers", sentences, columns=columns)
