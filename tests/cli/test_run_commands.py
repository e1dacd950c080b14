"""evaluate, recommend, export and runs."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from answers import Invoke, StandIn, evaluated, the_json

from spfedrec_cli import run
from spfedrec_cli.cli.evaluate import _announced
from spfedrec_cli.cli.output import Output
from spfedrec_cli.config import resolve, to_toml
from spfedrec_cli.data.raw import Progress
from spfedrec_cli.engine import Comparison, EvaluationReport, Paired, Ranked, Recommendation, Why
from spfedrec_cli.retrieval.groups import Group
from spfedrec_cli.retrieval.intervals import Difference
from spfedrec_cli.retrieval.metrics import CATALOGUE_METRICS


def report(**changes: Any) -> EvaluationReport:
    """Three clients at two lengths of list, beside one baseline."""
    values: dict[str, Any] = {
        "run": Path("runs/first"),
        "split": "test",
        "protocol": "full",
        "candidates": "all",
        "clients": 3,
        "skipped": 1,
        "metrics": {"ndcg@10": 0.25, "ndcg@12": 0.375, "map@10": 0.5, "map@12": 0.625},
        "baselines": {"popularity": {"ndcg@10": 0.125, "ndcg@12": 0.0625, "map@10": 0.75, "map@12": 0.875}},
        "checkpoint_round": 40,
    }
    return EvaluationReport(**{**values, **changes})


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


RED = Ranked("0000000001", 0.9375, {"name": "[red]Top[/red]", "type": "Vest top", "colour": "Black"})
PLAIN = Ranked("0000000002", 0.5, {"name": "Socks"})
BARE = Ranked("0000000003", 0.25, {})


def test_the_json_of_an_evaluation(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=report())
    told = the_json(invoke("evaluate", "first", "--baselines", "--json"))
    assert told["run"] == "runs/first"
    assert (told["split"], told["protocol"], told["clients"], told["skipped"]) == ("test", "full", 3, 1)
    assert told["metrics"]["ndcg@12"] == 0.375
    assert told["baselines"] == {"popularity": report().baselines["popularity"]}


def test_a_table_for_each_length_and_a_row_for_each_recommender(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=report())
    result = invoke("evaluate", "first", "--more")
    rows = cells(result.stdout)
    at_10, at_12 = rows.index(["ndcg", "map"]), len(rows) - 1 - rows[::-1].index(["ndcg", "map"])
    assert rows[at_10 + 2 : at_10 + 4] == [["this", "run", "0.2500", "0.5000"], ["popularity", "0.1250", "0.7500"]]
    assert rows[at_12 + 2 : at_12 + 4] == [["this", "run", "0.3750", "0.6250"], ["popularity", "0.0625", "0.8750"]]
    assert "test at 10: all items ranked for 3 clients; runs/first, round 40" in result.stdout
    assert "1 client bought nothing in test: left out" in result.stderr


def test_a_measure_of_lists_stands_among_those_of_lists(
    invoke: Invoke, a_run: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE_METRICS, "shown_once", lambda items, n_items, k: 0.0)
    stand_in(evaluate=report(metrics={"ndcg@10": 0.25, "coverage@10": 0.5, "shown_once@10": 0.25}, baselines={}))
    rows = cells(invoke("evaluate", "first", "--more").stdout)
    assert ["ndcg"] in rows
    assert ["coverage", "shown_once"] in rows


def test_one_table_of_what_matters(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=report())
    rows = cells(invoke("evaluate", "first").stdout)
    assert rows[0] == ["test:", "all", "items", "ranked", "for", "3", "clients;", "runs/first,", "round", "40"]
    assert rows[1] == ["ndcg@10", "map@12"]
    assert rows[3:] == [["this", "run", "0.2500", "0.6250"], ["popularity", "0.1250", "0.8750"]]


def test_recall_of_new_and_of_repeated_purchases_is_a_table_of_its_own(
    invoke: Invoke, a_run: Path, stand_in: StandIn
) -> None:
    both = {"ndcg@10": 0.25, "recall_new@10": 0.125, "recall_repeat@10": 0.75}
    groups = {"purchase": {"new": Group(1234, {}, {}), "repeat": Group(1, {}, {})}}
    stand_in(evaluate=report(metrics=both, baselines={"repeat_last": both | {"recall_new@10": 0.0}}, groups=groups))
    for words in ([], ["--more"]):
        result = invoke("evaluate", "first", *words)
        assert "recall@10 of purchases: new, of 1,234 clients; repeat, of 1 client" in result.stdout
        rows = cells(result.stdout)
        start = rows.index(["new", "repeat"])
        assert rows[start + 2 :] == [["this", "run", "0.1250", "0.7500"], ["repeat_last", "0.0000", "0.7500"]]
        assert not any("recall_new" in row for row in rows)
    stand_in(evaluate=report(metrics={"ndcg@10": 0.25}))
    assert "of purchases" not in invoke("evaluate", "first").stdout


def test_several_weeks(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    days = [("2020-09-09", "2020-09-15"), ("2020-09-16", "2020-09-22")]
    weeks = tuple({"from": a, "to": b, "clients": 2, "metrics": {"ndcg@10": 0.5}} for a, b in days)
    calls = stand_in(evaluate_origins=report(clients=4, customers=3, origins=weeks))
    result = invoke("evaluate", "first", "--origins", "2", "--baseline", "popularity")
    assert calls.last[1] == (a_run, 2)
    assert calls.last[2] == {"baselines": ["popularity"], "tell": ANY, "begin": ANY}
    assert "all items ranked for 3 clients in 2 weeks, 4 lists in all; runs/first" in result.stdout
    assert ["2020-09-09", "to", "2020-09-15", "2", "0.5000"] in cells(result.stdout)
    told = the_json(invoke("evaluate", "first", "--origins", "2", "--json"))
    assert told["origins"][1] == {"from": days[1][0], "to": days[1][1], "clients": 2, "metrics": {"ndcg@10": 0.5}}
    assert invoke("evaluate", "first", "--origins", "0").exit_code == 2


def test_how_long_the_weeks_before_take_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _announced(Output(), 3, 185.0)
    assert capsys.readouterr().err == "3 models to train for the weeks before: about 3 min 5 s\n"
    _announced(Output(), 0, 0.0)
    assert capsys.readouterr().err == ""


def test_names_that_coincide_are_said_once(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    values = {"hit_rate@10": 0.5, "recall@10": 0.5, "ndcg@10": 0.25, "mrr@10": 0.125, "map@10": 0.125}
    stand_in(evaluate=report(metrics=values, baselines={}, single_truth=True))
    headings = "hit_rate@10 = recall ndcg@10 map@10 = mrr"
    assert headings.split() in cells(invoke("evaluate", "first").stdout)
    assert headings.replace("@10", "").split() in cells(invoke("evaluate", "first", "--more").stdout)
    stand_in(evaluate=report(metrics=values, baselines={}))
    assert ["hit_rate@10", "recall@10", "ndcg@10", "map@10"] in cells(invoke("evaluate", "first").stdout)


def test_what_has_to_be_known_before_the_figures_are_believed_is_a_warning(
    invoke: Invoke, a_run: Path, stand_in: StandIn
) -> None:
    stand_in(evaluate=report(notes=("too few to tell",)))
    assert "Warning: too few to tell\n" in invoke("evaluate", "first", "--quiet").stderr
    assert the_json(invoke("evaluate", "first", "--json"))["notes"] == ["too few to tell"]


def test_what_is_not_said_is_left_to_the_engine(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(evaluate=report())
    invoke("evaluate", "first")
    assert calls.last == ("evaluate", (a_run,), {"baselines": False, "tell": ANY})


def test_what_is_said_reaches_the_engine(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(evaluate=report(protocol="sampled"))
    words = ["-k", "20", "-k", "5", "--split", "validation", "--protocol", "sampled", "--candidates", "active"]
    result = invoke("evaluate", "first", *words, "--checkpoint", "last", "--baselines")
    assert calls.last[2] == {
        "baselines": True,
        "split": "validation",
        "protocol": "sampled",
        "candidates": "active",
        "checkpoint": "last",
        "ks": (5, 20),
        "tell": ANY,
    }
    assert "the ground truth among 99 items" in result.stdout


def wide(**changes: Any) -> EvaluationReport:
    """With an interval, lists, a blend, groups, and a baseline that cannot be had."""
    group = Group(2, {"ndcg@10": 0.5}, {"ndcg@10": (0.25, 0.75)})
    values: dict[str, Any] = {
        "metrics": {"ndcg@10": 0.25, "novelty@10": 4.5, "gini@10": 0.875},
        "baselines": {"popularity": {"ndcg@10": 0.125, "novelty@10": 2.5, "gini@10": 0.75}},
        "blends": {"blend": {"ndcg@10": 0.375, "novelty@10": 3.5, "gini@10": 0.625}},
        "intervals": {"ndcg@10": (0.0625, 0.4375), "novelty@10": (4.0, 5.0)},
        "groups": {"customer": {"warm": group}, "activity": {"1-4": group}},
        "across": {"ndcg@10": {"p10": 0.0, "median": 0.125}},
        "unavailable": {"ials": "iALS needs a library; install it."},
    }
    return report(**(values | changes))


def test_the_interval_stands_below_the_run_and_lists_are_a_table_of_their_own(
    invoke: Invoke, a_run: Path, stand_in: StandIn
) -> None:
    stand_in(evaluate=wide())
    result = invoke("evaluate", "first", "--baselines", "--blend", "--more")
    rows = cells(result.stdout)
    start = rows.index(["ndcg"])
    assert rows[start + 2 : start + 7] == [
        ["this", "run", "0.2500"],
        ["95%", "from", "0.0625"],
        ["to", "0.4375"],
        ["popularity", "0.1250"],
        ["blend", "0.3750"],
    ]
    start = rows.index(["novelty", "gini"])
    assert rows[start + 2 : start + 5] == [
        ["this", "run", "4.5000", "0.8750"],
        ["popularity", "2.5000", "0.7500"],
        ["blend", "3.5000", "0.6250"],
    ]
    assert "iALS needs a library; install it." in result.stderr


def test_who_is_served_how_well(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(evaluate=wide())
    rows = cells(invoke("evaluate", "first", "--by", "customer").stdout)
    assert ["customer", "clients", "ndcg"] in rows
    assert rows[-2:] == [["all", "3", "0.2500"], ["warm", "2", "0.5000"]]
    rows = cells(invoke("evaluate", "first", "--by", "activity").stdout)
    assert rows[-4:] == [["all", "3", "0.2500"], ["1-4", "2", "0.5000"], ["p10", "0.0000"], ["median", "0.1250"]]
    assert invoke("evaluate", "first", "--by", "colour").exit_code == 2


def test_the_json_has_all_of_it(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(evaluate=wide())
    told = the_json(invoke("evaluate", "first", "--baseline", "ease", "--baseline", "popularity", "--blend", "--json"))
    assert calls.last[2] == {"baselines": ["ease", "popularity"], "blend": True, "tell": ANY}
    assert told["intervals"]["ndcg@10"] == [0.0625, 0.4375]
    assert told["groups"]["customer"]["warm"]["metrics"] == {"ndcg@10": 0.5}
    assert told["across"] == {"ndcg@10": {"p10": 0.0, "median": 0.125}}


def comparison() -> Comparison:
    gap = {"ndcg@10": Difference(0.125, 0.0625, 0.25, 0.00001), "map@12": Difference(-0.5, -0.75, 0.25, 0.25)}
    means = {"first": {"ndcg@10": 0.25, "map@12": 0.0}, "second": {"ndcg@10": 0.125, "map@12": 0.5}}
    return Comparison("test", "full", "all", 5, means, [Paired("second", gap, {"ndcg@10": 0.00002, "map@12": 0.25})], 2)


def test_a_comparison(invoke: Invoke, workplace: Path, stand_in: StandIn) -> None:
    calls = stand_in(compare=comparison())
    result = invoke("compare", "first", "second", "--metric", "ndcg@10", "--protocol", "full", "-k", "12", "-k", "10")
    assert calls.last[1] == (["first", "second"],)
    assert calls.last[2] == {"protocol": "full", "metrics": ["ndcg@10"], "ks": (10, 12)}
    rows = cells(result.stdout)
    assert ["first", "0.2500", "0.0000"] in rows
    assert ["first", "less", "second"] in rows
    assert ["ndcg@10", "0.1250", "0.0625", "0.2500", "<0.0001"] in rows
    assert ["map@12", "-0.5000", "-0.7500", "0.2500", "0.2500"] in rows
    assert "of 2 tests, corrected by Holm" in result.stderr


def test_the_json_of_a_comparison(invoke: Invoke, workplace: Path, stand_in: StandIn) -> None:
    calls = stand_in(compare=comparison())
    told = the_json(invoke("compare", "first", "second", "--json"))
    assert calls.last == ("compare", (["first", "second"],), {})
    assert told["pairs"][0]["differences"]["ndcg@10"] == {"mean": 0.125, "low": 0.0625, "high": 0.25, "p": 0.00001}
    assert (told["clients"], told["tests"], told["means"]["second"]["map@12"]) == (5, 2, 0.5)


@pytest.mark.parametrize(
    "words, problem",
    [
        (["evaluate", "first"], "no checkpoint yet"),
        (["evaluate", "first", "-k", "500"], "k = 500 is more than the"),
        (["evaluate", "first", "--baseline", "popularty"], "did you mean popularity?"),
        (["evaluate", "first", "--candidates", "active"], "no item is active"),
        (["evaluate", "first", "--candidates", "active", "--protocol", "sampled"], "has its own candidates"),
        (["compare", "first"], "nothing to compare with"),
        (["compare", "first", "first:popularty"], "did you mean popularity?"),
        (["compare", "frist", "first"], "did you mean first?"),
        (["compare", "first", "first:popularity"], "no checkpoint yet"),
    ],
)
def test_bad_requests_are_answered_in_one_sentence(
    invoke: Invoke, a_run: Path, words: Sequence[str], problem: str
) -> None:
    result = invoke(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert result.stderr.count("Error: ") == 1


def test_a_list_has_at_least_one_place(invoke: Invoke, a_run: Path) -> None:
    assert invoke("evaluate", "first", "-k", "0").exit_code == 2
    assert invoke("recommend", "first", "--history", "1", "-k", "0").exit_code == 2


@pytest.mark.parametrize("command", [("evaluate",), ("recommend", "--history", "1"), ("export", "--output", "x")])
def test_a_mistyped_run_is_answered_with_a_near_one(invoke: Invoke, a_run: Path, command: Sequence[str]) -> None:
    result = invoke(command[0], "frist", *command[1:])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean first?" in result.stderr


def test_recommendations_to_customers(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(recommend=[Recommendation("c1", [PLAIN], [RED, BARE]), Recommendation("c2", [], [PLAIN])])
    told = the_json(invoke("recommend", "first", "--customer", "c1", "--customer", "c2", "-k", "2", "--json"))
    assert calls.last == (
        "recommend",
        (a_run,),
        {"customers": ["c1", "c2"], "history": None, "k": 2, "exclude_seen": None},
    )
    first, second = told["customers"]
    assert first["customer_id"] == "c1"
    assert first["items"][0] == {
        "article_id": "0000000001",
        "score": 0.9375,
        "name": "[red]Top[/red]",
        "type": "Vest top",
        "colour": "Black",
    }
    assert first["items"][1]["name"] is None
    assert first["history"] == [{"article_id": "0000000002", "name": "Socks", "type": None, "colour": None}]
    assert second["history"] == []


def test_recommendations_are_shown_with_the_past_and_without_markup(
    invoke: Invoke, a_run: Path, stand_in: StandIn
) -> None:
    stand_in(recommend=[Recommendation("c1", [PLAIN], [RED, BARE])])
    text = invoke("recommend", "first", "--customer", "c1").stdout
    assert "Last purchases of customer c1, newest first" in text
    rows = cells(text)
    assert ["1", "0000000001", "[red]Top[/red]", "Vest", "top", "Black", "0.9375"] in rows
    assert ["2", "0000000003", "0.2500"] in rows
    assert ["0000000002", "Socks"] in rows


def test_recommendations_to_a_history(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    calls = stand_in(articles=["10,5", "1", "2"], recommend=[Recommendation(None, [PLAIN], [RED])])
    told = the_json(invoke("recommend", "first", "--history", "10,5", "--history", "1, 2", "--json"))
    assert calls.made[0] == ("articles", (a_run, ["10,5", "1, 2"]), {})
    assert calls.last[2] == {"customers": None, "history": ["10,5", "1", "2"], "k": None, "exclude_seen": None}
    assert told["customers"][0]["customer_id"] is None


def test_a_customer_who_bought_nothing_is_told(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(recommend=[Recommendation("c1", [], [RED]), Recommendation("c2", [PLAIN], [RED])])
    told = invoke("recommend", "first", "--customer", "c1", "--customer", "c2").stderr
    assert told == "Nothing is known that customer c1 bought: ranked by everything else that the model knows\n"


@pytest.mark.parametrize("words, told", [([], True), (["-k", "1"], False), (["-k", "2"], True)])
def test_a_list_that_stays_short_is_explained(
    invoke: Invoke, a_run: Path, stand_in: StandIn, words: Sequence[str], told: bool
) -> None:
    stand_in(recommend=[Recommendation("c1", [PLAIN], [RED], left_out=3)])
    sentence = "1 article for customer c1: 3 articles bought before and left out"
    assert (sentence in invoke("recommend", "first", "--customer", "c1", *words).stderr) is told


@pytest.mark.parametrize("option, given", [("--exclude-seen", True), ("--include-seen", False)])
def test_what_was_bought_is_left_out_or_kept_as_asked(
    invoke: Invoke, a_run: Path, stand_in: StandIn, option: str, given: bool
) -> None:
    calls = stand_in(recommend=[Recommendation("c1", [PLAIN], [RED])], recommend_all=1)
    invoke("recommend", "first", "--customer", "c1", option)
    assert calls.last[2]["exclude_seen"] is given
    invoke("recommend", "first", "--all", "--output", "all.csv", option)
    assert calls.last[2]["exclude_seen"] is given


@pytest.mark.parametrize("format", ["parquet", "csv", "kaggle", None])
def test_recommendations_to_everybody(invoke: Invoke, a_run: Path, stand_in: StandIn, format: str | None) -> None:
    calls = stand_in(recommend_all=lambda *_, tell, **__: tell(Progress("writing")) or 1234)
    words = [] if format is None else ["--format", format]
    result = invoke("recommend", "first", "--all", "--output", "all", *words, "-k", "5", "--json")
    assert the_json(result) == {"run": "runs/first", "output": "all", "customers_written": 1234, "k": 5}
    assert result.stderr == "writing ...\n"
    name, places, said = calls.last
    assert (name, places, said["k"], said["format"]) == ("recommend_all", (a_run, Path("all")), 5, format)


@pytest.mark.parametrize(
    "output, words, problem",
    [
        ("all.json", [], "does not say what to write"),
        ("all.csv.gz", [], "A packed file is not written"),
        ("all.parquet", ["--format", "csv"], "is not that of the format csv"),
        ("no/all.csv", [], "folder does not exist"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_done(
    invoke: Invoke, a_run: Path, output: str, words: Sequence[str], problem: str
) -> None:
    result = invoke("recommend", "first", "--all", "--output", output, *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert problem in result.stderr


@pytest.mark.parametrize(
    "words, problem",
    [
        ([], "give one of --customer ID, --customers FILE, --history A,B or --all --output FILE"),
        (["--customer", "c", "--history", "1"], "It is not clear to whom"),
        (["--customer", "c", "--all", "--output", "x"], "It is not clear to whom"),
        (["--all"], "--all writes a file"),
        (["--customer", "c", "--output", "x"], "--output goes with --all"),
        (["--customer", "c", "--format", "csv"], "--format goes with --all"),
        (["--customer", "c", "--force"], "--force goes with --all"),
        (["--customer", "c", "--customers", "x"], "It is not clear to whom"),
        (["--customers", "nowhere.txt"], "cannot be read: No such file or directory (nowhere.txt); give a text file"),
        (["--all", "--output", "x.csv", "--why"], "--why goes with lists that are shown"),
        (["--customer", "c", "--where", "colour"], "'colour' is no condition; write field=value"),
        (["--customer", "c", "--where", "hue=red"], "Items have no field 'hue'"),
        (["--history", "1,,2"], "has an empty place"),
        (["--history", ""], "has an empty place"),
    ],
)
def test_recommend_refuses_what_is_not_clear(invoke: Invoke, a_run: Path, words: Sequence[str], problem: str) -> None:
    result = invoke("recommend", "first", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_why_an_article_stands_there_is_a_table_of_its_own(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    reason = Why(0.5, 0.125, 0.25, (("0000000007", 0.0625),))
    calls = stand_in(recommend=[Recommendation("c1", [PLAIN], [replace(PLAIN, score=0.875, why=reason)])])
    rows = cells(invoke("recommend", "first", "--customer", "c1", "--why").stdout)
    assert ["0000000002", "0.8750", "0.5000", "0.1250", "0.2500", "0000000007", "+0.0625"] in rows
    assert calls.last[2]["explain"] is True
    told = the_json(invoke("recommend", "first", "--customer", "c1", "--why", "--json"))
    assert told["customers"][0]["items"][0]["why"] == {
        "prior": 0.5,
        "profile": 0.125,
        "history": 0.25,
        "purchases": [{"article_id": "0000000007", "pull": 0.0625}],
    }


def test_customers_from_a_file(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    """One id a line, each as it stands: blanks and other line ends of Unicode belong to it."""
    calls = stand_in(recommend=[], recommend_all=2)
    Path("some.txt").write_text("\ufeffc1\r\n\n c\u20282 \nc1\n")
    invoke("recommend", "first", "--customers", "some.txt", "--active-days", "7")
    assert calls.last[2]["customers"] == ["c1", " c\u20282 "]
    assert calls.last[2]["active_days"] == 7
    invoke("recommend", "first", "--customers", "some.txt", "--output", "some.csv")
    assert (calls.last[0], calls.last[2]["customers"]) == ("recommend_all", ["c1", " c\u20282 "])
    Path("some.txt").write_text("\n \n")
    assert "names no customers" in invoke("recommend", "first", "--customers", "some.txt").stderr
    Path("some.txt").write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in invoke("recommend", "first", "--customers", "some.txt").stderr


def test_fewer_articles_than_asked_for_are_told(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    stand_in(recommend=[Recommendation("c1", [PLAIN], [RED], left_out=3, kept=4)])
    told = invoke("recommend", "first", "--customer", "c1").stderr
    assert "1 article for customer c1: 4 articles fit what was asked; 3 articles bought before and left out" in told


def test_export_lists_its_files(invoke: Invoke, a_run: Path, stand_in: StandIn) -> None:
    Path("items.parquet").write_bytes(b"x" * 1500)
    calls = stand_in(export=[Path("items.parquet")])
    result = invoke("export", "first", "--output", "out", "--format", "parquet, safetensors")
    assert calls.last == ("export", (a_run, Path("out")), {"formats": ("parquet", "safetensors")})
    assert ["items.parquet", "1.5", "kB"] in cells(result.stdout)
    told = the_json(invoke("export", "first", "--output", "out", "--json"))
    assert told == {"run": "runs/first", "output": "out", "files": ["items.parquet"]}
    assert calls.last[2] == {}


LISTED = {
    "run": "runs/first",
    "started": "2026-11-28T18:05:00+00:00",
    "dataset": "sample",
    "preset": None,
    "seed": 0,
    "rounds": 3,
    "rounds_planned": 100,
    "monitor": "ndcg@10",
    "validation": 0.25,
    "test": None,
}


@pytest.fixture
def dated(a_run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The run, dated, in a place whose clock is two hours ahead."""
    run.write_about(a_run, {**run.about(a_run), "started": LISTED["started"]})
    monkeypatch.setenv("TZ", "Europe/Helsinki")
    time.tzset()
    yield a_run
    monkeypatch.delenv("TZ")
    time.tzset()


