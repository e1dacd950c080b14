"""The picture of a report that stands on the first page: the beginning of a run's page, as a browser shows it.

    python benchmarks/page_picture.py RUN [--output docs/images/report.png]

Needs Chromium. docs/images/report.png is of MovieLens 100K by its own preset, audited before:
`spfedrec train ml-100k --preset ml-100k --name ml-100k`, `spfedrec audit ml-100k`.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1000, 1236


def picture(page: Path, output: Path) -> None:
    """Raises SystemExit where there is no browser."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise SystemExit(f"none of {', '.join(NAMES)} is installed")
    with tempfile.TemporaryDirectory() as profile:
        words = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={profile}",
        ]
        words += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={output.resolve()}", page.resolve().as_uri()]
        subprocess.run(words, check=True, capture_output=True, timeout=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "docs" / "images" / "report.png")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        words = [sys.executable, "-m", "spfedrec_cli", "report", asked.run, "--output", str(page), "--quiet"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        picture(page, asked.output)


if __name__ == "__main__":
    main()
