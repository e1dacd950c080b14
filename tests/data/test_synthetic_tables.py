import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from spfedrec_cli.data.ids import FORMS
from spfedrec_cli.data.sources import synthetic_facts as facts
from spfedrec_cli.data.sources import synthetic_tables as tables
from spfedrec_cli.data.sources.synthetic_world import make_world

DISTINCT = {
    "product_code": 47_224,
    "department_no": 299,
    "product_type_no": 132,
    "section_no": 57,
    "colour_group_code": 50,
    "graphical_appearance_no": 30,
    "garment_group_no": 21,
    "product_group_name": 19,
    "index_code": 10,
    "index_group_no": 5,
}


def distinct(table: pa.Table, column: str) -> int:
    return len(table.column(column).unique())


@pytest.fixture(scope="module")
def articles() -> pa.Table:
    return tables.articles(0, make_world(0, facts.ARTICLES))


@pytest.fixture(scope="module")
def customers() -> pa.Table:
    return tables.customers(0, tables.customer_ids(0, 20_000))


@pytest.mark.parametrize("column", DISTINCT)
def test_distinct_values_at_full_size(articles: pa.Table, column: str) -> None:
    assert distinct(articles, column) == DISTINCT[column]


@pytest.mark.parametrize("column", DISTINCT)
def test_a_small_catalogue_has_no_more_values(column: str) -> None:
    few = distinct(tables.articles(0, make_world(0, 1000)), column)
    assert 1 < few <= min(DISTINCT[column], 500)


def test_article_ids_open_with_their_product(articles: pa.Table) -> None:
    ids = articles.column("article_id").to_pylist()
    assert ids == sorted(set(ids))
    assert ids[0] == "0100001001"
    assert pc.all(pc.match_substring_regex(articles.column("article_id"), FORMS["article"].pattern)).as_py()
    assert all(len(one) == 10 and one.startswith("0") for one in ids)
    assert [one[:7] for one in ids] == articles.column("product_code").to_pylist()


def test_missing_descriptions(articles: pa.Table) -> None:
    missing = articles.column("detail_desc").null_count
    assert abs(missing - 416) < 5 * np.sqrt(416)
    assert sum(articles.column(name).null_count for name in articles.column_names) == missing


def test_coarser_columns_follow_the_finer_ones(articles: pa.Table) -> None:
    pairs = [
        ("product_type_no", "product_group_name"),
        ("product_type_no", "garment_group_no"),
        ("department_no", "section_no"),
        ("section_no", "index_code"),
        ("index_code", "index_group_no"),
        ("colour_group_code", "perceived_colour_master_id"),
        ("colour_group_code", "perceived_colour_value_id"),
        ("product_type_no", "product_type_name"),
    ]
    for fine, coarse in pairs:
        assert articles.select([fine, coarse]).group_by([fine, coarse]).aggregate([]).num_rows == distinct(
            articles, fine
        )


@pytest.mark.parametrize("items", [1000, 105_542])
def test_the_type_carries_the_cluster_and_the_section_its_group(items: int) -> None:
    world = make_world(0, items)
    table, clusters = tables.articles(0, world), world.entry.clusters
    kind = table.column("product_type_no").cast(pa.int64()).to_numpy() - 101
    # 95 % faithful, and of the others one in `clusters` by chance.
    expected = 0.95 + 0.05 / clusters
    assert abs((kind == world.cluster).mean() - expected) < 5 * np.sqrt(expected * (1 - expected) / items)
    assert len(np.unique(kind[kind != world.cluster])) > 0.6 * clusters
    section = table.column("section_no").cast(pa.int64()).to_numpy()
    assert len(np.unique(np.stack([world.cluster, section]), axis=1).T) == clusters
    colour = table.column("colour_group_code").cast(pa.int64()).to_numpy()
    assert abs(np.corrcoef(colour, world.cluster)[0, 1]) < 5 / np.sqrt(items)


def test_customers_miss_what_they_miss(customers: pa.Table) -> None:
    missing = {name: customers.column(name).null_count / 20_000 for name in customers.column_names}
    expected = {"customer_id": 0, "FN": 0.652, "Active": 0.662, "age": 0.012, "club_member_status": 0.0044}
    assert missing == pytest.approx({**expected, "fashion_news_frequency": 0.0117}, abs=0.01)
    assert missing["age"] == pytest.approx(0.012, abs=0.004)
    assert missing["club_member_status"] == pytest.approx(0.0044, abs=0.0025)
    assert missing["fashion_news_frequency"] == pytest.approx(0.0117, abs=0.004)
    assert set(customers.column("FN").to_pylist()) == {"1.0", None}
    assert {"NONE", "Regularly", None} <= set(customers.column("fashion_news_frequency").to_pylist())
    assert {"ACTIVE", "PRE-CREATE", None} <= set(customers.column("club_member_status").to_pylist())


def test_ages(customers: pa.Table) -> None:
    texts = customers.column("age").drop_null().to_pylist()
    assert all(text.endswith(".0") for text in texts)
    ages = np.array([float(text) for text in texts])
    assert ages.min() == 16
    assert np.quantile(ages, [0.1, 0.25, 0.5, 0.75, 0.9]) == pytest.approx([21, 24, 31, 48, 56], abs=1)


def test_customer_ids(customers: pa.Table) -> None:
    ids = customers.column("customer_id").to_pylist()
    assert ids == sorted(set(ids))
    assert pc.all(pc.match_substring_regex(customers.column("customer_id"), FORMS["customer"].pattern)).as_py()


def test_postal_codes() -> None:
    codes = tables.postal_codes(0, 20_000).value_counts()
    counts = np.sort(codes.field("counts").to_numpy())[::-1]
    assert counts[0] / 20_000 == pytest.approx(0.088, abs=0.01)
    assert len(counts) == pytest.approx(20_000 * 352_899 / 1_371_980, rel=0.05)


COLUMNS = (
    "prod_name",
    "product_type_no",
    "colour_group_name",
    "graphical_appearance_no",
    "department_no",
    "article_id",
)


@pytest.mark.parametrize("column", COLUMNS)
def test_the_seed_changes_the_articles(column: str) -> None:
    one, two = (tables.articles(seed, make_world(0, 1000)).column(column) for seed in (0, 1))
    assert one != two


@pytest.mark.parametrize(
    "column", ["customer_id", "FN", "Active", "club_member_status", "fashion_news_frequency", "age"]
)
def test_the_seed_changes_the_customers(customers: pa.Table, column: str) -> None:
    assert tables.customers(1, tables.customer_ids(1, 20_000)).column(column) != customers.column(column)


def test_columns_are_drawn_apart(customers: pa.Table) -> None:
    """One stream each: no two columns of customers go together."""
    texts = [customers.column(name).to_pylist() for name in customers.column_names[1:-1]]
    filled = [np.unique([text or "" for text in column], return_inverse=True)[1] for column in texts]
    filled.append(np.array([float(age or 0) for age in customers.column("age").to_pylist()]))
    codes = tables.postal_codes(0, 20_000)
    common = codes.value_counts()[np.argmax(codes.value_counts().field("counts"))]["values"]
    filled.append(np.array([code == common.as_py() for code in codes.to_pylist()]))
    correlation = np.corrcoef(np.stack(filled)) - np.eye(len(filled))
    assert abs(correlation).max() < 5 / np.sqrt(20_000)
