"""spfedrec device: what it says of a list and its cost."""

from pathlib import Path

import pytest
from answers import Invoke, the_json

from spfedrec_cli.config import resolve
from spfedrec_cli.data.dataset import Dataset


def test_a_list_and_what_it_costs(invoke: Invoke, made: Path, sample_dataset: Dataset) -> None:
    first, second = sample_dataset.item_ids[:2]
    result = invoke("device", made, "--history", f"{first}, {second}", "-k", "3")
    assert result.exit_code == 0, result.stderr
    assert "Recommended on the device" in result.stdout
    assert "sent by the device for a list" in result.stdout
    assert "colour" not in result.stdout  # the sample has none
    told = the_json(invoke("device", made, "--history", first, "--history", second, "-k", "3", "--json"))
    assert len(told["items"]) == 3
    assert told["service_bytes_up"] == 4 * resolve("sample").model.dim
    assert told["bundle_bytes"] > 0
    assert set(told["items"][0]) == {"article_id", "score", "name", "type", "colour"}


@pytest.mark.parametrize(
    "words, problem",
    [
        (["--history", " ,"], "The history is empty"),
        (["--history", "nothing"], "has no article 'nothing'"),
        (["--history", "FIRST", "--field", "age"], "'age' says nothing of a customer; write NAME=VALUE"),
        (["--history", "FIRST", "-k", "5000"], "choose a number from 1 to"),
    ],
)
def test_what_is_refused(invoke: Invoke, made: Path, sample_dataset: Dataset, words: list[str], problem: str) -> None:
    result = invoke("device", made, *(word.replace("FIRST", sample_dataset.item_ids[0]) for word in words))
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_no_bundle(invoke: Invoke, workplace: Path) -> None:
    assert "no bundle for a device" in invoke("device", "nowhere", "--history", "1").stderr


def test_a_customer_of_a_store(invoke: Invoke, stored: Path, sample_dataset: Dataset) -> None:
    someone = sample_dataset.client_ids[0]
    result = invoke("recommend", stored, "--customer", someone, "-k", "3")
    assert result.exit_code == 0, result.stderr
    assert f"Recommended to customer {someone}" in result.stdout
    told = the_json(invoke("recommend", stored, "--customer", someone, "-k", "3", "--json"))
    run = the_json(invoke("recommend", stored.parent / "run", "--customer", someone, "-k", "3", "--json"))
    assert [item["article_id"] for item in told["customers"][0]["items"]] == [
        item["article_id"] for item in run["customers"][0]["items"]
    ]
    Path("some.txt").write_text(f"{someone}\n{sample_dataset.client_ids[1]}\n")
    assert len(the_json(invoke("recommend", stored, "--customers", "some.txt", "--json"))["customers"]) == 2


def test_what_is_left_of_a_store_and_of_a_bundle_is_said(
    invoke: Invoke, made: Path, stored: Path, sample_dataset: Dataset
) -> None:
    every = sample_dataset.n_items
    words = ["-k", str(every), "--exclude-seen"]
    told = invoke("recommend", stored, "--customer", sample_dataset.client_ids[0], *words).stderr
    assert "bought before and left out" in told
    told = invoke("device", made, "--history", sample_dataset.item_ids[0], *words).stderr
    assert f"{every - 1} articles: 1 article bought before and left out" in told


@pytest.mark.parametrize(
    "words, problem",
    [
        (["--history", "1"], "A store has no --history: it serves its own customers; `spfedrec device` ranks"),
        (["--all", "--output", "x.csv"], "A store has no --all"),
        (["--customer", "c", "--where", "colour=Black"], "A store has no --where"),
        (["--customer", "c", "--why"], "A store has no --why"),
        (["--customer", "c", "--active-days", "3"], "A store has no --active-days"),
        (["--customer", "c"], "The store has no customer 'c'"),
    ],
)
def test_what_a_store_does_not_know(invoke: Invoke, stored: Path, words: list[str], problem: str) -> None:
    result = invoke("recommend", stored, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