def test_runs_are_listed_with_how_good_they_are(invoke: Invoke, dated: Path) -> None:
    assert the_json(invoke("runs", "--json")) == {"runs": [LISTED]}
    evaluated(dated, 0.125)
    rows = cells(invoke("runs").stdout)
    assert rows[0] == ["Runs,", "measured", "by", "ndcg@10"]
    assert ["first", "2026-11-28", "20:05", "sample", "0", "3", "of", "100", "0.2500", "0.1250"] in rows


def test_runs_as_csv(invoke: Invoke, dated: Path) -> None:
    assert invoke("runs", "--csv").stdout.splitlines() == [
        ",".join(LISTED),
        "runs/first,2026-11-28T18:05:00+00:00,sample,,0,3,100,ndcg@10,0.25,",
    ]
    result = invoke("runs", "--csv", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "choose one of them" in result.stderr


def test_settings_that_differ_are_columns_and_many_of_them_lines(invoke: Invoke, dated: Path) -> None:
    assert invoke("runs", "--changed").stdout == invoke("runs").stdout
    second = Path("runs/second")
    shutil.copytree(dated, second)
    run.write_config(second, to_toml(resolve(settings=["model.dim=8", "train.seed=3"])))
    rows = cells(invoke("runs", "--changed").stdout)
    assert [row[-1] for row in rows[1:] if len(row) > 1] == ["model.dim", "32", "8"]
    assert the_json(invoke("runs", "--changed", "--json"))["runs"][1]["changed"] == {"model.dim": 8}
    assert invoke("runs", "--changed", "--csv").stdout.splitlines()[0] == ",".join([*LISTED, "model.dim"])
    several = ["model.dim=8", "server.lr=0.5", "client.lr=0.25", "train.monitor=map@12"]
    run.write_config(second, to_toml(resolve(settings=several)))
    rows = cells(invoke("runs", "--changed", "--sort", "validation").stdout)
    assert ["first", "second"] in rows
    assert ["server.lr", "0.001", "0.5"] in rows
    assert [row[-2:] for row in rows if "of" in row] == [["ndcg@10", "0.2500"], ["100", "map@12"]]


def test_a_run_without_a_round_is_listed(invoke: Invoke, a_run: Path) -> None:
    (a_run / "metrics.jsonl").unlink()
    (listed,) = the_json(invoke("runs", "--json"))["runs"]
    assert (listed["rounds"], listed["validation"]) == (0, None)


def test_a_damaged_run_is_named_and_hides_no_other(invoke: Invoke, a_run: Path) -> None:
    damaged = Path("runs/damaged")
    damaged.mkdir()
    (damaged / "run.json").write_text("{")
    result = invoke("runs", "--json")
    assert [entry["run"] for entry in the_json(result)["runs"]] == ["runs/first"]
    assert "Warning" in result.stderr
    assert "runs/damaged" in result.stderr


def test_no_run_yet(invoke: Invoke) -> None:
    result = invoke("runs")
    assert result.exit_code == 0
    assert "There is no run yet" in result.stderr
