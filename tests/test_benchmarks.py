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


def test_the_costs_of_a_client_stand_in_the_documentation_as_they_are_counted() -> None:
    program = CHECKOUT / "benchmarks" / "cost.py"
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    documented = (CHECKOUT / "docs" / "benchmarks.md").read_text()
    assert f"<!-- cost -->\n{done.stdout.strip()}\n<!-- /cost -->" in documented
    assert len([line for line in done.stdout.splitlines() if line.startswith("| ")]) > 15
