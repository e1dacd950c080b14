"""Small sources in the layout of the real ones."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from spfedrec_cli.data.dataset import Dataset
from spfedrec_cli.data.prepare import prepare

WriteHm = Callable[..., Path]

ARTICLES = (
    "article_id,prod_name,product_type_no,product_type_name,colour_group_code,colour_group_name,detail_desc",
    '0000000010,Strap top,253,Vest top,09,Black,"Two\nlines"',
    "0000000020,Socks,302,Socks,10,White,",
    "0000000030,,-1,Unknown,09,Black,Text",
)
CUSTOMERS = (
    "customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code",
    f"{'a' * 64},1.0,,ACTIVE,NONE,33.0,x",
    f"{'b' * 64},,1.0,,Regularly,,x",
)


@pytest.fixture
def write_hm(tmp_path: Path) -> WriteHm:
    """Writes a folder in Kaggle's layout. Rows are lines of transactions, or (day, customer letter, article, price)."""

    def write(
        rows: Iterable[str | tuple[str, str, str, str]],
        articles: Iterable[str] | None = ARTICLES,
        customers: Iterable[str] | None = CUSTOMERS,
        header: str = "t_dat,customer_id,article_id,price,sales_channel_id",
        name: str = "hm",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        lines = [row if isinstance(row, str) else f"{row[0]},{row[1] * 64},{row[2]},{row[3]},2" for row in rows]
        (folder / "transactions_train.csv").write_text("\n".join([header, *lines]) + "\n")
        for file, content in (("articles.csv", articles), ("customers.csv", customers)):
            (folder / file).unlink(missing_ok=True)
            if content is not None:
                (folder / file).write_text("\n".join(content) + "\n")
        return folder

    return write


@pytest.fixture
def hm_folder(write_hm: WriteHm) -> Path:
    """Two customers of whom one is in customers.csv, and an article that the catalogue lacks."""
    return write_hm(
        [
            ("2020-08-01", "a", "0000000010", "0.5"),
            ("2020-08-01", "a", "0000000010", "0.3"),
            ("2020-08-02", "c", "0000000099", ""),
            ("2020-09-10", "a", "0000000020", "0.1"),
            ("2020-09-22", "a", "0000000010", "0.4"),
            ("2020-09-22", "c", "0000000020", "0.2"),
        ]
    )


@pytest.fixture
def movielens_folder(tmp_path: Path) -> Path:
    """Users 2 and 10, movies 1, 9 and 10; user 10's ratings share one moment."""
    folder = tmp_path / "ml"
    folder.mkdir()
    ratings = ["10\t9\t3\t500", "2\t1\t1\t300", "10\t10\t5\t500", "2\t10\t4\t100", "10\t1\t2\t500", "2\t9\t4\t200"]
    (folder / "u.data").write_text("\n".join(ratings) + "\n")
    flags = {1: (3, 4, 5), 9: (8,), 10: ()}
    lines = []
    for movie, (title, released) in {
        1: ("Toy Story (1995)", "01-Jan-1995"),
        9: ("Les Misérables (1995)", "02-Feb-1996"),
        10: ("unknown", ""),
    }.items():
        genres = "|".join("1" if place in flags[movie] else "0" for place in range(19))
        lines.append(f"{movie}|{title}|{released}||http://x|{genres}")
    (folder / "u.item").write_text("\n".join(lines) + "\n", encoding="latin-1")
    (folder / "u.user").write_text("2|53|F|other|94043\n10|17|M|student|1\n")
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("data") / "sample"
    prepare("sample", None, output)
    return Dataset.open(output)


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("data") / "synthetic"
    prepare("synthetic", None, output)
    return Dataset.open(output)
