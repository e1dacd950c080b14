"""prepare and describe, on data that is made or ships."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from answers import Invoke, the_json

from spfedrec_cli.cli.describe import picture
from spfedrec_cli.data.dataset import Dataset


def test_prepare_tells_what_it_made(invoke: Invoke) -> None:
    made = the_json(invoke("prepare", "--source", "sample", "--output", "datasets/one", "--json"))
    assert made["dataset"] == "datasets/one"
    assert (made["purchases"], made["clients"], made["items"]) == (138, 5, 134)
    assert sum(made["splits"].values()) == 138
    assert set(made["splits"]) == {"train", "validation", "test"}
    assert made["seconds"] >= 0


def test_prepare_shows_a_table_and_talks_on_stderr(invoke: Invoke) -> None:
    result = invoke("prepare", "--source", "sample", "--output", "one")
    assert "purchases          138" in result.stdout
    assert "reading ..." in result.stderr
    assert "Next: spfedrec describe one" in result.stderr
    assert "  or: spfedrec train one --preset sample" in result.stderr
    assert "Next" not in result.stdout


def test_prepare_is_silent_on_stderr_when_quiet(invoke: Invoke) -> None:
    assert invoke("prepare", "--source", "sample", "--output", "one", "--quiet").stderr == ""


def test_prepare_passes_on_what_is_to_be_made(invoke: Invoke) -> None:
    words = ["prepare", "--source", "synthetic", "--output", "one", "--customers", "40", "--items", "30", "--json"]
    assert the_json(invoke(*words))["clients"] == 40
    assert the_json(invoke(*words))["items"] == 30


def test_the_seed_changes_what_is_made(invoke: Invoke) -> None:
    words = ["prepare", "--source", "synthetic", "--customers", "40", "--items", "30", "--json"]
    made = [the_json(invoke(*words, "--output", seed, "--seed", seed)) for seed in ("1", "2")]
    assert made[0]["purchases"] != made[1]["purchases"]
    assert the_json(invoke(*words, "--output", "3", "--seed", "1"))["purchases"] == made[0]["purchases"]


@pytest.mark.parametrize(
    "words, problem",
    [
        (["--source", "smaple"], "did you mean sample?"),
        (["--source", "hm"], "needs an input"),
        (["--source", "sample", "--split", "temporl"], "did you mean temporal?"),
        (["--source", "synthetic", "--customers", "many"], "--customers 'many' is not a number"),
        (["--source", "synthetic", "--customers", "0"], "keeps nobody"),
        (["--source", "synthetic", "--customers", "1.5"], "a fraction lies in 0.0 to 1.0"),
        (["--source", "synthetic", "--customers", "nan"], "is not a number"),
        (["--source", "sample", "--as", "csv"], "The source sample has its files already"),
        (["--source", "synthetic", "--as", "xml"], "There is no format 'xml'; choose one of dataset, csv"),
        (["--source", "synthetic", "--as", "csv", "--split", "temporal"], "Files are written whole"),
        (["--source", "sample", "--from", "yesterday"], "--from 'yesterday' is not a date; write it as 2020-09-22"),
        (["--source", "sample", "--to", "2020-01-01"], "--to needs dates, and this source has none"),
        (["--source", "sample", "--columns", "customer=a,item=b,time=c"], "--columns"),
        (["--source", "synthetic", "--as", "csv", "--skip-bad-rows"], "Files are written from nothing"),
    ],
)
def test_prepare_refuses_and_leaves_nothing(
    invoke: Invoke, workplace: Path, words: Sequence[str], problem: str
) -> None:
    result = invoke("prepare", *words, "--output", "one")
    assert result.exit_code == 2
    assert problem in result.stderr
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize("name", ["sample", "datasets/sample", "./datasets/sample"])
def test_a_dataset_is_a_path_or_a_name(invoke: Invoke, sample: Dataset, name: str) -> None:
    assert the_json(invoke("describe", name, "--json"))["purchases"] == 138


def test_a_folder_of_the_same_name_that_is_no_dataset_does_not_hide_one(
    invoke: Invoke, sample: Dataset, workplace: Path
) -> None:
    (workplace / "sample").mkdir()
    assert the_json(invoke("describe", "sample", "--json"))["dataset"] == "datasets/sample"


def test_a_mistyped_dataset_is_answered_with_a_near_one(invoke: Invoke, sample: Dataset) -> None:
    result = invoke("describe", "smaple")
    assert result.exit_code == 2
    assert "did you mean sample?" in result.stderr


def test_what_is_no_dataset_is_named(invoke: Invoke, workplace: Path) -> None:
    (workplace / "folder").mkdir()
    (workplace / "file").write_text("user,sku\n")
    for kind in ("folder", "file"):
        result = invoke("describe", kind)
        assert result.exit_code == 2
        assert f"The {kind} is not a Dataset: " in result.stderr


def test_describe_repeats_prepare_and_names_a_client_with_a_history(invoke: Invoke, sample: Dataset) -> None:
    told = the_json(invoke("describe", "sample", "--json"))
    assert (told["clients"], told["items"]) == (5, 134)
    assert {"dataset", "purchases", "clients", "items", "splits", "seconds"} <= set(told)
    client = sample.client_index(told["example_client"])
    assert sample.history("train").lengths[client] > 0


def test_describe_shows_tables(invoke: Invoke, sample: Dataset) -> None:
    result = invoke("describe", "sample")
    for text in ("leave-one-out", "Clients by purchases", "Bought most", "#"):
        assert text in result.stdout
    told = the_json(invoke("describe", "sample", "--json"))["purchases_per_client"]
    assert told["p90"] % 1
    assert f" {told['p90']:.1f} " in result.stdout  # and not rounded to a count


@pytest.fixture
def shop(workplace: Path, synthetic_dataset: Dataset) -> Dataset:
    """A made-up shop as datasets/shop."""
    (workplace / "datasets").mkdir(exist_ok=True)
    (workplace / "datasets" / "shop").symlink_to(synthetic_dataset.path)
    return synthetic_dataset


def test_describe_shows_the_volume_of_the_weeks_and_what_is_bought_again(invoke: Invoke, shop: Dataset) -> None:
    told = the_json(invoke("describe", "shop", "--json"))
    result = invoke("describe", "shop")
    assert sum(week["purchases"] for week in told["weeks"]) == told["purchases"]
    assert "Purchases per week: " in result.stdout
    assert "█" in result.stdout
    ends = (told["weeks"][0]["from"], told["weeks"][-1]["from"])
    assert any(line.split() == list(ends) for line in result.stdout.splitlines())
    assert f"{told['bought_again_share']:.1%} on a later day" in " ".join(result.stdout.split())
    assert f"baskets {told['baskets']['count']:,}: " in " ".join(result.stdout.split())


def test_without_dates_describe_shows_no_weeks(invoke: Invoke, sample: Dataset) -> None:
    result = invoke("describe", "sample")
    assert "per week" not in result.stdout
    assert "baskets" not in result.stdout


def test_describe_draws_and_still_prints_one_object(invoke: Invoke, shop: Dataset, workplace: Path) -> None:
    told = the_json(invoke("describe", "shop", "--json", "--plot", "shop.svg"))
    assert told["plot"] == "shop.svg"
    assert "Volume per week" in (workplace / "shop.svg").read_text()
    result = invoke("describe", "shop", "--plot", "shop.png")
    assert "Drawn: shop.png" in result.stderr
    assert sorted(path.name for path in workplace.iterdir()) == ["datasets", "shop.png", "shop.svg"]


def test_a_picture_of_another_kind_is_refused_before_anything_is_read(invoke: Invoke, workplace: Path) -> None:
    result = invoke("describe", "nowhere", "--plot", "shop.gif")
    assert result.exit_code == 2
    assert ".svg, .png or .pdf" in result.stderr


def test_a_damaged_dataset_is_one_sentence(invoke: Invoke, workplace: Path) -> None:
    invoke("prepare", "--source", "sample", "--output", "one")
    file = workplace / "one" / "train.parquet"
    file.write_bytes(bytes(file.stat().st_size))
    for words in (["describe", "one"], ["describe", "one", "--json"]):
        result = invoke(*words)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "A file of the Dataset was changed (one/train.parquet); prepare it again." in result.stderr


def test_names_from_the_data_are_shown_as_they_are(
    invoke: Invoke, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter([f"[red]article[/red] {n}" for n in range(1000)])
    monkeypatch.setattr(
        "spfedrec_cli.data.dataset.Dataset.item_labels", lambda self, rows: [{"name": next(names)} for _ in rows]
    )
    assert "[red]article[/red] 0" in invoke("describe", "sample").stdout


def test_the_picture_has_a_bar_in_proportion() -> None:
    """2 clients with one purchase, 80 with 2 to 3, none with 4 to 7, one with 8 to 15; 40 signs stand for 80."""
    assert picture([2, 80, 0, 1]) == [
        ["1", 2, "#"],
        ["2 to 3", 80, "#" * 40],
        ["4 to 7", 0, ""],
        ["8 to 15", 1, "#"],
    ]


def write_sales(folder: Path) -> None:
    days = ("2020-01-01", "2020-03-01", "2020-03-10", "2020-03-20")
    rows = [
        f"{day},c{client},sku{item},{item}.5,brand{item % 2}" for day in days for client in (1, 2) for item in (1, 2)
    ]
    (folder / "sales.csv").write_text("\n".join(["day,who,sku,price,brand", *rows]) + "\n")


TABLE = ["prepare", "--source", "table", "--input", "sales.csv", "--output", "shop"]


def test_a_table_of_ones_own(invoke: Invoke, workplace: Path) -> None:
    write_sales(workplace)
    made = the_json(invoke(*TABLE, "--columns", "customer=who,item=sku,time=day,item.brand=brand", "--json"))
    assert (made["purchases"], made["clients"], made["items"]) == (16, 2, 2)
    assert the_json(invoke("describe", "shop", "--json"))["item_fields"] == {"brand": 3}


def test_a_table_needs_its_columns(invoke: Invoke, workplace: Path) -> None:
    write_sales(workplace)
    for words, problem in (([], "--columns"), (["--columns", "customer=who,item=sku,tme=day"], "did you mean time?")):
        result = invoke(*TABLE, *words)
        assert result.exit_code == 2
        assert problem in result.stderr
    assert [path.name for path in workplace.iterdir()] == ["sales.csv"]


def test_subsets_are_shown_as_a_table_and_told_as_json(invoke: Invoke, workplace: Path) -> None:
    write_sales(workplace)
    words = [*TABLE, "--columns", "customer=who,item=sku,time=day", "--from", "2020-02-01", "--min-purchases", "2"]
    shown = " ".join(invoke(*words).stdout.split())
    assert "as read 16 2 2 --from 2020-02-01 12 2 2 --min-purchases 2 12 2 2" in shown
    steps = the_json(invoke(*words, "--json"))["steps"]
    assert [(step["step"], step["purchases"]) for step in steps][1] == ("--from 2020-02-01", 12)


def test_bad_rows_are_refused_or_skipped_with_a_warning(invoke: Invoke, workplace: Path) -> None:
    write_sales(workplace)
    with (workplace / "sales.csv").open("a") as file:
        file.write("2020-03-32,c1,sku1,1,b\n")
    words = [*TABLE, "--columns", "customer=who,item=sku,time=day"]
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "line 18" in refused.stderr
    assert "--skip-bad-rows" in refused.stderr
    skipped = invoke(*words, "--skip-bad-rows", "--quiet")
    assert skipped.exit_code == 0
    assert "1 row could not be read: see shop/skipped-rows.csv" in skipped.stderr


def test_a_shop_as_files_is_read_again(invoke: Invoke, workplace: Path) -> None:
    sizes = ["--customers", "60", "--items", "50"]
    made = the_json(invoke("prepare", "--source", "synthetic", *sizes, "--as", "csv", "--output", "files", "--json"))
    read = the_json(invoke("prepare", "--source", "hm", "--input", "files", "--output", "one", "--json"))
    assert made["rows"] == read["purchases"]
    again = invoke("prepare", "--source", "synthetic", *sizes, "--as", "csv", "--output", "files")
    assert f"rows  {made['rows']:,}" in again.stdout
