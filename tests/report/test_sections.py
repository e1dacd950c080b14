"""What a report says, by what a run is."""

from dataclasses import replace

import pytest
from facts import facts, measured, message, rounds, told, versus

from spfedrec_cli.federated.aggregation.ideal import IdealSum, SumByMessages
from spfedrec_cli.federated.aggregation.table import AGGREGATIONS, Row
from spfedrec_cli.report.facts import Facts
from spfedrec_cli.report.parts import Section, Table
from spfedrec_cli.report.sections import cost, learning, privacy, quality, sections, settings, together, verdict
from spfedrec_cli.report.sections.catalogue import customers


def said(section: Section | None) -> str:
    assert section is not None
    return " ".join([*section.sentences, *(f"{point.name}: {point.text}" for point in section.points)])


def cells(table: Table) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in table.rows]


def test_the_verdict_says_how_good_how_private_and_at_what_cost() -> None:
    text = said(verdict.section(facts()))
    assert "75 of 100 customers find something that they bought in the test week among their first 10 items" in text
    assert "(NDCG@10 0.500, 95 % from 0.375 to 0.625, 200 customers)" in text
    assert "better than ease, the best of 1 baseline (NDCG@10 0.250): difference +0.250" in text
    assert "new to a customer 25 % are in the first 10, of repeated ones 88 %" in text
    assert "which items each client requested, and 80 % of those are purchases. No noise" in text
    assert "sends 559 B and receives 1.0 kB in a round: 46.8 kB in a month of 30 rounds" in text
    assert "Beware" not in text


@pytest.mark.parametrize(
    "mean, p, words, tone",
    [
        (0.25, 0.01, "It is better than ease", "good"),
        (-0.25, 0.01, "It is worse than ease", "bad"),
        (0.25, 0.06, "It is statistically indistinguishable from ease", ""),
    ],
)
def test_beside_the_best_baseline(mean: float, p: float, words: str, tone: str) -> None:
    point = verdict.section(facts(best=versus("ease", mean, p))).points[1]
    assert point.text.startswith(words)
    assert point.tone == tone


def test_what_is_to_be_known_before_the_figures_are_believed() -> None:
    few = measured(clients=7, beside={}, notes=("At most 1 found a purchase",))
    run = told("train.rounds=9", measured=few, rounds=[{**line, "warning": "Many clip"} for line in rounds()])
    text = said(verdict.section(facts(run, best=None, notes=("A note",))))
    for words in ("2 of 9 rounds", "Only 7 customers", "No baseline", "At most 1 found", "A note"):
        assert words in text
    assert text.count("Many clip") == 1
    assert "5 of 7 customers find" in text


def test_without_ground_truth_it_says_so() -> None:
    every = facts(told(measured=None), best=None, customers=())
    assert "It was not measured" in said(verdict.section(every))
    assert quality.section(every) is None
    assert "customers" not in [section.name for section in sections(every)]


@pytest.mark.parametrize(
    "setting, words",
    [
        ("federated.strategy=central", "Whoever trained had every purchase of every client"),
        ("federated.strategy=full", "sums over clients and no request"),
        ("request.mode=slate", "Nobody requested items"),
        ("request.mode=catalogue", "Nobody requested items"),
        ("request.mode=paper", "which items each client requested"),
    ],
)
def test_what_the_server_saw_in_a_sentence(setting: str, words: str) -> None:
    assert words in said(privacy.section(facts(told(setting))))


def test_the_table_has_the_figures_of_the_run() -> None:
    table = privacy.section(facts()).tables[0]
    every = {row[1]: row[2:] for row in cells(table)}
    assert every["each client's own request"][0] == "8 lists of 10.0 items on the mean; 80 % of them are purchases"
    assert every["sums of what devices learned"][0] == "2 sums over 4 clients each"
    assert every["how often each item was bought"][0] == "once, of 8 clients"


def test_chains_and_slates_have_their_own_rows() -> None:
    run = told(
        "federated.aggregation=ring",
        "federated.chain_length=4",
        "request.mode=slate",
        rounds=[{**line, "aborted": 1} for line in rounds()],
    )
    every = {row[1]: row[2:] for row in cells(privacy.section(facts(run)).tables[0])}
    assert every["sums of what devices learned"] == [
        "sums over about 4 clients each, 1 of them a round; 2 without a sum",
        "secret sharing, executed (ring)",
    ]
    popularity = every["how often each item was bought"]
    assert popularity == ["once, of 8 clients", "the sum of each chain alone, exact"]
    assert every["requests"] == [
        "none",
        "items are published to all (slate); 25 % of updates are zeros: no target in the slate",
    ]


