"""The page in a real browser: it says nothing, asks for nothing, follows day and night, and fits on a phone."""

import re
from pathlib import Path

import browser
import numpy as np
import pytest
from facts import HOSTILE, facts, told, versus

from spfedrec_cli.report.page import rendered
from spfedrec_cli.report.parts import Page
from spfedrec_cli.report.sections import sections

pytestmark = pytest.mark.slow
PHONE, DESK = 360, 1200

# What is wider than the window, but for what scrolls by itself.
TELL = """<script>
onload = () => document.body.dataset.found = frames[0].document.documentElement.dataset.found;
</script>"""
MEASURE = """<script>
const wide = [...document.querySelectorAll("body *")].filter(each => !each.closest(".wide")
  && each.getBoundingClientRect().right > innerWidth + 1);
document.documentElement.dataset.found = `${innerWidth} ${document.documentElement.scrollWidth} ${wide.length}`;
</script>"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> browser.Browser:
    return browser.found(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    every = facts(told(), told("model.dim=8", name=HOSTILE), versus=[versus(HOSTILE, 0.1, 0.5)], notes=("x" * 200,))
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(rendered(Page(HOSTILE, "Report", [("Dataset", HOSTILE)], sections(every)), "0.1.0"))
    return file


def test_it_would_be_seen_if_a_page_spoke_or_asked(chromium: browser.Browser, tmp_path: Path) -> None:
    file = tmp_path / "loud.html"
    file.write_text('<script>console.error("heard")</script><img src="http://127.0.0.1:9/x.png">')
    assert any("heard" in line for line in chromium.console(file))
    assert chromium.requests(file) == ["http://127.0.0.1:9/x.png"]


def test_the_console_is_silent_and_no_request_leaves(chromium: browser.Browser, page: Path) -> None:
    assert chromium.console(page) == []
    assert chromium.requests(page) == []


def test_day_and_night_look_different(chromium: browser.Browser, page: Path, tmp_path: Path) -> None:
    day, night = (
        pixels(chromium.screenshot(page, tmp_path / f"{dark}.png", DESK, dark=dark)) for dark in (False, True)
    )
    assert day[5, 5].tolist()[:3] == [255, 255, 255]
    assert night[5, 5].tolist()[:3] == [18, 24, 31]
    assert day.std() > 10
    assert night.std() > 10


def pixels(file: Path) -> np.ndarray:
    from matplotlib.image import imread

    return (imread(file) * 255).round().astype(int)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_window(chromium: browser.Browser, page: Path, tmp_path: Path, width: int) -> None:
    """A window of a phone's width is a frame: browsers refuse windows so narrow."""
    inner = page.read_text().replace("</body>", MEASURE + "</body>")
    inner = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", inner)
    frame = tmp_path / "frame.html"
    escaped = inner.replace("&", "&amp;").replace('"', "&quot;")
    inside_of = f'<iframe style="border:0" width="{width}" height="800" srcdoc="{escaped}"></iframe>'
    frame.write_text(f"<!DOCTYPE html><body>{inside_of}{TELL}")
    found = re.search(r'<body data-found="(\d+) (\d+) (\d+)"', chromium.dom(frame))
    assert found is not None
    inside, scrolled, wider = map(int, found.groups())
    assert inside == width
    assert scrolled <= width
    assert wider == 0
