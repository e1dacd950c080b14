"""What this project and its tests need to be installed, but for the packages named."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
testing = ("pytest", "hypothesis", "implicit")
needs = project["dependencies"] + [each for each in project["optional-dependencies"]["dev"] if each.startswith(testing)]
sys.stdout.write(" ".join(each for each in needs if not each.startswith(tuple(sys.argv[1:]))) + "\n")
