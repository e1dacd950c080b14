"""The programs under benchmarks/ run, and print what the documentation shows."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def test_statistics_of_the_synthetic_shop(tmp_path: Path) -> None:
    program = CHECKOUT / "benchmarks" / "synthetic_statistics.py"
    picture = tmp_path / "shop.svg"
    sizes = ["--customers", "3000", "--items", "1000"]
    done = subprocess.run(
        [sys.executable, str(program), *sizes, "--plot", str(picture)],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    head, line, *rows = done.stdout.splitlines()
    assert (head, line) == ("| statistic | H&M | synthetic |", "|---|---|---|")
    cells = {name.strip(): value.strip() for name, _, value in (row.strip("|").split("|") for row in rows)}
    assert cells["customers"] == "3,000"
    assert cells["its p50, p90"] == "2, 8"
    documented = (CHECKOUT / "docs" / "synthetic.md").read_text()
    assert all(row.rsplit("|", 2)[0] in documented for row in rows)
    assert 10_000 < picture.stat().st_size < 100_000


def test_the_secret_sharing_chain() -> None:
    """A row for each chain length, with and without items; the head stands in the documentation."""
    words = [sys.executable, str(CHECKOUT / "benchmarks" / "chain.py"), "--clients", "20"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    _, _, head, line, *rows = done.stdout.splitlines()
    assert f"{head}\n{line}\n" in (CHECKOUT / "docs" / "benchmarks.md").read_text()
    assert [row.split(" | ")[0] for row in rows] == [
        f"| {length}{items}" for items in ("", ", no items") for length in ("10", "100", "1,000")
    ]
    assert {row.split(" | ")[8] for row in rows[3:]} == {"9,360"}