def test_a_protocol_of_ones_own_is_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(AGGREGATIONS, "own", Row(IdealSum, SumByMessages, against="a dealer"))
    every = {row[1]: row[2:] for row in cells(privacy.section(facts(told("federated.aggregation=own"))).tables[0])}
    assert every["sums of what devices learned"] == ["2 sums over 4 clients each", "a dealer"]


def test_the_audit_stands_there_where_there_was_one() -> None:
    attack = {"name": "frequency", "party": "server", "view": "requests", "assumption": "none", "auc": 0.75, "low": 0.5}
    section = privacy.section(facts(told(audit=[attack])))
    assert cells(section.tables[1])[0][:5] == ["server", "requests", "frequency", "0.750", "0.500"]
    assert cells(section.tables[1])[0][-1] == "none"
    assert privacy.AUC in section.sentences
    assert privacy.NOBODY_MEASURED in said(privacy.section(facts()))


def test_seeds_are_one_curve_with_a_band() -> None:
    runs = [told(f"train.seed={n}", name=f"first-seed-{n}") for n in range(3)]
    found = learning.validation_curves([*runs, told("model.dim=8", name="second")])
    assert [curve.name for curve in found] == ["first, 3 seeds", "second"]
    assert found[0].band is not None
    assert found[1].band is None
    assert found[0].y.tolist() == [0.5, 1.0]


def test_the_best_round_is_named() -> None:
    assert "first was best in round 2" in said(learning.section(facts()))
    none = [{**line, "validation": None} for line in rounds()]
    assert "never validated" in said(learning.section(facts(told(rounds=none))))
    assert learning.section(facts(told(rounds=[]))) is None


def test_bytes_of_a_round_and_a_month_without_what_crosses_once() -> None:
    table = cost.section(facts()).tables[0]  # type: ignore[union-attr]
    rows = {row[0]: row for row in cells(table)}
    assert rows["popularity"][5:7] == ["None", "None"]
    assert rows["update"][5:7] == ["500 B", "15.0 kB"]
    assert rows["all that is sent"][5:7] == ["559 B", "16.8 kB"]
    assert cost.section(facts(told(messages=[]))) is None


def compared() -> Facts:
    runs = [told(f"train.seed={n}", name=f"first-seed-{n}") for n in range(2)]
    others = [versus("first-seed-1", 0.0, 1.0), versus("second", -0.25, 0.01)]
    return facts(*runs, told("model.dim=8", name="second"), versus=others)


def test_who_leaves_out_what_was_bought_is_not_said_to_have_no_repeats() -> None:
    """`prepare --no-repeats` leaves bought items out of shops whose customers do buy again."""
    shop = replace(facts().shop, repeats=False)
    words = said(customers(replace(facts(), shop=shop)))
    assert "bought already is left out" in words
    assert "twice" not in words


def test_several_runs_stand_side_by_side() -> None:
    section = together.section(compared())
    assert section is not None
    rows = cells(section.tables[0])
    assert [row[0] for row in rows] == ["first, 2 seeds", "second"]
    assert rows[0][2] == "0.5000 ± 0.0000"
    assert "first-seed-0 is behind second (NDCG@10 -0.2500, p = 0.01)" in said(section)
    assert "indistinguishable" not in said(section)  # from its own other seed: nothing to be told
    assert len(section.tables[1].rows) == 4
    assert together.section(facts()) is None


def test_only_settings_that_were_changed_stand_first() -> None:
    changed, every = settings.section(facts()).folded[:2]
    assert [row[0] for row in changed.rows] == ["train.rounds"]
    assert len(every.rows) > 50


def test_every_figure_has_its_words_and_its_table() -> None:
    figures = [figure for section in sections(compared()) for figure in section.figures]
    assert len(figures) >= 8
    for each in figures:
        assert len(each.alt) > len(each.title)
        assert each.table.rows


def test_a_message_that_is_new_has_a_row() -> None:
    run = told(messages=[message("hologram", "down", 8, 250)])
    assert cells(cost.section(facts(run)).tables[0])[0][5] == "250 B"  # type: ignore[union-attr]
