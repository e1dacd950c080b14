"""docs/python.md, run as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

import spfedrec_cli as spfedrec
from spfedrec_cli.model.loss import LOSSES

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(LOSSES, "margin", LOSSES["softmax"])  # so that the page's own row is gone afterwards
    names: dict[str, Any] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/python.md, block {number}", "exec"), names)
    promised = re.search(r"print\(error\)  # (.*)", PAGE)
    assert promised
    assert capsys.readouterr().out == promised[1] + "\n"
    assert names["made"].notes
    assert isinstance(names["result"].warnings, tuple)
    autumn = spfedrec.Dataset.open("datasets/autumn").frame("test")["time"]
    assert autumn.max().date() == names["purchases"]["time"].max().date()
    rows = re.search(r"^\|---\|---\|\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert rows
    assert [hasattr(spfedrec, name) for name in re.findall(r"`(\w+)`", rows[1])] == [True] * 8
