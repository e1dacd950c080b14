"""A headless Chromium, where there is one: what it says of a page, what it asks the network for, how the page looks."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nor does the browser itself reach its maker
)
OWN = "not an origin"  # what its log has as the initiator of what no page asked for
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")


class Browser:
    """Calls the program, each time with a profile of its own."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self._calls = 0

    def _call(self, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
        self._calls += 1
        profile = f"--user-data-dir={self._folder / f'profile-{self._calls}'}"
        words = [self._program, *QUIET, profile, *options, page.resolve().as_uri()]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)

    def console(self, page: Path) -> list[str]:
        """What the page's console says."""
        told = self._call(page, "--enable-logging=stderr", "--v=0", "--dump-dom").stderr
        return [line for line in told.splitlines() if "CONSOLE" in line]

    def requests(self, page: Path) -> list[str]:
        """The addresses that the page asked for, but for those of files and of data inside of it."""
        log = self._folder / "net.json"
        self._call(page, f"--log-net-log={log}", "--net-log-capture-mode=Everything", "--dump-dom")
        kinds = json.loads(log.read_text())
        started = kinds["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
        asked = [
            each["params"] for each in kinds["events"] if each["type"] == started and "url" in each.get("params", {})
        ]
        by_page = [each["url"] for each in asked if each.get("initiator") != OWN]
        return [url for url in by_page if not url.startswith(("file:", "data:"))]

    def dom(self, page: Path) -> str:
        """The document once its scripts have run."""
        return self._call(page, "--dump-dom").stdout

    def screenshot(self, page: Path, file: Path, width: int, height: int = 2000, dark: bool = False) -> Path:
        size = f"--window-size={width},{height}"
        self._call(page, size, f"--screenshot={file}", *(DARK if dark else ()))
        return file


def found(folder: Path) -> Browser:
    """Skips the test where no Chromium is installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return Browser(program, folder)
